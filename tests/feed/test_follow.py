"""Following the log: history, then what comes, every event once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from eventstore import (
    EventData,
    EventQuery,
    EventStore,
    HistoryRewound,
    InvalidInput,
    RecordedEvent,
)
from eventstore.core.tail import Tail
from eventstore.feed import Follower
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_waiting import DEADLINE, until


async def take(follow: AsyncIterator[RecordedEvent], count: int) -> list[int]:
    """Give the positions of the next events that are followed."""
    async with asyncio.timeout(DEADLINE):
        return [(await anext(follow)).position for _ in range(count)]


async def test_history_then_what_comes(store: EventStore) -> None:
    await store.append("a", [EventData("T")] * 3)
    follow = store.follow()
    assert await take(follow, 3) == [1, 2, 3]
    coming = asyncio.ensure_future(take(follow, 2))
    await store.append("b", EventData("T"))
    await store.append("a", EventData("T"))
    assert await coming == [4, 5]


async def test_begins_after_a_position(store: EventStore) -> None:
    await store.append("a", [EventData("T")] * 3)
    assert await take(store.follow(after=2), 1) == [3]
    follow = store.follow(after=3)
    coming = asyncio.ensure_future(take(follow, 1))
    await store.append("b", EventData("T"))
    assert await coming == [4]


@pytest.mark.parametrize(("page", "largest"), [(7, 7), (2_000, 1_600)])
async def test_a_follower_is_given_as_many_at_once_as_it_asks_for(
    store: EventStore, page: int, largest: int
) -> None:
    await store.append("a", [EventData("T")] * 3_100)
    seen: list[int] = []
    sizes: list[int] = []
    async with store.follower(page=page) as follower:
        while events := await follower.next(DEADLINE):
            seen += [event.position for event in events]
            sizes.append(len(events))
    assert seen == list(range(1, 3_101))
    assert max(sizes) == largest  # it begins with 100, and grows


async def test_a_position_that_the_tail_has_not_reached_yet_is_not_repeated(
    store: EventStore,
) -> None:
    """The tail is read a moment after an append was acknowledged."""
    async with store.follower() as first:
        assert await first.next() == []
        for _ in range(50):
            written = await store.append("a", EventData("T"))
            coming = asyncio.ensure_future(take(store.follow(after=written.position), 1))
            later = await store.append("a", EventData("T"))
            assert await coming == [later.position]


QUERIES = [
    (EventQuery(streams=["order-1"]), [1, 5]),
    (EventQuery(categories=["order"]), [1, 3, 5]),
    (EventQuery(types=["Paid"]), [3, 4]),
    (EventQuery(tags=["x"]), [2, 4]),
    (EventQuery(streams=["bill-1"]) | EventQuery(types=["Done"]), [2, 4, 5]),
]
ALL = [
    ("order-1", "Placed", ()),
    ("bill-1", "Made", ("x",)),
    ("order-2", "Paid", ()),
    ("bill-1", "Paid", ("x", "y")),
    ("order-1", "Done", ()),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
async def test_a_filter_means_the_same_in_history_and_live(
    store: EventStore, query: EventQuery, expected: list[int]
) -> None:
    async def append_all() -> None:
        for name, kind, tags in ALL:
            await store.append(name, EventData(kind, tags=tags))

    await append_all()
    follow = store.follow(query)
    assert await take(follow, len(expected)) == expected
    coming = asyncio.ensure_future(take(follow, len(expected)))
    await append_all()
    assert await coming == [position + len(ALL) for position in expected]


async def test_a_follower_moves_on_over_what_its_filter_leaves_out(store: EventStore) -> None:
    async with store.follower(EventQuery(types=["Rare"])) as follower:
        assert await follower.next() == []
        assert follower.caught_up
        assert follower.position == 0
        await store.append("a", [EventData("Common")] * 5)

        async def moved_on() -> bool:
            assert await follower.next(timeout=0.01) == []
            return follower.position == 5

        await until(moved_on, "the follower's position")


async def test_caught_up_is_told_once_after_all_history(store: EventStore) -> None:
    await store.append("a", [EventData("T")] * 1_200)
    async with store.follower() as follower:
        seen = 0
        while events := await follower.next(timeout=DEADLINE):
            assert not follower.caught_up
            seen += len(events)
        assert follower.caught_up
        assert seen == follower.position == 1_200
        await store.append("a", EventData("T"))
        assert [event.position for event in await follower.next()] == [1_201]


async def test_the_seam_between_log_and_tail_under_load(store: EventStore, dsn: str) -> None:
    """Followers begin while events come faster than the ring can keep them."""
    feed = store.start_following()
    feed.tail = Tail(events=16)
    total = 600

    async def write(number: int) -> None:
        for _ in range(total // 4):
            await store.append(f"s-{number}", EventData("T"))

    async def follow(after: int) -> list[int]:
        return await take(store.follow(after=after), total - after)

    async with EventStore(dsn) as other:
        writers = asyncio.gather(*[write(number) for number in range(4)])
        followers = []
        for after in (0, 1, 50, 150, 300):

            async def far_enough(position: int = after) -> bool:
                return (await other.head()).position >= position

            await until(far_enough, f"position {after}")
            followers.append((after, asyncio.ensure_future(follow(after))))
        await writers
        for after, task in followers:
            assert await task == list(range(after + 1, total + 1))


async def test_a_slow_follower_goes_back_to_the_log(store: EventStore) -> None:
    feed = store.start_following()
    feed.tail = Tail(events=16)
    follow = store.follow()
    await store.append("a", EventData("T"))
    assert await take(follow, 1) == [1]
    async with store.follower(after=1) as fast:
        for _ in range(30):
            await store.append("a", [EventData("T")] * 5)

        async def at_head() -> bool:
            await fast.next(timeout=0.01)
            return fast.position == 151

        await until(at_head, "the head")
    assert feed.tail.start > 1
    assert await take(follow, 150) == list(range(2, 152))


async def test_appends_elsewhere_are_heard_of(
    store: EventStore, dsn: str, sql: Psql, connection: Pg
) -> None:
    follow = store.follow()
    coming = asyncio.ensure_future(take(follow, 4))
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(EventStore(dsn))
        await other.append("a", EventData("T"))
        await connection.execute("SELECT eventstore.append('a', 'T')")
        own = await stack.enter_async_context(new_pg(dsn))
        async with own.transaction():
            await other.append("a", EventData("T"), connection=own)
        with SyncEventStore(dsn) as synchronous:
            await asyncio.to_thread(synchronous.append, "a", EventData("T"))
        assert await coming == [1, 2, 3, 4]


async def test_ends_when_the_store_is_closed(dsn: str) -> None:
    async with EventStore(dsn) as store:
        await store.append("a", EventData("T"))
        follow = store.follow()
        assert await take(follow, 1) == [1]
        rest = asyncio.ensure_future(anext(follow, None))
    assert await rest is None


async def test_bad_positions_are_refused_at_once(store: EventStore) -> None:
    with pytest.raises(InvalidInput):
        store.follow(after=-1)
    with pytest.raises(HistoryRewound) as beyond:
        await take(store.follow(after=7), 1)
    assert beyond.value.facts == {"position": 7, "epoch": 1, "head": 0, "current_epoch": 1}
    with pytest.raises(HistoryRewound):
        await take(store.follow(after=0, epoch=2), 1)
    assert store.start_following().followers == 0


async def test_a_new_epoch_ends_who_followed_and_not_who_comes(
    store: EventStore, connection: Pg
) -> None:
    await store.append("a", EventData("T"))
    follow = store.follow()
    assert await take(follow, 1) == [1]
    await connection.execute("SELECT eventstore.begin_epoch()")
    with pytest.raises(HistoryRewound) as rewound:
        await take(follow, 1)
    assert (rewound.value.epoch, rewound.value.current_epoch) == (1, 2)
    assert await take(store.follow(epoch=2), 1) == [1]


async def test_who_comes_in_a_new_epoch_does_not_hear_of_the_one_before(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.append("a", EventData("T"))
    monkeypatch.setattr("eventstore.feed.POLL_LIVE", 3_600)
    follow = store.follow()
    assert await take(follow, 1) == [1]
    await until(lambda: _listens(store), "notifications to arrive")
    await connection.execute("SELECT eventstore.begin_epoch()")
    # The feed has not looked yet, and would not for an hour.
    newer = store.follow(epoch=2)
    assert await take(newer, 1) == [1]
    await store.append("a", EventData("T"))
    assert await take(newer, 1) == [2]
    with pytest.raises(HistoryRewound):
        await take(follow, 1)


async def _listens(store: EventStore) -> bool:
    return not store.following_troubles


async def test_a_rewind_between_check_and_begin_is_told(store: EventStore, connection: Pg) -> None:
    await store.append("a", EventData("T"))
    planned = store.follower(after=1, epoch=1)
    await planned.check()
    await connection.execute("SELECT eventstore.begin_epoch()")
    async with planned as follower:
        with pytest.raises(HistoryRewound) as rewound:
            await follower.next(timeout=DEADLINE)
    assert (rewound.value.epoch, rewound.value.current_epoch) == (1, 2)


async def test_nothing_is_read_while_nobody_follows(store: EventStore) -> None:
    feed = store.start_following()
    async with store.follower() as follower:
        assert await follower.next() == []
    await store.append("a", [EventData("T")] * 3)
    assert feed.followers == 0
    assert feed.tail.head == 0
    assert await take(store.follow(), 3) == [1, 2, 3]


async def test_who_waits_holds_no_connection(dsn: str, connection: Pg) -> None:
    async with EventStore(dsn, max_connections=2) as store, AsyncExitStack() as stack:
        followers: list[Follower] = [
            await stack.enter_async_context(store.follower()) for _ in range(100)
        ]
        for follower in followers:
            assert await follower.next() == []
        waiting = [asyncio.ensure_future(follower.next()) for follower in followers]
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        assert count <= 2 + 1 + 2  # the pool, the listener, the appender
        await store.append("a", EventData("T"))
        for task in waiting:
            assert [event.position for event in await task] == [1]


async def test_a_feed_goes_on_after_a_fault_of_any_kind(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that ended by itself would leave its followers waiting for ever."""
    feed = store.start_following()
    follow = store.follow()
    coming = asyncio.ensure_future(take(follow, 1))

    async def followed() -> bool:
        return feed.followers == 1

    await until(followed, "the follower")

    def broken(_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(feed.tail, "extend", broken)
    await store.append("a", EventData("T"))

    async def told() -> bool:
        return "a fault of ours" in store.following_troubles

    await until(told, "the trouble to be told")
    monkeypatch.undo()
    assert await coming == [1]
    await until(well(store), "the trouble to be over")


def well(store: EventStore) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return not store.following_troubles

    return holds
