"""Positions follow commit order (G1), whatever writers do; naive stores are shown to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest

from eventstore import Append, EventData, EventStore
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import dense, until, until_waiting


class Log(NamedTuple):
    """A way to give out positions, in SQL."""

    append: str
    read: str


STORE = Log(
    "SELECT eventstore.append('order-1', 'T')",
    "SELECT position FROM eventstore.events WHERE position > $1 ORDER BY position",
)
SERIAL = Log(
    "INSERT INTO serial DEFAULT VALUES",
    "SELECT position FROM serial WHERE position > $1 ORDER BY position",
)
BY_TRANSACTION = Log(
    "INSERT INTO serial DEFAULT VALUES",
    "SELECT position FROM serial WHERE position > $1"
    " AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY position",
)
NAIVE = """
CREATE TABLE serial (position bigserial PRIMARY KEY, xid xid8 DEFAULT pg_current_xact_id())
"""


class Reader:
    """Polls for what is behind the last position that it has seen."""

    def __init__(self, connection: Pg, log: Log) -> None:
        self._connection = connection
        self._log = log
        self.seen: list[int] = []

    async def poll(self) -> list[int]:
        last = self.seen[-1] if self.seen else 0
        self.seen += [row[0] for row in await self._connection.fetch(self._log.read, last)]
        return self.seen


@pytest.fixture
async def three(dsn: str) -> AsyncIterator[tuple[Pg, Pg, Pg]]:
    """Two writers' connections and a reader's, and the naive table."""
    async with AsyncExitStack() as stack:
        slow, fast, reader = [await stack.enter_async_context(new_pg(dsn)) for _ in range(3)]
        await slow.execute(NAIVE)
        yield slow, fast, reader


async def slow_writer(three: tuple[Pg, Pg, Pg], log: Log, *, commits: bool) -> list[int]:
    """One appends and ends late, another appends in between; give what a reader sees."""
    slow, fast, connection = three
    reader = Reader(connection, log)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(log.append)
    second = asyncio.create_task(fast.execute(log.append))
    if log is STORE:
        await until_waiting(connection)
    else:
        await second
    await reader.poll()
    await (transaction.commit() if commits else transaction.rollback())
    await second
    return await reader.poll()


async def test_a_reader_never_sees_a_later_position_before_a_slow_writers(
    three: tuple[Pg, Pg, Pg],
) -> None:
    assert await slow_writer(three, STORE, commits=True) == [1, 2]


async def test_a_sequence_loses_the_slow_writers_event(three: tuple[Pg, Pg, Pg]) -> None:
    assert await slow_writer(three, SERIAL, commits=True) == [2]


async def test_a_rolled_back_writer_leaves_no_gap(three: tuple[Pg, Pg, Pg]) -> None:
    assert await slow_writer(three, STORE, commits=False) == [1]


async def test_a_sequence_leaves_a_gap(three: tuple[Pg, Pg, Pg]) -> None:
    assert await slow_writer(three, SERIAL, commits=False) == [2]


@pytest.mark.parametrize(("log", "seen"), [(STORE, [1]), (BY_TRANSACTION, [])])
async def test_an_unrelated_long_transaction_neither_blocks_nor_hides_anything(
    three: tuple[Pg, Pg, Pg], log: Log, seen: list[int]
) -> None:
    unrelated, writer, connection = three
    async with unrelated.transaction():
        await unrelated.execute("CREATE TABLE unrelated ()")  # it has a transaction id now
        await writer.execute(log.append)
        assert await Reader(connection, log).poll() == seen


async def test_an_old_snapshot_neither_blocks_an_append_nor_sees_it(
    three: tuple[Pg, Pg, Pg], store: EventStore
) -> None:
    old, *_ = three
    async with old.transaction(isolation="repeatable_read"):
        assert await old.fetch(STORE.read, 0) == []
        await store.append("a", EventData("T"))
        assert await old.fetch(STORE.read, 0) == []
        assert [e.position async for e in store.read()] == [1]


async def test_appends_over_several_streams_keep_each_streams_order(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    names = [f"s-{n}" for n in range(5)]
    async with AsyncExitStack() as stack:
        stores = [store, await stack.enter_async_context(EventStore(dsn))]
        await asyncio.gather(
            *[
                stores[n % 2].append_many(
                    [Append(name, [EventData("T"), EventData("U")]) for name in chosen]
                )
                for n in range(60)
                for chosen in [(names * 2)[n % 5 : n % 5 + 3][:: -1 if n % 3 else 1]]
            ]
        )
    assert await dense(connection) == 60 * 3 * 2


async def test_two_stores_and_psql_at_once_give_a_polling_reader_every_event_in_order(
    dsn: str, connection: Pg
) -> None:
    async with (
        EventStore(dsn) as first,
        EventStore(dsn) as second,
        EventStore(dsn) as reader,
        new_pg(dsn) as psql,
    ):

        async def writer(store: EventStore, number: int) -> None:
            for n in range(30):
                await store.append(f"s-{(number + n) % 7}", [EventData("T", n)] * (n % 3 + 1))

        async def by_psql() -> None:
            for n in range(60):
                await psql.execute("SELECT eventstore.append($1, 'P')", f"s-{n % 7}")

        writers = asyncio.gather(
            *[writer(store, n) for store in (first, second) for n in range(5)], by_psql()
        )
        seen: list[int] = []

        async def poll() -> bool:
            done = writers.done()
            seen.extend([e.position async for e in reader.read(after=seen[-1] if seen else 0)])
            return done

        await until(poll, "the end of the writers")
        await writers
    assert seen == list(range(1, len(seen) + 1))
    assert await dense(connection) == len(seen) == 2 * 5 * 60 + 60
