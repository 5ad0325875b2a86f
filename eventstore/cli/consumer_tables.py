"""Consumer groups for people: as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eventstore.cli.output import counted, harmless, one_line, out
from eventstore.core.delivery import GroupStatus, ParkedDelivery

if TYPE_CHECKING:
    from rich.table import Table


def print_groups(found: Sequence[GroupStatus]) -> None:
    """Print groups, one a row."""
    table = _table()
    titles = ("consumer group", "lag", "buffered", "returned", "in flight", "parked", "held")
    for title in (*titles, "workers"):
        table.add_column(title, justify="left" if title == titles[0] else "right")
    for one in found:
        numbers = (
            one.lag_events,
            one.buffered,
            one.returned,
            one.in_flight,
            one.parked,
            one.held,
            len(one.workers),
        )
        table.add_row(one.name, *map(str, numbers))
    out().print(table)


def print_status(one: GroupStatus) -> None:
    """Print all about one group."""
    behind = f"{counted(one.lag_events, 'event')}, {one.lag_seconds:.1f} s behind"
    members = ", ".join(f"{member} {count}" for member, count in sorted(one.members.items()))
    table = _table(show_header=False)
    for name, value in (
        ("consumer group", one.name),
        ("query", one.query.to_json()),
        ("ordering", one.ordering),
        ("after", ", ".join(one.after) or "nothing"),
        ("checkpoint", f"{one.checkpoint} of {one.head}: {behind}"),
        ("buffered", f"{one.buffered} of {one.buffer}, {one.returned} to be delivered again"),
        ("in flight", f"{one.in_flight}" + (f": {members}" if members else "")),
        ("parked", f"{one.parked}, {one.held} held behind them"),
        ("workers", ", ".join(one.workers) or "none runs it as its reactor"),
        ("lease", f"{one.lease:g} s, {one.retries} retries, the first after {one.backoff:g} s"),
    ):
        table.add_row(name, harmless(value))
    out().print(table)


def print_parked(parked: Sequence[ParkedDelivery]) -> None:
    """Print events that are set aside, each with the reason."""
    table = _table()
    for title in ("parked event", "position", "attempts", "held", "parked at", "reason"):
        is_number = title in ("position", "attempts", "held")
        table.add_column(title, justify="right" if is_number else "left")
    for one in parked:
        table.add_row(
            harmless(f"{one.stream_name}@{one.revision}"),
            str(one.position),
            str(one.attempts),
            "" if one.held is None else str(one.held),
            one.parked_at.isoformat(" ", "seconds"),
            one_line(one.reason),
        )
    out().print(table)


def _table(*, show_header: bool = True) -> Table:
    from rich.table import Table  # noqa: PLC0415 - keeps --json and --help fast

    return Table(box=None, show_header=show_header, pad_edge=False)
