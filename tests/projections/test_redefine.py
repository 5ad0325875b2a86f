"""A version that has applied nothing may be defined otherwise; one that has begun may not."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import asyncpg
import pytest

from eventstore import DefinitionChanged, EventStore, ProjectionRefused
from eventstore.projections.connection import read_json_as_values
from eventstore.projections.registry import register
from eventstore.projections.worker import Share, Worker
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import until, until_waiting
from tests.projections.orders import reached, working
from tests.projections.test_kinds import STATEMENT, by_statement, placed, rows
from tests.projections.versions import Counting, names

TYPO = STATEMENT.replace("GROUP BY", "GROUP OF")
SCHEMA = "eventstore"


async def is_stopped(connection: Pg) -> bool:
    found: str = await connection.fetchval("SELECT state FROM eventstore.projection_status")
    return found == "stopped"


async def test_a_statement_that_never_worked_is_put_right_under_the_same_version(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, by_statement(TYPO), name="late"):
        await until(lambda: is_stopped(connection), "it to stop")
        # The worker with the typo still runs: it leaves the one that is put right alone.
        async with working(store, dsn, by_statement(), name="other"):
            await reached(connection, 1)
            await store.append("order-1", placed("ann", "2"))
            await reached(connection, 2)
            owner = "SELECT owner FROM eventstore.projection_partitions"
            assert await connection.fetchval(owner) == "other"
    assert await rows(connection) == {"ann": (Decimal(3), 2)}
    with pytest.raises(DefinitionChanged, match="version 2"):  # it has begun
        await register(connection, by_statement(TYPO), schema=SCHEMA)


@pytest.mark.one_postgres
async def test_tables_and_partitions_are_made_anew_and_what_serves_stays(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await register(connection, Counting(1).projection, schema=SCHEMA)
    await register(connection, Counting(2).projection, schema=SCHEMA)
    await connection.execute(
        "INSERT INTO eventstore.projection_failures"
        " VALUES ('orders', 2, 'order-1', 0, 1, 'stopped', 'why')"
    )
    changed = Counting(1, partitions=3).projection
    changed.version = 2
    assert await register(connection, changed, schema=SCHEMA)
    assert not await register(connection, changed, schema=SCHEMA)
    assert await names(connection) == ["orders", "orders__v2"]
    found = [(one.version, one.serving, one.partitions) for one in await store.projections.all()]
    assert found == [(1, True, 1), (2, False, 3)]
    assert not await connection.fetch("TABLE eventstore.projection_failures")
    first = Counting(1, partitions=2).projection
    assert await register(connection, first, schema=SCHEMA)
    assert (await store.projections.get("orders")).partitions == 2
    assert await names(connection) == ["orders", "orders__v2"]


@pytest.mark.one_postgres
@pytest.mark.parametrize(
    "begun",
    [
        "UPDATE eventstore.projection_partitions SET checkpoint = 1",
        "INSERT INTO eventstore_read.orders VALUES ('order-1', 1)",
        "SELECT eventstore.projection_lease_v1('orders', 1, 'me', 60)",
    ],
    ids=["its checkpoint moved", "a row is there", "a worker runs it"],
)
async def test_what_has_begun_is_not_defined_otherwise(connection: Pg, begun: str) -> None:
    await register(connection, Counting(1).projection, schema=SCHEMA)
    await connection.execute(begun)
    rows_before = await connection.fetch("TABLE eventstore_read.orders")
    with pytest.raises(DefinitionChanged, match="is known with partitions=1: "):
        await register(connection, Counting(1, partitions=2).projection, schema=SCHEMA)
    assert await connection.fetch("TABLE eventstore_read.orders") == rows_before


@pytest.mark.one_postgres
async def test_a_paused_version_stays_paused_and_what_depends_on_it_is_told(
    store: EventStore, connection: Pg
) -> None:
    await register(connection, Counting(1).projection, schema=SCHEMA)
    await connection.execute("CREATE VIEW v AS SELECT events FROM eventstore_read.orders")
    await store.projections.pause("orders")
    changed = Counting(1, partitions=2).projection
    with pytest.raises(ProjectionRefused, match="depends on table"):
        await register(connection, changed, schema=SCHEMA)
    await connection.execute("DROP VIEW v")
    assert await register(connection, changed, schema=SCHEMA)
    status = await store.projections.get("orders")
    assert (status.state, status.partitions) == ("paused", 2)


@pytest.mark.one_postgres
async def test_of_two_definitions_at_once_one_is_refused(dsn: str, connection: Pg) -> None:
    await register(connection, Counting(1).projection, schema=SCHEMA)
    async with new_pg(dsn) as first, new_pg(dsn) as second:
        async with first.transaction():
            await register(first, Counting(1, partitions=2).projection, schema=SCHEMA)
            other = asyncio.ensure_future(
                register(second, Counting(1, partitions=3).projection, schema=SCHEMA)
            )
            await until_waiting(connection)
        with pytest.raises(DefinitionChanged):
            await other
    assert await connection.fetchval("SELECT count(*) FROM eventstore.projection_partitions") == 2


@pytest.mark.one_postgres
async def test_a_worker_whose_definition_was_replaced_before_it_began_leaves_it_alone(
    store: EventStore, dsn: str, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    await register(connection, by_statement(TYPO), schema=SCHEMA)
    await register(connection, by_statement(), schema=SCHEMA)
    await store.append("order-1", placed("ann", "1"))
    async with await asyncpg.create_pool(dsn, min_size=0, init=read_json_as_values) as pool:
        share = Share(store, pool, by_statement(TYPO), owner="late", on_moved=lambda _: None)
        await share.run(asyncio.Event())
    assert "totals version 1 has another definition now" in caplog.text
    async with working(store, dsn, by_statement()):
        await reached(connection, 1)
        with pytest.raises(DefinitionChanged):
            await Worker(store, [by_statement(TYPO)], dsn=dsn).run()
    assert await rows(connection) == {"ann": (Decimal(1), 1)}
