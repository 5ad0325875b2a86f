"""The projection that is measured: a row a stream, with a number, a sum, and what came last."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from eventstore import Projection, RecordedEvent, SqlProjection


def folding(name: str) -> Projection:
    """Give the projection, with one read table, both of this name."""
    table = _table(name)
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


SUMS: Final = """
INSERT INTO {sums} AS s (order_id, events, total, customer)
SELECT stream_name, count(*), sum((data ->> 'total')::double precision), max(data ->> 'customer')
  FROM batch GROUP BY stream_name
ON CONFLICT (order_id) DO UPDATE
   SET events = s.events + excluded.events, total = s.total + excluded.total,
       customer = excluded.customer
"""


def summing(name: str) -> SqlProjection:
    """Give the same table as a statement's; the customer is the last batch's greatest."""
    return SqlProjection(
        name, tables=[_table(name)], statement=SUMS.replace("{sums}", f"{{{name}}}")
    )


def _table(name: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("customer", sa.Text, nullable=False),
    )
