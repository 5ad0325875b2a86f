"""`store.projections` through every face: what is told of projections, and what operators do."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore import (
    EventData,
    EventStore,
    InvalidInput,
    NotFound,
    ParkedStream,
    ProjectionRefused,
)
from tests.fix_database import Pg
from tests.fix_faces import Face
from tests.fix_waiting import DEADLINE
from tests.projections.orders import Orders, counts, reached, working
from tests.projections.versions import Counting, names
from tests.projections.versions import reached as both_reached

BESIDE = """
INSERT INTO eventstore.projection_versions (projection, version, query, tables, fingerprint, partitions, serving)
SELECT projection, 2, query, tables, 'other', 1, false FROM eventstore.projection_versions;
INSERT INTO eventstore.projection_partitions (projection, version, partition, epoch, checkpoint)
VALUES ('orders', 2, 0, 1, 3);
INSERT INTO eventstore.projection_failures (projection, version, stream_name, revision, position, state, error)
VALUES ('orders', 2, 'order-9', 0, 1, 'parked', 'of version 2')
"""  # noqa: E501
"""A second version, which does not serve, with a parked stream of its own."""


async def test_versions_are_told_apart(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", [EventData("T")] * 3)
        await reached(connection, 3)
    await connection.execute(BESIDE)
    first, second = await face.projections.all()
    assert first == await face.projections.get("orders")
    assert (first.version, first.serving, first.checkpoint) == (1, True, 3)
    assert first.tables == ["orders"]
    assert first.moved_at == await connection.fetchval(
        "SELECT moved_at FROM eventstore.projection_partitions WHERE version = 1"
    )
    assert await face.projections.get("orders", version=2) == second
    assert (second.version, second.serving, second.parked_streams) == (2, False, 1)
    assert second.moved_at is None

    await face.projections.pause("orders", version=2)
    states = [one.state for one in await face.projections.all()]
    assert states == ["waiting", "paused"]
    await face.projections.resume("orders", version=2)
    assert (await face.projections.get("orders", version=2)).state == "waiting"

    assert await face.projections.parked("orders") == []
    [parked] = await face.projections.parked("orders", version=2)
    assert (parked.stream_name, parked.state, parked.error) == ("order-9", "parked", "of version 2")
    with pytest.raises(NotFound, match="not parked"):
        await face.projections.retry("orders", "order-9")
    assert await face.projections.retry("orders", "order-9", version=2) == 1
    [parked] = await face.projections.parked("orders", version=2)
    assert parked.state == "retrying"
    await connection.execute("UPDATE eventstore.projection_failures SET state = 'parked'")
    assert await face.projections.retry("orders") == 0
    with pytest.raises(NotFound, match="not parked"):
        await face.projections.skip("orders", "order-9")
    assert await face.projections.skip("orders", "order-9", version=2) == 1
    assert (await face.projections.get("orders", version=2)).skipped_events == 1


async def test_parked_streams_are_told_retried_and_skipped(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    odd = "order-/ü?"
    async with working(store, dsn, made.projection):
        for stream in ("order-1", odd, "order-3"):
            await store.append(stream, [EventData("T"), EventData("Fragile"), EventData("T")])
        await reached(connection, 9)
        parked = await face.projections.parked("orders")
        failed_at = await connection.fetchval(
            "SELECT failed_at FROM eventstore.projection_failures WHERE stream_name = $1", odd
        )
        error = parked[1].error
        assert error.startswith("ValueError: broken (orders.py:")
        assert parked[1] == ParkedStream(odd, 1, 5, "parked", error, 1, failed_at)
        assert parked[:1] == await face.projections.parked("orders", limit=1)
        assert await face.projections.position("orders", odd) == 0
        assert await face.projections.position("orders", "order-none") == -1

        assert await face.projections.skip("orders", odd) == 5
        assert await face.wait_for("orders", stream=odd, revision=2, timeout=DEADLINE) >= 9
        made.broken = False
        assert await face.projections.retry("orders") == 2
        for stream in ("order-1", "order-3"):
            await face.wait_for("orders", stream=stream, revision=2, timeout=DEADLINE)
    assert await counts(connection) == {"order-1": 3, odd: 2, "order-3": 3}


async def test_what_is_not_there_is_not_found(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
    known_by: list[dict[str, Any]] = [{}, {"version": 7}]
    for of in known_by:
        name = "orders" if of else "none"
        for ask in (
            face.projections.get(name, **of),
            face.projections.parked(name, **of),
            face.projections.pause(name, **of),
            face.projections.resume(name, **of),
            face.projections.retry(name, **of),
            face.projections.retry(name, "a", **of),
            face.projections.skip(name, "a", **of),
        ):
            with pytest.raises(NotFound, match="there is no projection"):
                await ask
    with pytest.raises(NotFound, match="there is no projection"):
        await face.projections.position("none", "a")
    with pytest.raises(InvalidInput):
        await face.projections.parked("orders", limit=0)


async def test_a_version_is_compared_switched_to_rebuilt_and_dropped(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    versions = [Counting(n).projection for n in (1, 2)]
    async with working(store, dsn, *versions):
        await store.append("order-1", [EventData("T")] * 3)
        await both_reached(connection, 1, 3)
        await both_reached(connection, 2, 3)
        [table] = [t for t in await face.projections.compare("orders", 2) if t.table == "orders"]
        assert table.is_equal
        assert (table.rows, table.checkpoint, table.serving_checkpoint) == (1, 3, 3)
        assert await face.projections.switch("orders", 2) == 1
        assert await face.projections.switch("orders", 2) == 2
        assert (await face.projections.get("orders")).version == 2
        with pytest.raises(ProjectionRefused):
            await face.projections.drop("orders", 2)
        with pytest.raises(ProjectionRefused):
            await face.projections.rebuild("orders", 2)
        await face.projections.rebuild("orders", 1)
    await face.projections.drop("orders", 1)
    assert [one.version for one in await face.projections.all()] == [2]


async def test_a_projection_goes_as_a_whole_once_no_worker_runs_it(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    versions = [Counting(n) for n in (1, 2)]
    versions[0].broken = "Fragile"
    async with working(store, dsn, *(one.projection for one in versions)):
        await store.append("order-1", [EventData("T"), EventData("Fragile")])
        await both_reached(connection, 1, 2)
        await both_reached(connection, 2, 2)
        with pytest.raises(ProjectionRefused, match=r"is run by worker .*pause"):
            await face.projections.drop("orders")
        await face.projections.pause("orders")
        with pytest.raises(ProjectionRefused, match=r"version 2 .* is run by worker"):
            await face.projections.drop("orders")
        await face.projections.pause("orders", version=2)
        await face.projections.drop("orders")
        assert await face.projections.all() == []
        with pytest.raises(NotFound, match="there is no projection"):
            await face.projections.drop("orders")
        with pytest.raises(NotFound, match="there is no projection"):
            await face.wait_for("orders", position=2, timeout=DEADLINE)
    assert await names(connection) == []
    for table in ("partitions", "workers", "failures"):
        assert not await connection.fetch(f"TABLE eventstore.projection_{table}")
    async with working(store, dsn, versions[1].projection):  # a worker that still has it
        await both_reached(connection, 2, 2)
    assert await names(connection) == ["order types", "orders"]
