"""Switching between versions that appends apply: they wait for a moment, and none fails."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from eventstore import EventStore
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import DEADLINE, until, until_waiting
from tests.projections.orders import working
from tests.projections.test_inline import inline
from tests.projections.test_kinds import placed, rows

BOTH = (inline(), inline(version=2))
LOCK = "SELECT FROM eventstore.projection_partitions WHERE version = $1 FOR NO KEY UPDATE"


async def attached(connection: Pg) -> None:
    async def holds() -> object:
        return await connection.fetchval(
            "SELECT count(*) = 2 FROM eventstore.projection_versions WHERE inline"
        )

    await until(holds, "appends to apply both")


async def test_appends_and_reads_go_on_through_switches(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    over = asyncio.Event()

    async def append_and_read(customer: str) -> int:
        count = 0
        async with new_pg(dsn) as reader:
            while not over.is_set():
                written = await store.append(f"order-{customer}", placed(customer, "1"))
                count += 1
                await store.wait_for("totals", position=written.position, timeout=DEADLINE)
                seen = "SELECT orders FROM eventstore_read.totals WHERE customer = $1"
                assert await reader.fetchval(seen, customer) == count
        return count

    async with working(store, dsn, *BOTH):
        await attached(connection)
        async with asyncio.TaskGroup() as tasks:
            going = {name: tasks.create_task(append_and_read(name)) for name in ("ann", "bob")}
            for version in (2, 1, 2, 1):
                await store.projections.switch("totals", version)
                head = (await store.head()).position
                await store.wait_for("totals", position=head + 5, timeout=DEADLINE)
            over.set()
    wanted = {name: (Decimal(task.result()), task.result()) for name, task in going.items()}
    assert await rows(connection) == await rows(connection, "totals__v2") == wanted


async def test_an_append_and_a_switch_back_wait_in_no_circle(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, *BOTH):
        await attached(connection)
        await store.projections.switch("totals", 2)
    async with new_pg(dsn) as other:
        async with other.transaction():
            await other.execute(LOCK, 2)
            switching = asyncio.ensure_future(store.projections.switch("totals", 1))
            await until_waiting(connection)
            appending = asyncio.ensure_future(store.append("order-ann", placed("ann", "1")))
            await until_waiting(connection, 2)
        assert await switching == 2
    await appending  # it applies both all the same, and nobody else runs them
    for table in ("totals", "totals__v2"):
        assert await rows(connection, table) == {"ann": (Decimal(1), 1)}


async def test_what_appends_apply_is_dropped_and_built_anew_under_them(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, *BOTH):
        await attached(connection)
        await store.append("order-ann", placed("ann", "1"))
        await store.projections.rebuild("totals", 2)
        await store.append("order-ann", placed("ann", "1"))
        await attached(connection)
        assert await rows(connection, "totals__v2") == {"ann": (Decimal(2), 2)}
        await store.projections.drop("totals", 2)
        await store.append("order-ann", placed("ann", "1"))
        assert await rows(connection) == {"ann": (Decimal(3), 3)}
    left = await connection.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'eventstore_read'::regnamespace"
    )
    assert sorted(row[0] for row in left) == ["totals__beside_v1", "totals__inline_v1"]
