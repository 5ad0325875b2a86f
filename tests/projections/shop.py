"""Apps as a user has them: orders in version 1, and in version 2 with a column more."""

from __future__ import annotations

import sqlalchemy as sa

from eventstore import App, Projection, RecordedEvent
from eventstore.core.columns import Row


def made(version: int, *more: sa.Column[str | None]) -> Projection:
    table = sa.Table(
        "orders",
        sa.MetaData(),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        *more,
    )
    projection = Projection("orders", version=version, categories=["order"], tables=[table])

    @projection.fold(table, key=lambda event: event.stream_name)
    def order(row: Row | None, event: RecordedEvent) -> Row:
        counted = {"events": 1 if row is None else row["events"] + 1}
        return {**counted, **{column.name: event.event_type for column in more}}

    return projection


first = App(projections=[made(1)])
second = App(projections=[made(2, sa.Column("newest", sa.Text))])
both = App(projections=[*first.projections, *second.projections])
changed = App(projections=[made(2, sa.Column("last", sa.Text))])
