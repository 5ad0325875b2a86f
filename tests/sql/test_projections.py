"""Projections in SQL: leases that are shared and fenced, held streams, positions and waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import asyncpg
import pytest

from eventstore import EventData, EventStore
from eventstore.core.streams import partition_of
from eventstore.projections.connection import FAILURES
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_psql import Login
from tests.fix_waiting import until, until_waiting

LONG, GONE = 60.0, -1.0
"""Seconds of a lease: one that lasts, and one that has run out."""


async def register(
    connection: Pg, name: str = "orders", version: int = 1, partitions: int = 1, mark: str = "f"
) -> bool:
    made: bool = await connection.fetchval(
        "SELECT eventstore.projection_register_v1($1, $2, '{}', '{t}', $3, $4)",
        name,
        version,
        mark,
        partitions,
    )
    if made:  # leases that can be told beforehand
        await connection.execute(
            "UPDATE eventstore.projection_partitions SET lease = 0"
            " WHERE projection = $1 AND version = $2",
            name,
            version,
        )
    return made


async def lease(connection: Pg, owner: str, seconds: float = LONG) -> dict[int, tuple[Any, ...]]:
    """Give the lease, crashes and surplus of each partition that the owner holds."""
    rows = await connection.fetch(
        "SELECT partition, lease, crashes, surplus"
        " FROM eventstore.projection_lease_v1('orders', 1, $1, $2)",
        owner,
        seconds,
    )
    return {row[0]: tuple(row)[1:] for row in rows}


async def begin(connection: Pg, number: int, *streams: str) -> tuple[Any, ...]:
    row = await connection.fetchrow(
        "SELECT * FROM eventstore.projection_begin_v1('orders', 1, 0, $1, $2)",
        number,
        list(streams),
    )
    assert row is not None
    return tuple(row)


async def checkpoint(connection: Pg, number: int, position: int) -> None:
    await connection.execute(
        "SELECT eventstore.projection_checkpoint_v1('orders', 1, 0, $1, $2)", number, position
    )


async def fail(connection: Pg, stream: str, revision: int, position: int, state: str) -> None:
    await connection.execute(
        "SELECT eventstore.projection_fail_v1('orders', 1, $1, $2, $3, $4, 'why')",
        stream,
        revision,
        position,
        state,
    )


async def failures(connection: Pg) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT stream_name, revision, position, state, attempts"
        " FROM eventstore.projection_failures ORDER BY position"
    )
    return [tuple(row) for row in rows]


async def test_a_definition_is_registered_once_and_refused_if_it_has_changed(
    connection: Pg,
) -> None:
    assert await register(connection, partitions=3)
    assert not await register(connection, partitions=3)
    await connection.execute("UPDATE eventstore.projection_partitions SET checkpoint = partition")
    with pytest.raises(asyncpg.PostgresError) as refused:
        await register(connection, mark="other")
    assert refused.value.sqlstate == "ST007"
    assert json.loads(refused.value.detail or "")["known"] == "f"
    assert await register(connection, version=2)
    rows = await connection.fetch(
        "SELECT version, serving, partitions, checkpoint FROM eventstore.projection_status"
        " ORDER BY version"
    )
    assert [tuple(row) for row in rows] == [(1, True, 3, 0), (2, False, 1, 0)]


async def test_of_two_first_versions_at_once_one_serves(dsn: str, connection: Pg) -> None:
    async with new_pg(dsn) as first, new_pg(dsn) as second:
        async with first.transaction():
            await register(first, version=1)
            other = asyncio.ensure_future(register(second, version=2))
            await until_waiting(connection)
        assert await other
    assert (
        await connection.fetchval(
            "SELECT array_agg(serving ORDER BY version) FROM eventstore.projection_versions"
        )
    ) == [True, False]


async def test_partitions_are_shared_out_evenly_and_taken_over(connection: Pg) -> None:
    await register(connection, partitions=4)
    assert await lease(connection, "a") == dict.fromkeys(range(4), (1, 0, False))
    # The newcomer finds nothing free; the first one is told that it has more than its share.
    assert await lease(connection, "b") == {}
    assert await lease(connection, "a") == {n: (1, 0, n >= 2) for n in range(4)}
    for surplus in (2, 3):
        await connection.execute(
            "SELECT eventstore.projection_release_v1('orders', 1, 'a', $1)", surplus
        )
    assert await lease(connection, "b") == {2: (2, 0, False), 3: (2, 0, False)}
    # One ends in order, the other without a word: there was nothing that could have been the cause.
    await connection.execute("SELECT eventstore.projection_release_v1('orders', 1, 'a')")
    await lease(connection, "b", GONE)
    assert await lease(connection, "c", GONE) == dict.fromkeys(range(4), (3, 0, False))
    # With an event to apply that is counted as a crash.
    await connection.execute("SELECT eventstore.append('order-1', 'T')")
    assert await lease(connection, "d") == dict.fromkeys(range(4), (4, 1, False))


@pytest.mark.parametrize(
    ("workers", "shares", "moves"),
    [("abc", [2, 1, 1], 3), ("cba", [2, 1, 1], 3), ("edcba", [1, 1, 1, 1, 0], 4)],
)
async def test_no_worker_holds_more_than_one_partition_above_another(
    connection: Pg, workers: str, shares: list[int], moves: int
) -> None:
    await register(connection, partitions=4)
    release = "SELECT eventstore.projection_release_v1('orders', 1, $1, $2)"
    moved = 0
    for count in range(1, len(workers) + 1):
        for owner in 2 * workers[:count]:
            for partition, (_, _, surplus) in (await lease(connection, owner)).items():
                if surplus:
                    moved += 1
                    await connection.execute(release, owner, partition)
    held = [await lease(connection, owner) for owner in workers]
    assert sorted(map(len, held), reverse=True) == shares
    assert not any(surplus for one in held for _, _, surplus in one.values())
    assert moved == moves


async def test_two_heartbeats_at_once_do_not_take_more_than_their_share(
    dsn: str, connection: Pg
) -> None:
    await register(connection, partitions=2)
    async with new_pg(dsn) as first, new_pg(dsn) as second:
        async with first.transaction():
            assert set(await lease(first, "a")) == {0, 1}
            other = asyncio.ensure_future(lease(second, "b"))
            await until_waiting(connection)
        assert await other == {}


async def test_a_runner_whose_lease_was_taken_over_writes_nothing(connection: Pg) -> None:
    await register(connection)
    assert (await lease(connection, "a", GONE))[0][0] == 1
    await checkpoint(connection, 1, 5)  # it ran out, but nobody has taken it
    assert (await lease(connection, "b"))[0][:2] == (2, 0)
    for late in (begin(connection, 1), checkpoint(connection, 1, 9)):
        with pytest.raises(asyncpg.PostgresError) as refused:
            await late
        assert refused.value.sqlstate == "ST006"
    assert await begin(connection, 2) == (5, True, [], [], False, True)
    await checkpoint(connection, 2, 9)
    assert (await lease(connection, "b"))[0] == (2, 0, False)
    with pytest.raises(asyncpg.PostgresError):
        await checkpoint(connection, 2, 8)  # never backwards


async def test_a_runner_of_what_was_dropped_writes_nothing_into_what_is_begun_anew(
    connection: Pg,
) -> None:
    made = "SELECT eventstore.projection_register_v1('orders', 1, '{}', '{t}', 'f', 1)"
    await connection.execute(made)
    [(late, _, _)] = (await lease(connection, "a", GONE)).values()
    await connection.execute("SELECT eventstore.drop_projection('orders')")
    await connection.execute(made)
    assert set(await lease(connection, "b")) == {0}
    with pytest.raises(asyncpg.PostgresError) as refused:
        await begin(connection, late)
    assert refused.value.sqlstate == "ST006"


async def test_a_takeover_waits_for_a_batch_under_way(dsn: str, connection: Pg) -> None:
    await register(connection)
    await lease(connection, "a", GONE)
    async with new_pg(dsn) as stale, new_pg(dsn) as other:
        async with stale.transaction():
            await begin(stale, 1)
            # It is passed over while its batch is under way, not waited for.
            assert await lease(other, "b") == {}
            await checkpoint(stale, 1, 3)
        assert (await lease(other, "b"))[0][0] == 2
    assert (await begin(connection, 2))[0] == 3


async def test_a_worker_that_is_heard_of_keeps_what_it_never_has_free(
    dsn: str, connection: Pg
) -> None:
    """A long batch, or appends that apply it in a row, hold the partition all the time."""
    await register(connection)
    await lease(connection, "a", GONE)
    async with new_pg(dsn) as runner:
        async with runner.transaction():
            await begin(runner, 1)
            assert set(await lease(connection, "a")) == {0}
        assert await lease(connection, "b") == {}
    row = await connection.fetchrow(
        "SELECT state, leased_partitions FROM eventstore.projection_status"
    )
    assert row is not None
    assert tuple(row) == ("running", 1)
    await begin(connection, 1)


@asynccontextmanager
async def standing_still(dsn: str) -> AsyncIterator[Pg]:
    """A worker's connection in the middle of a batch, between two messages of a statement."""
    runner = await asyncpg.connect(dsn, server_settings={"application_name": "eventstore worker"})
    try:
        await runner.execute("BEGIN")
        await begin(runner, 1)
        await runner.prepare("SELECT 1")
        yield runner
    finally:
        runner.terminate()


