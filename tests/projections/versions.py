"""Two versions of a projection of orders, and what tests ask of each."""

from __future__ import annotations

import sqlalchemy as sa

from eventstore import RecordedEvent
from eventstore.core.columns import Row
from eventstore.core.projection import Projection
from tests.fix_database import Pg
from tests.fix_waiting import until


class Counting:
    """Counts the events of each order; version 2 also by type. Fails at what is `broken`."""

    def __init__(
        self, version: int, *, partitions: int = 1, count: type[sa.Integer] = sa.Integer
    ) -> None:
        self.broken = ""
        self.tables = [
            sa.Table(
                "orders",
                sa.MetaData(),
                sa.Column("order_id", sa.Text, primary_key=True),
                sa.Column("events", count, nullable=False, index=True),
            )
        ]
        if version > 1:
            self.tables.append(
                sa.Table(
                    "order types",
                    sa.MetaData(),
                    sa.Column("order_id", sa.Text, primary_key=True),
                    sa.Column("event_type", sa.Text, primary_key=True),
                    sa.Column("events", sa.Integer),
                )
            )
        self.projection = Projection(
            "orders",
            version=version,
            categories=["order"],
            tables=self.tables,
            partitions=partitions,
            keys_within_streams=True,
        )
        self.projection.fold(self.tables[0], key=lambda e: e.stream_name)(self._count)
        if version > 1:
            by = self.projection.fold(self.tables[1], key=lambda e: (e.stream_name, e.event_type))
            by(self._count)

    def _count(self, row: Row | None, event: RecordedEvent) -> Row:
        if event.event_type == self.broken:
            raise ValueError("broken")
        return {"events": 1 if row is None else row["events"] + 1}


async def reached(connection: Pg, version: int, position: int) -> None:
    """Wait until a version has applied everything up to a position."""

    async def holds() -> object:
        return await connection.fetchval(
            "SELECT coalesce(bool_and(checkpoint >= $2), false)"
            " FROM eventstore.projection_status WHERE version = $1",
            version,
            position,
        )

    await until(holds, f"version {version} at position {position}")


async def counts(connection: Pg, table: str = "orders") -> dict[str, int]:
    """Give a read table by the name that it has now."""
    rows = await connection.fetch(f'SELECT order_id, events FROM eventstore_read."{table}"')
    return {row[0]: row[1] for row in rows}


async def names(connection: Pg) -> list[str]:
    """Give the names of all read tables."""
    rows = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'eventstore_read'"
    )
    return sorted(row[0] for row in rows)
