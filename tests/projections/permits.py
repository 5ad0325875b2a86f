"""A real log of permits as projections: what each permit has come to, and how long steps take.

A row of `permits` is concerned by one stream only, so they may be partitioned. A throughput time is
one of a kind of step over all permits: its rows are concerned by every stream, so `throughput` has
one partition, and is a projection of its own, so that `permits` need not share it. (By permit and
step it could be partitioned, too; but that is nearly a row an event, to be added up at each look.)
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from eventstore import App, Projection, RecordedEvent
from eventstore.core.columns import Row

LAST_STEPS: Final = {
    "T10 Determine necessity to stop indication",
    "T15 Print document X request unlicensed",
    "T20 Print report Y to stop indication",
}
"""Steps after which nobody has to do anything about a permit, unless there is another one."""

metadata = sa.MetaData()
permits_table = sa.Table(
    "permits",
    metadata,
    sa.Column("permit", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("open_since", sa.DateTime(timezone=True)),
    sa.Column("resource", sa.Text, nullable=False),
)
throughput_table = sa.Table(
    "throughput",
    metadata,
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("total", sa.Interval, nullable=False),
    sa.Column("longest", sa.Interval, nullable=False),
)
last_seen_table = sa.Table(
    "last_seen",
    metadata,
    sa.Column("permit", sa.Text, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
)


def permit_of(event: RecordedEvent) -> str:
    return event.stream_name.removeprefix("permit-")


def time_of(event: RecordedEvent) -> datetime:
    return datetime.fromisoformat(event.metadata["time"])


def step_after_another(event: RecordedEvent) -> str | None:
    return event.event_type if event.revision > 0 else None


def permits(partitions: int, *, version: int = 1) -> Projection:
    """One row a permit: its last step, how many so far, who did it, and since when it is open."""
    projection = Projection(
        "permits",
        version=version,
        categories=["permit"],
        tables=[permits_table],
        partitions=partitions,
        keys_within_streams=True,
    )

    @projection.fold(permits_table, key=permit_of)
    def permit(row: Row | None, event: RecordedEvent) -> Row:
        since = row["open_since"] if row else None
        return {
            "status": event.event_type,
            "steps": row["steps"] + 1 if row else 1,
            "open_since": None if event.event_type in LAST_STEPS else since or time_of(event),
            "resource": event.data["org:resource"],
        }

    return projection


def throughput(*, version: int = 1) -> Projection:
    """One row a kind of step: how long it took since the permit's step before."""
    projection = Projection(
        "throughput",
        version=version,
        categories=["permit"],
        tables=[throughput_table, last_seen_table],
    )

    # Before `last_seen` moves on: it looks up the step before.
    @projection.fold(
        throughput_table,
        key=step_after_another,
        lookups={"before": (last_seen_table, permit_of)},
    )
    def step(row: Row | None, event: RecordedEvent, before: Row) -> Row:
        took = time_of(event) - before["at"]
        if row is None:
            return {"times": 1, "total": took, "longest": took}
        return {
            "times": row["times"] + 1,
            "total": row["total"] + took,
            "longest": max(row["longest"], took),
        }

    @projection.fold(last_seen_table, key=permit_of)
    def last_seen(_row: Row | None, event: RecordedEvent) -> Row:
        return {"at": time_of(event)}

    return projection


alone = App(projections=[permits(1), throughput()])
only_permits = App(projections=[permits(1)])
only_throughput = App(projections=[throughput()])
shared = App(projections=[permits(4), throughput()])
rebuilt = App(projections=[permits(2, version=2), throughput(version=2)])
