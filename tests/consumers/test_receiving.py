"""Waiting receives: what wakes them, and what they leave behind when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eventstore import Delivery, EventData, EventQuery, EventStore
from eventstore.progress import progress_channel
from eventstore.receiving import Receiver
from eventstore.sync import SyncEventStore
from tests.consumers.groups import append, counts, create, receive
from tests.consumers.test_after import REGISTER, apply
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import DEADLINE, until, until_waiting


class Looks:
    """A store's statements, counted by name, with the time to look again taken out."""

    def __init__(self, store: EventStore) -> None:
        self.looks = 0
        self._store = store

    async def __call__(self, name: str, *args: Any) -> Any:
        rows = await self._store._fetch(name, *args)
        if name != "consumer_receive":
            return rows
        self.looks += 1
        return [[row[0], None, *list(row)[2:]] for row in rows]

    async def reach(self, count: int) -> None:
        async def looked() -> bool:
            return self.looks >= count

        await until(looked, f"{count} looks")


@pytest.fixture
def looks(store: EventStore) -> Looks:
    return Looks(store)


@pytest.fixture(autouse=True)
def receiver(store: EventStore, looks: Looks) -> Receiver:
    """The store's receiver, which the time does not wake."""
    store._receiver = Receiver(looks, store.start_following)
    return store._receiver


Ask = Callable[[], Awaitable[list[Delivery]]]


@pytest.fixture
def ask(receiver: Receiver) -> Ask:
    """Receive one delivery, and fail if it does not come, long before the wait for it ends."""

    async def received() -> list[Delivery]:
        async with asyncio.timeout(DEADLINE):
            return await receiver.receive("emails", 1, "m", 10 * DEADLINE)

    return received


async def test_an_event_wakes_one_of_those_who_wait(
    store: EventStore, looks: Looks, ask: Ask
) -> None:
    await store.consumers.create("emails", EventQuery(types=["A"]))
    waiting = [asyncio.ensure_future(ask()) for _ in range(20)]
    await looks.reach(21)  # each when it came, and the one that waits for all of them again
    for n in range(1, 4):
        await store.append(f"s-{n}", [EventData("B"), EventData("A")])
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [[one.event.position for one in task.result()] for task in done] == [[2 * n]]
        waiting = [task for task in waiting if task not in done]
        assert store.followers <= 1
    assert looks.looks < 60
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert store.followers == 0


async def test_what_is_settled_here_wakes_who_waits_for_it(
    store: EventStore, connection: Pg, looks: Looks, ask: Ask
) -> None:
    await append(store, "a", "a")
    await create(connection)
    [first] = await ask()
    waiting = asyncio.ensure_future(ask())
    await looks.reach(4)  # when it came, in its turn, and when its follower was at the head
    assert not (await store.consumers.ack("emails", [first])).lost
    assert [one.event.position for one in await waiting] == [2]


async def test_a_projection_that_moves_wakes_who_comes_after_it(
    store: EventStore, connection: Pg, looks: Looks, ask: Ask
) -> None:
    await append(store, "a")
    await connection.execute(REGISTER, "one", 1, 1)
    await create(connection, after=["one"])
    waiting = asyncio.ensure_future(ask())
    await looks.reach(2)

    async def listens() -> bool:
        return store._listener is not None and not store.following_troubles

    await until(listens, "the listener")
    await apply(connection, "one", 1)
    await connection.execute("SELECT pg_notify($1, '')", progress_channel(store.schema))
    assert len(await waiting) == 1


async def test_the_time_wakes_for_a_retry_and_for_the_end_of_a_lease(
    dsn: str, connection: Pg
) -> None:
    async with EventStore(dsn) as store:
        await append(store, "a")
        await create(connection, lease=0.1)
        await receive(connection)
        [again] = await store.consumers.receive("emails", wait=DEADLINE)
        assert again.attempt == 2
        await store.consumers.create("emails", lease=60)
        if not (await store.consumers.nack("emails", [again], delay=0.1)).lost:
            [again] = await store.consumers.receive("emails", wait=DEADLINE)
            assert again.attempt == 3


async def test_who_waits_is_let_go_when_the_store_is_closed(dsn: str, connection: Pg) -> None:
    await create(connection)
    async with EventStore(dsn) as closing:
        waiting = [
            asyncio.create_task(closing.consumers.receive("emails", wait=DEADLINE))
            for _ in range(3)
        ]

        async def waits() -> bool:
            return closing.followers == 1

        await until(waits, "a receive that waits")
    assert await asyncio.gather(*waiting) == [[], [], []]


async def test_a_receive_that_is_cancelled_gives_back_what_comes_nevertheless(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await append(store, "a")
    await create(connection, retries=0)
    async with new_pg(dsn) as other:
        async with other.transaction():
            await other.execute("SELECT FROM eventstore.consumer_groups FOR UPDATE")
            receiving = asyncio.create_task(store.consumers.receive("emails"))
            await until_waiting(connection)
            receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
    assert await counts(connection) == {"returned": 1}
    [again] = await receive(connection)
    assert again.attempt == 1


async def test_a_wait_goes_on_in_a_new_epoch_that_has_all_that_the_group_has_seen(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a")
    await store.consumers.create("emails", start="head")
    waiting = asyncio.create_task(store.consumers.receive("emails", wait=DEADLINE))

    async def waits() -> bool:
        return store.followers == 1

    await until(waits, "a receive that waits")
    await connection.execute("SELECT eventstore.begin_epoch()")
    await append(store, "b")
    [got] = await waiting
    assert got.event.position == 2


async def test_a_group_that_is_deleted_ends_the_wait_for_it(store: EventStore) -> None:
    await store.consumers.create("emails")
    waiting = asyncio.create_task(store.consumers.receive("emails", wait=DEADLINE))

    async def waits() -> bool:
        return store.followers == 1

    await until(waits, "a receive that waits")
    await store.consumers.delete("emails")
    with pytest.raises(LookupError, match="there is no consumer group"):
        await waiting


async def test_without_an_event_loop_the_log_is_not_looked_through_for_longer_either(
    sync_store: SyncEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.sync.LOOK", 0.01)
    looks = 0

    def look(name: str, *args: Any) -> list[Any]:
        nonlocal looks
        looks += 1
        assert looks < 1_000_000, "it looks for ever"
        return [(True, None, None, None, None, None, *[None] * 9)]

    monkeypatch.setattr(sync_store, "_fetch", look)
    assert sync_store.consumers.receive("emails") == []
    assert looks > 1
