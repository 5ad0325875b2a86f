"""`eventstore projections watch`: how far projections are, each second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from eventstore.cli.asking import there_are
from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import out, write_json, write_line
from eventstore.cli.target import Target, hide_passwords, opened
from eventstore.core.catalog import ProjectionStatus
from eventstore.core.errors import NotFound, Unavailable
from eventstore.core.times import time_text

if TYPE_CHECKING:
    from rich.table import Table

EVERY: Final = 1.0
"""Seconds between two looks."""
NONE_YET: Final = "no projections yet; run some: eventstore worker myapp:app"
_STYLES: Final = {"running": "green", "waiting": "yellow", "paused": "yellow", "stopped": "red"}
Version = tuple[str, int]


def watch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Default: all of them", show_default=False),
    ] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show lag and rate of projections, each second; Ctrl-C ends it.

    \b
    eventstore projections watch
    eventstore projections watch orders --json | jq .events_per_second

    A table in a terminal; lines where the output goes elsewhere.
    """
    try:
        asyncio.run(_watch(target_of(dsn, url, schema, data_dir), name, as_json=as_json))
    except KeyboardInterrupt:
        return


async def _watch(target: Target, name: str | None, *, as_json: bool) -> None:
    rates = Rates()
    is_plain = as_json or not out().is_terminal
    show: _Lines | _Screen = _Lines(as_json=as_json) if is_plain else _Screen()
    with show:
        async with opened(target) as store:
            is_seen = False
            while True:
                try:
                    found = await store.projections.all()
                except Unavailable as error:
                    if not is_seen:
                        raise
                    show.lost(hide_passwords(str(error)))
                else:
                    is_seen = True
                    shown = [one for one in found if name in (None, one.projection)]
                    if name is not None and not shown:
                        raise NotFound(f"there is no projection {name!r}; {there_are(found)}")
                    show.statuses(shown, rates.of(shown, time.monotonic()))
                await asyncio.sleep(EVERY)


class Rates:
    """Events a second by which checkpoints move, from one look to the next."""

    def __init__(self) -> None:
        self._before: dict[Version, int] = {}
        self._at = 0.0

    def of(self, found: Sequence[ProjectionStatus], now: float) -> dict[Version, float]:
        """Give the rate of each version that was seen before."""
        seconds, self._at = now - self._at, now
        before = self._before
        self._before = {(one.projection, one.version): one.checkpoint for one in found}
        return {
            version: (checkpoint - before[version]) / seconds
            for version, checkpoint in self._before.items()
            if version in before and seconds > 0
        }


class _Lines:
    """Where there is no terminal: a line a version and look."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_lost = False

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def statuses(self, found: Sequence[ProjectionStatus], rates: Mapping[Version, float]) -> None:
        self._is_lost = False
        if not found and not self._as_json:
            write_line(NONE_YET)
        for one in found:
            rate = rates.get((one.projection, one.version))
            if self._as_json:
                write_json({**status_json(one), "events_per_second": rate and round(rate, 1)})
            else:
                write_line("  ".join(_cells(one, rate, units=True)))
        sys.stdout.buffer.flush()

    def lost(self, problem: str) -> None:
        if not self._is_lost:
            typer.echo(f"eventstore: {problem}; looking again each second", err=True)
        self._is_lost = True


class _Screen:
    """In a terminal: one table, drawn anew."""

    def __init__(self) -> None:
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(console=out(), auto_refresh=False)
        self._shown: Table | None = None

    def __enter__(self) -> _Screen:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def statuses(self, found: Sequence[ProjectionStatus], rates: Mapping[Version, float]) -> None:
        self._shown = status_table(found, rates)
        if not found:
            self._shown.caption = NONE_YET
        self._live.update(self._shown, refresh=True)

    def lost(self, problem: str) -> None:
        if self._shown is not None:
            self._shown.caption = f"{problem}; looking again each second"
            self._live.update(self._shown, refresh=True)


_COLUMNS: Final = (
    "projection",
    "state",
    "checkpoint",
    "lag",
    "seconds",
    "events/s",
    "partitions",
    "parked",
)


def status_table(
    found: Sequence[ProjectionStatus], rates: Mapping[Version, float] | None = None
) -> Table:
    """Give versions as a table; `rates` is for who watches."""
    from rich.table import Table  # noqa: PLC0415 - keeps --json and --help fast
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, caption_justify="left")
    shown = [n for n, title in enumerate(_COLUMNS) if rates is not None or title != "events/s"]
    for n in shown:
        table.add_column(_COLUMNS[n], justify="left" if n < 2 else "right", no_wrap=True)
    for one in found:
        cells = _cells(one, (rates or {}).get((one.projection, one.version)))
        texts: list[str | Text] = [cells[n] for n in shown]
        texts[1] = Text(cells[1], style=_STYLES[one.state])
        table.add_row(*texts)
    return table


def _cells(one: ProjectionStatus, rate: float | None, *, units: bool = False) -> list[str]:
    """Give what is shown of a version, in the order of `_COLUMNS`."""
    name = f"{one.projection} v{one.version}" + ("" if one.serving else " (not serving)")
    speed = "-" if rate is None else f"{rate:.0f}"
    parts = (
        f"{one.checkpoint}",
        f"{one.lag_events}",
        f"{one.lag_seconds:.1f}",
        speed,
        f"{one.leased_partitions}/{one.partitions}",
        f"{one.parked_streams}",
    )
    if units:
        named = zip(_COLUMNS[2:], parts, strict=True)
        return [name, one.state, *(f"{title} {part}" for title, part in named)]
    return [name, one.state, *parts]


def status_json(one: ProjectionStatus) -> dict[str, Any]:
    """Give a version as the service does."""
    return {**one._asdict(), "moved_at": one.moved_at and time_text(one.moved_at)}
