"""A line that breaks under an append: it is stored once, and its caller is told the truth (G5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventstore import (
    NO_STREAM,
    STREAM_EXISTS,
    Appended,
    EventData,
    EventStore,
    OutcomeUnknown,
    RevisionConflict,
    Unavailable,
)
from eventstore.core.append import encode_append, make_request
from eventstore.core.batching import columns
from eventstore.ids import new_event_ids
from eventstore.postgres.statements import statements
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, new_pg
from tests.fix_proxy import Proxy, new_proxy
from tests.fix_waiting import DEADLINE, dense, until, until_waiting

TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'eventstore%'
"""


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    """A line to the test's database."""
    async with new_proxy(dsn) as line:
        yield line


@pytest.fixture
async def distant(proxy: Proxy) -> AsyncIterator[EventStore]:
    """An open store behind the proxy."""
    async with EventStore(proxy.dsn) as opened:
        yield opened


async def test_a_backend_that_is_ended_while_it_waits_stores_its_batch_once(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with new_pg(dsn) as holder, holder.transaction():
        await holder.execute("SELECT FROM eventstore.log FOR UPDATE")
        appends = [
            asyncio.create_task(store.append(f"s-{n % 5}", [EventData("T", n)] * 2))
            for n in range(10)
        ]
        [first] = await until_waiting(connection)
        await connection.execute(TERMINATE)

        async def is_back() -> bool:
            return any(pid != first for pid in await until_waiting(connection))

        await until(is_back, "the batch to be sent again")
    answers = await asyncio.gather(*appends)
    assert await dense(connection) == 20
    for n, answer in enumerate(answers):
        assert (await store.event(answer.event_ids[1])).position == answer.position
        assert (await store.event(answer.event_ids[0])).data == n


async def test_backends_that_are_ended_while_idle_harm_nobody(
    store: EventStore, connection: Pg
) -> None:
    for n in range(3):
        assert (await store.append("a", EventData("T"))).position == n + 1
        assert [e.position async for e in store.read()] == list(range(1, n + 2))
        await connection.execute(TERMINATE)

        async def are_gone() -> bool:
            return not await connection.fetch(TERMINATE)

        await until(are_gone, "the end of the backends")


async def lose_the_answer(proxy: Proxy, connection: Pg, stored: int) -> None:
    """Wait until that many events are stored and the answer is lost, then cut the line."""

    async def is_stored() -> bool:
        return bool(await dense(connection) == stored)

    await until(is_stored, "the events to be stored")
    await asyncio.wait_for(proxy.swallowed.wait(), 10)
    proxy.swallows = False
    proxy.cut()


async def test_a_lost_attempt_that_still_waits_is_ended_before_it_is_sent_again(
    distant: EventStore, proxy: Proxy, dsn: str, connection: Pg
) -> None:
    """Else it would be refused now, and its first attempt stored when the stream is there."""
    async with new_pg(dsn) as holder:
        async with holder.transaction():
            await holder.execute("SELECT FROM eventstore.log FOR UPDATE")
            append = asyncio.create_task(
                distant.append("a", EventData("T"), expected_revision=STREAM_EXISTS)
            )
            [first] = await until_waiting(connection)
            proxy.cut()

            async def is_sent_again() -> bool:
                return await until_waiting(connection) != [first]

            await until(is_sent_again, "the append to be sent again")
            [second] = await until_waiting(connection)
            assert second != first
        with pytest.raises(RevisionConflict):
            await append
        await distant.append("a", EventData("T"), connection=holder)
    assert await dense(connection) == 1


@pytest.mark.parametrize("callers", [1, 8])
async def test_an_answer_lost_after_the_commit_is_found_again_and_nothing_stored_twice(
    distant: EventStore, proxy: Proxy, connection: Pg, callers: int
) -> None:
    await distant.append("warm", EventData("T"))
    proxy.swallows = True
    appends = [
        asyncio.create_task(
            distant.append(f"s-{n}", [EventData("T", n)] * 2, expected_revision=NO_STREAM)
        )
        for n in range(callers)
    ]
    await lose_the_answer(proxy, connection, 1 + 2 * callers)
    answers = await asyncio.gather(*appends)
    assert sorted(answer.position for answer in answers) == [3 + 2 * n for n in range(callers)]
    assert await dense(connection) == 1 + 2 * callers
    for n, answer in enumerate(answers):
        assert (answer.stream_name, answer.first_revision, answer.revision) == (f"s-{n}", 0, 1)
        assert (await distant.event(answer.event_ids[1])).position == answer.position


async def test_looking_no_ids_up_would_refuse_an_append_that_is_stored(connection: Pg) -> None:
    append = encode_append("a", [EventData("T")], NO_STREAM)
    request = make_request([append], new_ids=new_event_ids(1))
    answers = [
        await connection.fetch(statements()["append"], *columns([request], look_up_ids=again))
        for again in (False, False, True)
    ]
    assert [row["outcome"] for [row] in answers] == ["appended", "revision_conflict", "replayed"]


async def test_a_refusal_whose_answer_is_lost_is_refused_again(
    distant: EventStore, proxy: Proxy, connection: Pg
) -> None:
    await distant.append("a", EventData("T"))
    proxy.swallows = True
    append = asyncio.create_task(distant.append("a", EventData("T"), expected_revision=NO_STREAM))
    await lose_the_answer(proxy, connection, 1)
    with pytest.raises(RevisionConflict):
        await append
    assert await dense(connection) == 1


async def test_a_line_that_is_cut_again_and_again_loses_and_doubles_nothing(
    distant: EventStore, proxy: Proxy, connection: Pg
) -> None:
    acknowledged = 0

    async def writer(number: int) -> list[Appended]:
        nonlocal acknowledged
        answers = []
        for n in range(40):
            answers.append(await distant.append(f"s-{number}", EventData("T", n)))
            acknowledged += 1
            if acknowledged % 7 == 0:  # the other lane is under way
                proxy.cut()
        return answers

    answers = await asyncio.gather(*map(writer, range(6)))
    assert await dense(connection) == 240
    for number, of_writer in enumerate(answers):
        assert [answer.revision for answer in of_writer] == list(range(40))
        stored = await connection.fetch(
            "SELECT event_id::text, data FROM eventstore.events"
            " WHERE stream_name = $1 ORDER BY revision",
            f"s-{number}",
        )
        assert [row[0] for row in stored] == [answer.event_ids[0] for answer in of_writer]
        assert [int(row[1]) for row in stored] == list(range(40))


async def test_a_sync_store_says_that_it_does_not_know_and_a_retry_finds_out(
    dsn: str, proxy: Proxy, connection: Pg
) -> None:
    def opened() -> SyncEventStore:
        store = SyncEventStore(proxy.dsn)
        store.open()
        return store

    store = await asyncio.to_thread(opened)
    try:
        proxy.swallows = True
        append = asyncio.create_task(asyncio.to_thread(store.append, "a", EventData("T")))
        await lose_the_answer(proxy, connection, 1)
        with pytest.raises(OutcomeUnknown) as unknown:
            await append
        [event_id] = unknown.value.event_ids
        again = await asyncio.to_thread(store.append, "a", EventData("T", event_id=event_id))
        assert (again.replayed, again.position) == (True, 1)
        assert await dense(connection) == 1
    finally:
        await asyncio.to_thread(store.close)


async def test_a_call_that_is_cancelled_while_its_connection_breaks_is_cancelled(
    store: EventStore, connection: Pg
) -> None:
    """An error in its place would be taken for a passing one, by a task that is to end."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE eventstore.log IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(store.head())
        await until_waiting(connection)
        pool: Any = store._pool_or_fail()
        [line] = [holder._con for holder in pool._holders if holder._in_use]
        reading.cancel()
        await asyncio.sleep(0)  # now the call begins to give the connection back
        line.terminate()
        await asyncio.wait([reading], timeout=DEADLINE)
    assert reading.cancelled()


async def test_a_call_that_takes_too_long_is_not_taken_for_a_cancelled_one(
    store: EventStore,
) -> None:
    with pytest.raises(Unavailable, match="TimeoutError"):
        await store._run("SELECT pg_sleep(60)", [], limit=0.05)


async def test_a_call_that_its_caller_gives_up_in_time_is_a_timeout(
    store: EventStore, connection: Pg
) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE eventstore.log IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.head()
