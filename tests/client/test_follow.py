"""Following over HTTP: every event once, whatever happens to the service in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from eventstore import (
    EventData,
    EventQuery,
    EventStore,
    HistoryRewound,
    InvalidInput,
    RecordedEvent,
    Unavailable,
)
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore.client.sse import Decoder, Place, Step
from tests.client.serving import serving
from tests.fix_database import Pg
from tests.fix_faces import Threaded
from tests.fix_service import served
from tests.fix_waiting import DEADLINE

EVENT = (
    b'{"position":7,"stream":"a","revision":0,"id":"00000000-0000-0000-0000-000000000007",'
    b'"type":"T","data":{"text":"x\xe2\x80\xa8: y"},"metadata":{},"tags":[],'
    b'"recorded_at":"2026-01-01T00:00:00+00:00"}'
)
STREAM = (
    b"retry: 1000\n\n: keep-alive\nid: 5;epoch=2\n\n"
    b"id: 7;epoch=2\nevent: T\ndata: " + EVENT + b"\n\n"
    b'id: 7;epoch=2\nevent: caught-up\ndata: {"head":7}\n\n'
)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 10_000])
def test_frames_are_read_however_they_are_cut(size: int) -> None:
    decoder = Decoder()
    steps: list[Step] = []
    for first in range(0, len(STREAM), size):
        steps += decoder.steps(STREAM[first : first + size])
    assert [step.place for step in steps] == [Place(5, 2), Place(7, 2), Place(7, 2)]
    [event] = [step.event for step in steps if step.event is not None]
    assert event.data == {"text": "x\u2028: y"}


def test_an_end_that_the_service_tells_is_an_error_of_its_kind() -> None:
    with pytest.raises(Unavailable, match="shuts down"):
        Decoder().steps(b'event: shutdown\ndata: {"head":7}\n\n')
    with pytest.raises(HistoryRewound) as rewound:
        Decoder().steps(
            b'event: rewound\ndata: {"position":7,"epoch":1,"head":3,"current_epoch":2}\n\n'
        )
    assert rewound.value.head == 3


async def _follow(
    url: str,
    query: EventQuery,
    on_lost: Callable[[Unavailable], None],
    on_back: Callable[[], None],
) -> AsyncIterator[RecordedEvent]:
    async with EventStoreClient(url) as client:
        async for event in client.follow(query, on_lost=on_lost, on_back=on_back):
            yield event


async def _follow_in_a_thread(
    url: str,
    query: EventQuery,
    on_lost: Callable[[Unavailable], None],
    on_back: Callable[[], None],
) -> AsyncIterator[RecordedEvent]:
    with SyncEventStoreClient(url) as client:
        async for event in Threaded(client).follow(query, on_lost=on_lost, on_back=on_back):
            yield event


@pytest.mark.parametrize("following", [_follow, _follow_in_a_thread])
async def test_every_event_once_while_the_service_is_killed_and_restarted(
    dsn: str,
    store: EventStore,
    following: Callable[..., AsyncIterator[RecordedEvent]],
) -> None:
    seen: list[int] = []
    lost: list[Unavailable] = []
    back: list[int] = []
    enough = asyncio.Event()
    total = 60

    async def follow(url: str) -> None:
        async for event in following(
            url, EventQuery(categories=["a"]), lost.append, lambda: back.append(len(seen))
        ):
            seen.append(event.position)
            if len(seen) % 20 == 0:
                enough.set()
            if len(seen) == total:
                return

    with serving(dsn) as first:
        port = int(first.url.rpartition(":")[2])
        task = asyncio.ensure_future(follow(first.url))
        for _ in range(20):
            await store.append("a", EventData("T"))
        async with asyncio.timeout(DEADLINE):
            await enough.wait()
        first.kill()
        enough.clear()
    for _ in range(20):
        await store.append("a", EventData("T"))
    with serving(dsn, port=port):
        async with asyncio.timeout(DEADLINE):
            await enough.wait()
    for _ in range(20):
        await store.append("a", EventData("T"))
    with serving(dsn, port=port):
        async with asyncio.timeout(DEADLINE):
            await task
    assert seen == list(range(1, total + 1))
    assert len(lost) >= 2
    assert back == [20, 40]


async def test_refusals_are_those_of_the_library(
    dsn: str, store: EventStore, connection: Pg
) -> None:
    await store.append("a", EventData("T"))
    with served(EventStore(dsn)) as (host, port):
        async with EventStoreClient(f"http://{host}:{port}") as client:
            with pytest.raises(InvalidInput):
                client.follow(after=-1)
            with pytest.raises(HistoryRewound):
                await anext(client.follow(after=9))
            with pytest.raises(HistoryRewound):
                await anext(client.follow(after=1, epoch=2))
            follow = client.follow()
            assert (await anext(follow)).position == 1
            await connection.execute("SELECT eventstore.begin_epoch()")
            with pytest.raises(HistoryRewound) as rewound:
                await anext(follow)
            assert rewound.value.current_epoch == 2
    async with EventStoreClient("http://127.0.0.1:9", retry_for=0) as client:
        with pytest.raises(Unavailable):
            await anext(client.follow())
    with SyncEventStoreClient("http://127.0.0.1:9", retry_for=0) as sync_client:
        with pytest.raises(Unavailable):
            next(sync_client.follow())
        with pytest.raises(InvalidInput):
            sync_client.follow(after=-1)


async def test_any_number_of_followers_leave_room_for_calls(dsn: str, store: EventStore) -> None:
    await store.append("a", EventData("T"))
    with served(EventStore(dsn)) as (host, port):
        async with EventStoreClient(f"http://{host}:{port}") as client, asyncio.timeout(DEADLINE):
            followers = [client.follow() for _ in range(150)]
            await asyncio.gather(*map(anext, followers))
            await client.append("a", EventData("T"))
            seen = await asyncio.gather(*map(anext, followers))
    assert [event.position for event in seen] == [2] * 150
