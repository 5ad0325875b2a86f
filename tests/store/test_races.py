"""Races that exactly one may win, or that all must survive: let go all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    Append,
    AppendCondition,
    Appended,
    ConditionFailed,
    EventData,
    EventQuery,
    EventStore,
    ExpectedRevision,
    RevisionConflict,
)
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_waiting import dense, until_waiting

Racers = Callable[[EventStore], AsyncIterator[Sequence[Pg | None]]]


@asynccontextmanager
async def through_one_store(dsn: str, count: int) -> AsyncIterator[Sequence[Pg | None]]:
    """Racers that share batches."""
    yield [None] * count


@asynccontextmanager
async def through_connections(dsn: str, count: int) -> AsyncIterator[Sequence[Pg | None]]:
    """Racers with a connection and a transaction each."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(new_pg(dsn)) for _ in range(count)]


ways = pytest.mark.parametrize("way", [through_one_store, through_connections])


async def race(referee: Pg, racers: Sequence[Awaitable[Any]], waiting: int) -> list[Any]:
    """Hold the append lock until that many wait for it, then let go; give every outcome."""
    async with referee.transaction():
        await referee.execute("SELECT FROM eventstore.log FOR UPDATE")
        running = asyncio.gather(*racers, return_exceptions=True)
        await until_waiting(referee, waiting)
    return await running


@ways
@pytest.mark.parametrize(("stored", "expected"), [(0, NO_STREAM), (3, 2)])
async def test_of_16_writers_on_one_revision_exactly_one_wins(
    store: EventStore, dsn: str, connection: Pg, way: Any, stored: int, expected: ExpectedRevision
) -> None:
    if stored:
        await store.append("order-1", [EventData("T")] * stored)
    async with way(dsn, 16) as connections:
        racers = [
            store.append("order-1", EventData("T", n), expected_revision=expected, connection=own)
            for n, own in enumerate(connections)
        ]
        outcomes = await race(connection, racers, 16 if connections[0] else 1)
    [winner] = [o for o in outcomes if isinstance(o, Appended)]
    assert (winner.revision, winner.position) == (stored, stored + 1)
    losers = [o for o in outcomes if isinstance(o, RevisionConflict)]
    assert [loser.current_revision for loser in losers] == [stored] * 15
    assert await dense(connection) == stored + 1


@ways
async def test_20_parallel_appends_with_any_revision_are_all_stored(
    store: EventStore, dsn: str, connection: Pg, way: Any
) -> None:
    async with way(dsn, 20) as connections:
        racers = [
            store.append("order-1", EventData("T", n), expected_revision=ANY, connection=own)
            for n, own in enumerate(connections)
        ]
        outcomes = await race(connection, racers, 20 if connections[0] else 1)
    assert sorted(outcome.revision for outcome in outcomes) == list(range(20))
    stored = {e.revision: e.data async for e in store.read_stream("order-1")}
    assert [stored[outcome.revision] for outcome in outcomes] == list(range(20))
    assert await dense(connection) == 20


@ways
@pytest.mark.parametrize(
    "query",
    [
        EventQuery(tags=["seat:12A"]),
        EventQuery(types=["Booked"]),
        EventQuery(categories=["flight"]),
        EventQuery(streams=["flight-7"]),
    ],
    ids=lambda query: query.to_json(),
)
async def test_of_16_that_race_on_one_condition_exactly_one_wins(
    store: EventStore, dsn: str, connection: Pg, way: Any, query: EventQuery
) -> None:
    booked = EventData("Booked", tags=["seat:12A"])
    async with way(dsn, 16) as connections:
        racers = [
            store.append_many(
                [Append(f"own-{n}", [booked]), Append("flight-7", [booked])],
                condition=AppendCondition(query),
                connection=own,
            )
            for n, own in enumerate(connections)
        ]
        outcomes = await race(connection, racers, 16 if connections[0] else 1)
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ConditionFailed) for outcome in outcomes) == 15
    assert await dense(connection) == 2


async def test_looking_before_appending_would_let_two_win(store: EventStore, dsn: str) -> None:
    query = EventQuery(tags=["seat:12A"])
    barrier = asyncio.Barrier(2)

    async def naive(other: EventStore) -> Appended | None:
        seen = [event async for event in other.read(query, limit=1)]
        await barrier.wait()
        return None if seen else await other.append("f", EventData("Booked", tags=["seat:12A"]))

    async with EventStore(dsn) as second:
        outcomes = await asyncio.gather(naive(store), naive(second))
    assert all(outcomes)


async def test_20_copies_of_one_append_over_20_connections_store_one(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with through_connections(dsn, 20) as connections:
        racers = [
            store.append("a", [EventData("T")] * 2, idempotency_key="k", connection=own)
            for own in connections
        ]
        outcomes = await race(connection, racers, 20)
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 19
    assert len({outcome[:5] for outcome in outcomes}) == 1
    assert await dense(connection) == 2


async def test_threads_that_share_a_sync_store_take_turns(
    sync_store: SyncEventStore, sql: Psql, connection: Pg
) -> None:
    outcomes = await asyncio.gather(
        *[
            asyncio.to_thread(
                sync_store.append, "order-1", EventData("T", n), expected_revision=NO_STREAM
            )
            for n in range(8)
        ],
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RevisionConflict) for outcome in outcomes) == 7
    assert await dense(connection) == 1