async def beat(connection: Pg, owner: str) -> list[int]:
    """Give the partitions that a worker holds after a heartbeat."""
    rows = await connection.fetch(
        "SELECT partition FROM eventstore.projection_beat_v1('orders', 1, $1, 60)", owner
    )
    return [row[0] for row in rows]


async def test_a_batch_that_stands_still_is_ended_once_its_worker_is_not_heard_of(
    dsn: str, connection: Pg
) -> None:
    await register(connection)
    await lease(connection, "a")
    async with standing_still(dsn) as runner:
        state = "SELECT state FROM pg_stat_activity WHERE pid = $1"
        assert await connection.fetchval(state, runner.get_server_pid()) == "active"
        assert await beat(connection, "b") == []
        await begin(runner, 1)
        await runner.prepare("SELECT 2")
        await lease(connection, "a", GONE)

        async def taken_over() -> bool:
            return await beat(connection, "b") == [0]

        await until(taken_over, "the partition to be taken over")
        with pytest.raises(FAILURES):
            await runner.execute("COMMIT")


async def test_a_batch_of_another_login_is_told_of_and_left_alone(
    dsn: str, connection: Pg, login: Login
) -> None:
    await register(connection)
    await lease(connection, "a", GONE)
    told: list[str] = []
    async with standing_still(dsn) as runner, new_pg(login("eventstore_worker", dsn)) as other:
        other.add_log_listener(lambda _, notice: told.append(notice.message))
        assert await beat(other, "b") == []
        await runner.execute("COMMIT")
        assert await beat(other, "b") == [0]
    [warning] = told
    assert "worker a stands still in a batch of projection" in warning


