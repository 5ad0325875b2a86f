"""Switching under those who read and write the tables: nobody waits long, or in a circle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventstore import EventStore, ProjectionRefused
from eventstore.projections.registry import register
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import until, until_waiting
from tests.projections.versions import Counting, names

pytestmark = pytest.mark.one_postgres

READ = "SELECT count(*) FROM eventstore_read.orders"
BATCH = "SELECT FROM eventstore.projection_partitions WHERE version = $1 FOR NO KEY UPDATE"


@pytest.fixture
async def other(dsn: str, connection: Pg) -> AsyncIterator[Pg]:
    """Another connection, in a store with two versions that nobody runs."""
    for version in (1, 2):
        await register(connection, Counting(version).projection, schema="eventstore")
    async with new_pg(dsn) as made:
        yield made


async def test_a_reader_that_does_not_end_stops_the_switch_and_nobody_else(
    store: EventStore, dsn: str, connection: Pg, other: Pg
) -> None:
    async with new_pg(dsn) as reader:
        await reader.execute("SET lock_timeout = '2500ms'")
        async with other.transaction():
            await other.fetchval(READ)
            switching = asyncio.ensure_future(store.projections.switch("orders", 2))
            await until_waiting(connection)
            while not switching.done():
                assert await reader.fetchval(READ) == 0
            with pytest.raises(ProjectionRefused, match=str(other.get_server_pid())):
                await switching
    assert await names(connection) == ["order types__v2", "orders", "orders__v2"]


async def test_a_reader_that_ends_is_waited_for(
    store: EventStore, connection: Pg, other: Pg
) -> None:
    async with other.transaction():
        await other.fetchval(READ)
        switching = asyncio.ensure_future(store.projections.switch("orders", 2))
        await until_waiting(connection)
    assert await switching == 1
    assert await names(connection) == ["order types", "orders", "orders__v1"]


async def test_readers_of_several_tables_are_never_the_ones_who_are_refused(
    store: EventStore, connection: Pg, other: Pg
) -> None:
    async with other.transaction():
        await other.fetchval('SELECT count(*) FROM eventstore_read."order types__v2"')
        switching = asyncio.ensure_future(store.projections.switch("orders", 2))
        await until_waiting(connection)
        assert await other.fetchval(READ) == 0  # it holds this one, and waits for the other
    assert await switching == 1


@pytest.mark.parametrize("version", [1, 2])
async def test_a_batch_under_way_is_waited_for(
    store: EventStore, connection: Pg, other: Pg, version: int
) -> None:
    async with other.transaction():
        await other.execute(BATCH, version)
        switching = asyncio.ensure_future(store.projections.switch("orders", 2))
        await until_waiting(connection)
        await other.execute(
            f"INSERT INTO eventstore_read.orders{'__v2' if version == 2 else ''} VALUES ('a', 1)"
        )
    assert await switching == 1
    table = "orders" if version == 2 else "orders__v1"
    assert await connection.fetchval(f"SELECT count(*) FROM eventstore_read.{table}") == 1


async def test_of_two_switches_at_once_one_is_told_that_the_other_was_faster(
    store: EventStore, connection: Pg, other: Pg
) -> None:
    await register(connection, Counting(3).projection, schema="eventstore")
    async with other.transaction():
        await other.execute(BATCH, 1)
        switching = asyncio.gather(
            store.projections.switch("orders", 2),
            store.projections.switch("orders", 3),
            return_exceptions=True,
        )
        await until_waiting(connection, 2)
    done = await switching
    assert sorted(map(str, done))[0] == "1"
    assert "somebody else" in sorted(map(str, done))[1]


async def test_a_worker_that_ends_while_its_version_is_dropped_waits_in_no_circle(
    store: EventStore, dsn: str, connection: Pg, other: Pg
) -> None:
    await connection.execute("SELECT eventstore.projection_lease_v1('orders', 2, 'w', 60)")
    async with new_pg(dsn) as worker, other.transaction():
        await other.execute(BATCH, 2)
        dropping = asyncio.ensure_future(store.projections.drop("orders", 2))
        await until_waiting(connection)
        releasing = asyncio.ensure_future(
            worker.execute("SELECT eventstore.projection_release_v1('orders', 2, 'w')")
        )
        await until_waiting(connection, 2)
        await other.execute("COMMIT")
        await dropping
        await releasing
        await other.execute("BEGIN")
    assert await names(connection) == ["orders"]


async def test_heartbeats_wait_for_no_switch(store: EventStore, connection: Pg, other: Pg) -> None:
    """It waits for the new version to come nearer, and the old one keeps its leases."""
    await connection.execute("SELECT eventstore.projection_lease_v1('orders', 2, 'w', 60)")
    await connection.execute("UPDATE eventstore.projection_partitions SET checkpoint = 2 - version")
    switching = asyncio.ensure_future(store.projections.switch("orders", 2))

    async def is_frozen() -> bool:
        found = await connection.fetch(BATCH + " SKIP LOCKED", 1)
        return not found

    await until(is_frozen, "the old version to stand still")
    await other.execute("SET statement_timeout = '5s'")
    for version in (1, 2):
        await other.execute("SELECT eventstore.projection_lease_v1('orders', $1, 'w', 60)", version)
    await other.execute(
        "UPDATE eventstore.projection_partitions SET checkpoint = 1 WHERE version = 2"
    )
    assert await switching == 1
