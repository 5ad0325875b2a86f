"""A projection that counts the events of each order, and what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa

from eventstore import App, EventStore, RecordedEvent
from eventstore.core.columns import Row
from eventstore.core.definition import Definition
from eventstore.core.projection import Projection
from eventstore.projections.worker import Worker
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until

orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("events", sa.Integer, nullable=False),
)


class Orders:
    """Counts the events of each order, and fails at a Fragile one while it is told to."""

    def __init__(self, partitions: int = 1) -> None:
        self.broken = False
        self.projection = Projection(
            "orders",
            categories=["order"],
            tables=[orders],
            partitions=partitions,
            keys_within_streams=True,
        )
        self.projection.fold(orders, key=lambda event: event.stream_name)(self._order)

    def _order(self, row: Row | None, event: RecordedEvent) -> Row:
        if self.broken and event.event_type == "Fragile":
            raise ValueError("broken")
        return {"events": 1 if row is None else row["events"] + 1}


app = App(projections=[Orders().projection])


@asynccontextmanager
async def working(
    store: EventStore, dsn: str, *projections: Definition, name: str = ""
) -> AsyncIterator[Worker]:
    """Let a worker run them, from when the store knows them."""
    worker = Worker(store, projections, dsn=dsn, name=name)
    task = asyncio.ensure_future(worker.run())
    registered = asyncio.ensure_future(worker.registered.wait())
    await asyncio.wait([task, registered], return_when=asyncio.FIRST_COMPLETED)
    registered.cancel()
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE):
            await task


async def reached(connection: Pg, position: int) -> None:
    """Wait until the projection has applied everything up to a position."""

    async def holds() -> object:
        return await connection.fetchval(
            "SELECT coalesce(min(checkpoint) >= $1, false) FROM eventstore.projection_status",
            position,
        )

    await until(holds, f"position {position}")


async def counts(connection: Pg) -> dict[str, int]:
    """Give the read table."""
    return {
        row["order_id"]: row["events"]
        for row in await connection.fetch("TABLE eventstore_read.orders")
    }