async def test_a_paused_projection_is_leased_to_nobody(connection: Pg) -> None:
    await register(connection)
    await connection.execute("SELECT eventstore.pause_projection('orders')")
    assert await lease(connection, "a") == {}
    await connection.execute("SELECT eventstore.resume_projection('orders', 1)")
    assert set(await lease(connection, "a")) == {0}
    with pytest.raises(asyncpg.PostgresError) as unknown:
        await connection.execute("SELECT eventstore.pause_projection('none')")
    assert unknown.value.sqlstate == "ST008"


async def test_parked_streams_are_held_retried_and_skipped(
    store: EventStore, connection: Pg
) -> None:
    await register(connection)
    await lease(connection, "a")
    await store.append("order-1", [EventData("T")] * 3)
    await fail(connection, "order-1", 1, 2, "parked")
    assert await begin(connection, 1, "order-1", "order-2") == (
        0,
        True,
        ["order-1"],
        [],
        False,
        False,
    )
    assert await connection.fetchval("SELECT eventstore.retry_parked('orders', 'order-2')") == 0
    assert await connection.fetchval("SELECT eventstore.retry_parked('orders')") == 1
    tried = "SELECT eventstore.projection_retry_v1('orders', 1, 'order-1')"
    assert await connection.fetchval(tried) == 1
    # Asked again before it has been tried: the same answer, and tries are not counted anew.
    assert await connection.fetchval("SELECT eventstore.retry_parked('orders', 'order-1')") == 1
    assert await connection.fetchval(tried) == 2
    await fail(connection, "order-1", 1, 2, "parked")
    assert await failures(connection) == [("order-1", 1, 2, "parked", 2)]
    skipped = "SELECT eventstore.skip_parked('orders', 'order-1')"
    assert await connection.fetchval(skipped) == 2
    assert await failures(connection) == [
        ("order-1", 1, 2, "skipped", 2),
        ("order-1", 2, 3, "retrying", 0),
    ]
    assert (await begin(connection, 1, "order-1"))[2] == ["order-1"]
    assert await connection.fetchval(skipped) is None
    await connection.execute("SELECT eventstore.projection_unpark_v1('orders', 1, 'order-1')")
    assert await begin(connection, 1, "order-1") == (0, True, [], [2], False, False)
    assert await failures(connection) == [("order-1", 1, 2, "skipped", 2)]
    await checkpoint(connection, 1, 2)
    assert await begin(connection, 1, "order-1") == (2, True, [], [], False, True)


