"""A new version beside the one that serves: built, compared, switched to and back, dropped."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest
import sqlalchemy as sa

from eventstore import EventData, EventStore, NotFound, ProjectionRefused
from eventstore.projections.registry import register
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import DEADLINE, until
from tests.projections.orders import working
from tests.projections.versions import Counting, counts, names, reached


async def test_readers_see_their_own_writes_through_every_switch(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    old, new = Counting(1), Counting(2, partitions=3)
    wrote = Counter[str]()
    switched = asyncio.Event()

    async def write_and_read(stream: str) -> None:
        async with new_pg(dsn) as reader:
            while not switched.is_set():
                written = await store.append(stream, EventData("T"))
                wrote[stream] += 1
                await store.wait_for(
                    "orders", stream=stream, revision=written.revision, timeout=DEADLINE
                )
                seen = await reader.fetchval(
                    "SELECT events FROM eventstore_read.orders WHERE order_id = $1", stream
                )
                assert seen == written.revision + 1

    async with working(store, dsn, old.projection, new.projection):
        await reached(connection, 2, 0)
        async with asyncio.TaskGroup() as tasks:
            for n in range(4):
                tasks.create_task(write_and_read(f"order-{n}"))
            for version, before in ((2, 1), (1, 2), (2, 1)):
                assert await store.projections.switch("orders", version) == before
                assert (await store.projections.get("orders")).version == version
                head = (await store.head()).position
                await store.wait_for("orders", position=head + 5, timeout=DEADLINE)
            switched.set()
        head = (await store.head()).position
        for version in (1, 2):
            await reached(connection, version, head)
    assert await names(connection) == ["order types", "orders", "orders__v1"]
    assert await counts(connection) == await counts(connection, "orders__v1") == wrote


async def test_a_worker_of_both_goes_on_where_columns_change_their_type(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    """What it has prepared for the plain name is for a table of other types then."""
    new = Counting(2, count=sa.BigInteger)
    async with working(store, dsn, Counting(1).projection, new.projection):
        await reached(connection, 2, 0)
        for version in (2, 1, 2):
            for _ in range(10):  # until the connections of both have prepared it
                written = await store.append("order-1", EventData("T"))
                await reached(connection, 1, written.position)
                await reached(connection, 2, written.position)
            await store.projections.switch("orders", version)
    assert await counts(connection) == await counts(connection, "orders__v1") == {"order-1": 30}


async def test_what_a_reader_has_seen_is_waited_for(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    old, new = Counting(1), Counting(2)
    for version in (old, new):
        await register(connection, version.projection, schema="eventstore")
    # So that the worker cannot begin yet.
    await connection.execute("SELECT eventstore.projection_lease_v1('orders', 2, 'slow', 3600)")
    async with working(store, dsn, old.projection, new.projection):

        async def is_there() -> object:
            return await connection.fetch(
                "SELECT FROM eventstore.projection_workers WHERE version = 2 AND owner <> 'slow'"
            )

        await until(is_there, "its worker")
        await store.append("order-1", EventData("T"))
        await store.wait_for("orders", position=1, timeout=DEADLINE)
        switching = asyncio.ensure_future(store.projections.switch("orders", 2, timeout=DEADLINE))

        async def old_stands_still() -> bool:
            return switching.done() or not await connection.fetch(
                "SELECT FROM eventstore.projection_partitions WHERE version = 1"
                " FOR UPDATE SKIP LOCKED"
            )

        await until(old_stands_still, "the old version to stand still")
        await store.append("order-1", EventData("T"))
        waiting = asyncio.ensure_future(
            store.wait_for("orders", stream="order-1", revision=1, timeout=DEADLINE)
        )
        assert await counts(connection) == {"order-1": 1}
        await connection.execute("SELECT eventstore.projection_release_v1('orders', 2, 'slow')")
        assert await switching == 1
        assert await counts(connection) in ({"order-1": 1}, {"order-1": 2})
        await waiting
        assert await counts(connection) == {"order-1": 2}


async def refused(store: EventStore, version: int, *, within: float = 0.0) -> str:
    with pytest.raises(ProjectionRefused) as refusal:
        await store.projections.switch("orders", version, timeout=within)
    return str(refusal.value)


async def test_a_version_that_is_behind_does_not_serve_unless_told_to(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    old, new = Counting(1), Counting(2)
    async with working(store, dsn, old.projection, new.projection):
        await reached(connection, 2, 0)
    await store.append("order-1", [EventData("T"), EventData("Fragile"), EventData("T")])
    async with working(store, dsn, old.projection):
        await reached(connection, 1, 3)
    # Nobody runs it, so that waiting would be in vain.
    said = await refused(store, 2, within=3_600)
    assert 'version 2 of projection "orders" cannot serve yet: it is 3 events behind' in said
    assert "no worker runs it" in said
    assert "even_if_behind" in said
    await connection.execute(
        "INSERT INTO eventstore.projection_workers VALUES ('orders', 2, 'slow', 'infinity')"
    )
    assert "it is still 3 events behind version 1" in await refused(store, 2)
    await connection.execute("DELETE FROM eventstore.projection_workers")
    assert await names(connection) == ["order types__v2", "orders", "orders__v2"]
    assert await store.projections.switch("orders", 2, even_if_behind=True) == 1
    assert await counts(connection) == {}
    assert await store.projections.switch("orders", 1, timeout=0) == 2
    assert await counts(connection) == {"order-1": 3}
    # A stream that it holds back would go back in time, too.
    new.broken = "Fragile"
    async with working(store, dsn, new.projection):
        await reached(connection, 2, 3)
    assert "it holds 1 streams back that version 1 does not" in await refused(store, 2)
    await connection.execute("SELECT eventstore.skip_parked('orders', 'order-1', 2)")
    async with working(store, dsn, new.projection):

        async def is_free() -> bool:
            return (await counts(connection, "orders__v2")) == {"order-1": 2}

        await until(is_free, "the rest of the stream")
    await connection.execute("SELECT eventstore.pause_projection('orders', 2)")
    assert "it is paused" in await refused(store, 2)
    await connection.execute("SELECT eventstore.resume_projection('orders', 2)")
    assert await store.projections.switch("orders", 2) == 1
    assert await store.projections.switch("orders", 2) == 2  # it does already


async def test_what_serves_is_neither_dropped_nor_emptied_and_what_is_unknown_is_told(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Counting(1).projection):
        await reached(connection, 1, 0)
    projections = store.projections
    with pytest.raises(ProjectionRefused, match=r"version 1 .* serves: its readers .*new version"):
        await projections.rebuild("orders", 1)
    with pytest.raises(ProjectionRefused, match=r"version 1 .* serves .*another version"):
        await projections.drop("orders", 1)
    for projection, version in (("orders", 2), ("none", 1)):
        for operate in (
            projections.switch,
            projections.drop,
            projections.rebuild,
            projections.compare,
        ):
            with pytest.raises(NotFound, match=rf'"{projection}" \(version {version}\)'):
                await operate(projection, version)
    assert await names(connection) == ["orders"]


async def test_a_dropped_version_is_gone_and_its_runner_leaves_it_alone(
    store: EventStore, dsn: str, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await reached(connection, 2, 0)
        await store.append("order-1", EventData("T"))
        await store.projections.switch("orders", 2)
        await connection.execute("CREATE VIEW v AS SELECT events FROM eventstore_read.orders__v1")
        with pytest.raises(
            ProjectionRefused, match=r"depends on table eventstore_read\.orders__v1"
        ):
            await store.projections.drop("orders", 1)
        await connection.execute("DROP VIEW v; DROP TABLE eventstore_read.orders__v1")
        await store.projections.drop("orders", 1)
        for _ in range(3):
            written = await store.append("order-1", EventData("T"))
            await store.wait_for("orders", position=written.position, timeout=DEADLINE)
        assert await counts(connection) == {"order-1": 4}
        assert [status.version for status in await store.projections.all()] == [2]
    assert await names(connection) == ["order types", "orders"]
    # A worker that starts with its definition builds it anew, and says so.
    assert "older" not in caplog.text
    async with working(store, dsn, Counting(1).projection):
        await reached(connection, 1, 4)
    assert "<Projection orders version 1> is older than version 2, which serves" in caplog.text
    assert await counts(connection, "orders__v1") == {"order-1": 4}


async def test_a_version_begins_anew_under_its_runner(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    new = Counting(2)
    new.broken = "Fragile"
    async with working(store, dsn, Counting(1).projection, new.projection):
        await store.append("order-1", [EventData("T"), EventData("Fragile"), EventData("T")])
        await reached(connection, 2, 3)
        new.broken = ""
        lease = await connection.fetchval(
            "SELECT lease FROM eventstore.projection_partitions WHERE version = 2"
        )
        await store.projections.rebuild("orders", 2)
        await store.append("order-1", EventData("T"))
        await reached(connection, 2, 4)
        assert await counts(connection, "orders__v2") == {"order-1": 4}
        with pytest.raises(asyncpg.PostgresError, match="another runner"):
            await connection.execute(
                "SELECT eventstore.projection_begin_v1('orders', 2, 0, $1, '{}')", lease
            )
        await store.projections.switch("orders", 2)
    assert await counts(connection) == {"order-1": 4}


async def test_a_comparison_is_of_one_moment_while_appends_go_on(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Counting(1, partitions=2).projection, Counting(2).projection):
        await reached(connection, 2, 0)
        await store.append("order-0", EventData("T"))
        compared = asyncio.Event()

        async def append() -> None:
            n = 0
            while not compared.is_set():
                written = await store.append(f"order-{n % 5}", EventData("T"))
                n += 1
                if n % 10 == 0:  # they are together now and then
                    await reached(connection, 1, written.position)
                    await reached(connection, 2, written.position)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(append())
            for _ in range(5):
                types, orders = await store.projections.compare("orders", 2)
                assert orders.checkpoint == orders.serving_checkpoint
                assert orders.is_equal
                assert (orders.table, orders.columns) == ("orders", ["events", "order_id"])
                assert (types.table, types.columns, types.serving_rows) == ("order types", [], None)
            compared.set()
        head = (await store.head()).position
        await reached(connection, 1, head)
        await reached(connection, 2, head)
    await connection.execute("UPDATE eventstore_read.orders__v2 SET events = 0")
    [_, orders] = await store.projections.compare("orders", 2)
    assert (orders.rows, orders.is_equal) == (orders.serving_rows, False)


async def test_a_comparison_says_how_far_apart_they_are(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await reached(connection, 2, 0)
    await store.append("order-1", EventData("T"))
    async with working(store, dsn, Counting(1).projection):
        await reached(connection, 1, 1)
    rows = await connection.fetch(
        "SELECT table_name, serving_checkpoint, serving_rows, checkpoint, rows"
        " FROM eventstore.compare_projection('orders', 2, '0 s')"
    )
    assert [tuple(row) for row in rows] == [
        ("order types", 1, None, 0, 0),
        ("orders", 1, 1, 0, 0),
    ]


async def test_a_comparison_outlives_a_switch(store: EventStore, dsn: str, connection: Pg) -> None:
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await reached(connection, 2, 0)
    await store.append("order-1", EventData("T"))
    async with working(store, dsn, Counting(1).projection):
        await reached(connection, 1, 1)
    comparing = asyncio.ensure_future(store.projections.compare("orders", 2))

    async def it_looks_again_and_again() -> object:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await connection.fetch(
            "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            " AND datname = current_database()"
        )

    await until(it_looks_again_and_again, "the comparison to begin")
    await store.projections.switch("orders", 2, even_if_behind=True)
    types, orders = await comparing
    assert (orders.serving_version, types.serving_rows) == (2, 0)
