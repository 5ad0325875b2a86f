"""The projection that is measured: a row a stream, with a number, a sum, and what came last."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from eventstore import Projection, RecordedEvent


def folding(name: str) -> Projection:
    """Give the projection, with one read table, both of this name."""
    table = sa.Table(
        name,
        sa.MetaData(),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
    )
    projection = Projection(name, tables=[table])

    @projection.fold(table, key=lambda event: event.stream_name)
    def order(row: dict[str, Any] | None, event: RecordedEvent) -> dict[str, Any]:
        data = event.data
        return {
            "events": row["events"] + 1 if row else 1,
            "total": row["total"] + data["total"] if row else data["total"],
            "customer": data["customer"],
        }

    return projection