async def test_a_stream_is_not_skipped_while_a_batch_is_under_way(
    dsn: str, store: EventStore, connection: Pg
) -> None:
    await register(connection)
    await lease(connection, "a")
    await store.append("order-1", EventData("T"))
    await fail(connection, "order-1", 0, 1, "parked")
    async with new_pg(dsn) as runner, new_pg(dsn) as operator:
        async with runner.transaction():
            assert (await begin(runner, 1, "order-1"))[2] == ["order-1"]
            skipping = asyncio.ensure_future(
                operator.fetchval("SELECT eventstore.skip_parked('orders', 'order-1')")
            )
            await until_waiting(connection)
            await store.append("order-1", EventData("T"))
            await checkpoint(runner, 1, 2)  # it has passed over the new event
        assert await skipping == 1
    assert await failures(connection) == [
        ("order-1", 0, 1, "skipped", 1),
        ("order-1", 1, 2, "retrying", 0),
    ]


async def test_a_heartbeat_does_not_wait_for_a_batch_under_way(dsn: str, connection: Pg) -> None:
    await register(connection, partitions=2)
    await lease(connection, "a")
    async with new_pg(dsn) as runner, runner.transaction():
        await begin(runner, 1)
        assert await lease(connection, "a") == {0: (1, 0, False), 1: (1, 0, False)}
        assert await lease(connection, "b") == {}


async def test_a_position_in_a_stream_is_the_highest_revision_below_the_checkpoint(
    store: EventStore, connection: Pg
) -> None:
    await register(connection)
    await lease(connection, "a")
    for stream in ("a-1", "b-1", "a-1", "a-1"):
        await store.append(stream, EventData("T"))
    position = "SELECT eventstore.projection_position('orders', $1)"
    for reached, revision in ((0, -1), (1, 0), (2, 0), (3, 1), (4, 2)):
        await checkpoint(connection, 1, reached)
        assert await connection.fetchval(position, "a-1") == revision
    await fail(connection, "a-1", 1, 3, "parked")
    assert await connection.fetchval(position, "a-1") == 0
    assert await connection.fetchval(position, "b-1") == 0
    assert await connection.fetchval(position, "none") == -1
    assert await connection.fetchval("SELECT eventstore.projection_position('none', 'a-1')") is None
    rows = await connection.fetch("TABLE eventstore.projection_positions")
    assert [tuple(row) for row in rows] == [
        ("orders", "a-1", 0, 2, True),
        ("orders", "b-1", 0, 0, False),
    ]


