"""A whole projection goes: under appends that apply it, waits for it, and workers that begin."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import EventData, EventStore, NotFound, ProjectionRefused
from eventstore.projections.registry import register
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import DEADLINE, until_waiting
from tests.projections.orders import working
from tests.projections.test_inline_switch import BOTH, LOCK, attached
from tests.projections.test_kinds import placed
from tests.projections.versions import Counting, names, reached


async def test_what_appends_apply_goes_under_them_and_they_wait_in_no_circle(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, *BOTH):
        await attached(connection)
        await store.projections.switch("totals", 2)
    async with new_pg(dsn) as other:
        async with other.transaction():
            await other.execute(LOCK, 2)
            dropping = asyncio.ensure_future(store.projections.drop("totals"))
            await until_waiting(connection)
            appending = asyncio.ensure_future(store.append("order-ann", placed("ann", "1")))
            await until_waiting(connection, 2)
        await dropping
    await appending
    assert await names(connection) == []
    assert not await connection.fetch(
        "SELECT FROM pg_proc WHERE pronamespace = 'eventstore_read'::regnamespace"
    )


@pytest.mark.one_postgres
async def test_whoever_waits_for_it_is_told_at_once(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await register(connection, Counting(1).projection, schema="eventstore")
    in_python = asyncio.ensure_future(store.wait_for("orders", position=1, timeout=3_600))
    async with new_pg(dsn) as other:
        in_sql = asyncio.ensure_future(
            other.execute("SELECT eventstore.wait_for('orders', 1, '1 h')")
        )
        await store.projections.drop("orders")
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(NotFound, match="orders"):
                await in_python
            with pytest.raises(Exception, match='there is no projection "orders"'):
                await in_sql


@pytest.mark.one_postgres
async def test_a_version_that_a_worker_begins_meanwhile_is_not_left_over(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await register(connection, Counting(1).projection, schema="eventstore")
    async with new_pg(dsn) as other:
        async with other.transaction():
            await register(other, Counting(2).projection, schema="eventstore")
            dropping = asyncio.ensure_future(store.projections.drop("orders"))
            await until_waiting(connection)
        with pytest.raises(ProjectionRefused, match="begun another version"):
            await dropping
    assert await names(connection) == ["order types__v2", "orders", "orders__v2"]
    await store.projections.drop("orders")
    assert await names(connection) == []


@pytest.mark.one_postgres
async def test_what_depends_on_its_tables_is_told_and_nothing_goes(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 2, 1)
    await connection.execute("CREATE VIEW v AS SELECT events FROM eventstore_read.orders")
    with pytest.raises(ProjectionRefused, match=r"depends on table eventstore_read\.orders"):
        await store.projections.drop("orders")
    assert len(await store.projections.all()) == 2
    assert await names(connection) == ["order types__v2", "orders", "orders__v2"]