async def test_a_wait_ends_when_the_checkpoint_arrives_or_the_time_is_over(
    dsn: str, store: EventStore, connection: Pg
) -> None:
    await register(connection)
    await lease(connection, "a")
    for _ in range(3):
        await store.append("a-1", EventData("T"))
    assert await connection.fetchval("SELECT eventstore.wait_for('orders', 0, '0')") is True
    assert await connection.fetchval("SELECT eventstore.wait_for('orders', 1, '0')") is False
    told: list[str] = []
    connection.add_log_listener(lambda _, notice: told.append(notice.message))
    for never in ("1", "4", "'a-1', 2", "'a-1', 3"):
        waited = f"SELECT eventstore.wait_for('orders', {never}, '0'::interval)"
        assert await connection.fetchval(waited) is False
    await connection.execute("SELECT 1")  # by then the notices are told
    assert told == [
        "position 4 is not written yet",
        'revision 3 of stream "a-1" is not written yet',
    ]
    async with new_pg(dsn) as other:
        for wait in (
            "SELECT eventstore.wait_for('orders', 2, '20 s')",
            "SELECT eventstore.wait_for('orders', 'a-1', 2, '20 s')",
        ):
            waiting = asyncio.ensure_future(other.fetchval(wait))
            await _sleeps(connection)
            reached = await connection.fetchval(
                "SELECT checkpoint FROM eventstore.projection_status"
            )
            await checkpoint(connection, 1, reached + 2)
            assert await waiting is True
    assert await connection.fetchval(
        "SELECT eventstore.wait_for('orders', 'a-1', 2, '0'::interval)"
    )


async def _sleeps(connection: Pg) -> None:
    """Wait until a backend sleeps within `wait_for`."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    async with asyncio.timeout(20):
        while not await connection.fetchval(query):
            await connection.execute("SELECT pg_stat_clear_snapshot()")


async def test_a_wait_in_vain_is_refused_at_once(store: EventStore, connection: Pg) -> None:
    await register(connection)
    await lease(connection, "a")
    await store.append("a-1", [EventData("T")] * 2)
    await checkpoint(connection, 1, 1)
    await fail(connection, "a-1", 1, 2, "parked")

    async def refused(sql: str) -> tuple[str, str]:
        with pytest.raises(asyncpg.PostgresError) as error:
            await connection.execute(sql)
        return str(error.value.sqlstate), str(error.value).partition("\n")[0]

    parked = await refused("SELECT eventstore.wait_for('orders', 'a-1', 1, '20 s')")
    assert parked == (
        "ST009",
        'stream "a-1" is parked in projection "orders" at revision 1: why',
    )
    assert await connection.fetchval("SELECT eventstore.wait_for('orders', 'a-1', 0, '20 s')")
    for none in ("'none', 1", "'none', 'a-1', 0"):
        assert (await refused(f"SELECT eventstore.wait_for({none}, '20 s')"))[0] == "ST008"
    await checkpoint(connection, 1, 2)
    await connection.execute("SELECT eventstore.retry_parked('orders')")
    for event in ("2", "'a-1', 1"):
        assert not await connection.fetchval(f"SELECT eventstore.wait_for('orders', {event}, '0')")
    await connection.execute("SELECT eventstore.projection_stop_v1('orders', 1, 'no disk')")
    stopped = await refused("SELECT eventstore.wait_for('orders', 9, '20 s')")
    assert stopped == ("ST009", 'projection "orders" is stopped: no disk')
    assert await connection.fetchval("SELECT eventstore.wait_for('orders', 1, '20 s')")


def test_a_streams_partition_is_the_same_in_python(sql: Psql) -> None:
    for stream, count in product(["a", "order-1", "ż-1", "\U0001f600", "x" * 255], [1, 2, 7, 64]):
        row = sql.execute("SELECT eventstore.partition_of(%s, %s)", [stream, count]).fetchone()
        assert row == (partition_of(stream, count),)
