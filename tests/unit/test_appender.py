"""The appender over a carrier that stores nothing: who shares a batch, who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from eventstore import (
    Appended,
    ConditionFailed,
    EventData,
    ExpectedRevision,
    Limits,
    OutcomeUnknown,
    Unavailable,
)
from eventstore.appender import SMALLEST_SHARE, Appender
from eventstore.core.append import AppendRequest, encode_append, make_request
from eventstore.core.batching import Outcome
from eventstore.core.revisions import ANY
from eventstore.ids import new_event_ids


def one(stream: str, data: object = None, expect: ExpectedRevision = ANY) -> AppendRequest:
    append = encode_append(stream, [EventData("T", data)], expect)
    return make_request([append], new_ids=new_event_ids(1))


def names(batch: Sequence[AppendRequest]) -> list[str]:
    return [request.appends[0].stream_name for request in batch]


def stored(request: AppendRequest) -> Outcome:
    return (Appended(request.appends[0].stream_name, 0, 0, 1, tuple(request.event_ids)),)


class Carrier:
    """Holds each batch until the test lets it go, and answers as the test says."""

    def __init__(self, answer: Callable[[AppendRequest], Outcome] = stored) -> None:
        self.batches: list[list[AppendRequest]] = []
        self.arrived = asyncio.Semaphore(0)
        self.let_go = asyncio.Semaphore(0)
        self.answer = answer
        self.closed = False

    async def store(self, requests: Sequence[AppendRequest]) -> list[Outcome]:
        self.batches.append(list(requests))
        self.arrived.release()
        await self.let_go.acquire()
        return [self.answer(request) for request in requests]

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def running(*carriers: Carrier, limits: Limits | None = None) -> AsyncIterator[Appender]:
    appender = Appender(carriers, limits=limits or Limits())
    appender.start()
    try:
        yield appender
    finally:
        for carrier in carriers:
            for _ in range(100):
                carrier.let_go.release()
        await appender.close()


def queued(appender: Appender, *requests: AppendRequest) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(_append(appender, request)) for request in requests]


async def _append(appender: Appender, request: AppendRequest) -> object:
    return await appender.append(request)


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_append_alone_is_not_delayed() -> None:
    carrier = Carrier()
    async with running(carrier) as appender:
        [task] = queued(appender, one("a"))
        await carrier.arrived.acquire()
        carrier.let_go.release()
        assert await task == stored(carrier.batches[0][0])


async def test_what_comes_during_a_batch_is_the_next_batch() -> None:
    carrier = Carrier()
    async with running(carrier) as appender:
        queued(appender, one("a"))
        await carrier.arrived.acquire()
        tasks = queued(appender, one("b"), one("c"), one("d"))
        await settle()
        assert appender.pending == 3
        carrier.let_go.release()
        await carrier.arrived.acquire()
        assert [names(batch) for batch in carrier.batches] == [["a"], ["b", "c", "d"]]
        carrier.let_go.release()
        await asyncio.gather(*tasks)


async def test_every_caller_gets_its_own_outcome() -> None:
    def answer(request: AppendRequest) -> Outcome:
        return ConditionFailed(7) if names([request]) == ["bad"] else stored(request)

    carrier = Carrier(answer)
    async with running(carrier) as appender:
        queued(appender, one("first"))
        await carrier.arrived.acquire()
        sent = [one("a"), one("bad"), one("c")]
        tasks = queued(appender, *sent)
        await settle()
        carrier.let_go.release()
        carrier.let_go.release()
        good, bad, also_good = await asyncio.gather(*tasks, return_exceptions=True)
        assert good == stored(sent[0])
        assert isinstance(bad, ConditionFailed)
        assert also_good == stored(sent[2])


async def test_an_unknown_outcome_names_the_callers_own_ids() -> None:
    carrier = Carrier(lambda _: OutcomeUnknown(("of the whole batch",)))
    async with running(carrier) as appender:
        sent = [one("a"), one("b")]
        tasks = queued(appender, *sent)
        await carrier.arrived.acquire()
        carrier.let_go.release()
        for request, outcome in zip(
            sent, await asyncio.gather(*tasks, return_exceptions=True), strict=True
        ):
            assert isinstance(outcome, OutcomeUnknown)
            assert outcome.event_ids == tuple(request.event_ids)


@pytest.mark.parametrize(
    ("limits", "waiting"),
    [(Limits(pending_appends=2), 2), (Limits(pending_bytes=10), 2)],
    ids=["appends", "bytes"],
)
async def test_a_full_queue_turns_an_append_away_at_once(limits: Limits, waiting: int) -> None:
    carrier = Carrier()
    async with running(carrier, limits=limits) as appender:
        queued(appender, one("first"))
        await carrier.arrived.acquire()
        tasks = queued(appender, *[one(f"s-{n}", 1) for n in range(waiting)])
        await settle()
        with pytest.raises(Unavailable, match="not stored: 2 appends wait"):
            await appender.append(one("x", "a" * 20))
        carrier.let_go.release()
        carrier.let_go.release()
        await asyncio.gather(*tasks)
        assert "x" not in [name for batch in carrier.batches for name in names(batch)]
        carrier.let_go.release()
        await appender.append(one("after"))  # there is room again


async def test_a_caller_that_goes_while_it_waits_stores_nothing_and_frees_its_room() -> None:
    carrier = Carrier()
    async with running(carrier, limits=Limits(pending_bytes=20)) as appender:
        queued(appender, one("first"))
        await carrier.arrived.acquire()
        gone, stays = queued(appender, one("gone", "a" * 10), one("stays"))
        await settle()
        gone.cancel()
        await settle()
        carrier.let_go.release()
        carrier.let_go.release()
        await stays
        assert [names(batch) for batch in carrier.batches] == [["first"], ["stays"]]
        carrier.let_go.release()
        await appender.append(one("large", "a" * 10))


async def test_a_caller_that_goes_during_its_batch_does_not_disturb_it() -> None:
    carrier = Carrier()
    async with running(carrier) as appender:
        gone, stays = queued(appender, one("gone"), one("stays"))
        await carrier.arrived.acquire()
        gone.cancel()
        carrier.let_go.release()
        assert await stays == stored(carrier.batches[0][1])


async def test_closing_stores_what_waits_and_turns_away_what_comes() -> None:
    carrier = Carrier()
    async with running(carrier) as appender:
        tasks = queued(appender, one("a"))
        await carrier.arrived.acquire()
        tasks += queued(appender, one("b", expect=0), one("b", expect=1))
        await settle()
        closing = asyncio.create_task(appender.close())
        await settle()
        with pytest.raises(Unavailable, match="shutting down"):
            await appender.append(one("late"))
        assert not carrier.closed
        for _ in range(3):
            carrier.let_go.release()
        await asyncio.gather(closing, *tasks)
        assert [names(batch) for batch in carrier.batches] == [["a"], ["b"], ["b"]]
        assert carrier.closed


async def test_a_large_queue_is_split_between_idle_lanes() -> None:
    lanes = [Carrier(), Carrier()]
    async with running(*lanes) as appender:
        tasks = queued(appender, *[one(f"s-{n}") for n in range(4 * SMALLEST_SHARE)])
        for lane in lanes:
            await lane.arrived.acquire()
            lane.let_go.release()
        await asyncio.gather(*tasks)
        assert [[len(batch) for batch in lane.batches] for lane in lanes] == [
            [2 * SMALLEST_SHARE], [2 * SMALLEST_SHARE]
        ]  # fmt: skip


async def test_a_small_queue_is_not_split() -> None:
    lanes = [Carrier(), Carrier()]
    async with running(*lanes) as appender:
        tasks = queued(appender, *[one(f"s-{n}") for n in range(SMALLEST_SHARE)])
        await settle()
        for lane in lanes:
            lane.let_go.release()
        await asyncio.gather(*tasks)
        sizes = [len(batch) for lane in lanes for batch in lane.batches]
        assert sizes == [SMALLEST_SHARE]


async def test_the_second_lane_carries_a_crowd_that_comes_while_the_first_is_under_way() -> None:
    lanes = [Carrier(), Carrier()]
    async with running(*lanes) as appender:
        tasks = queued(appender, one("a"))
        await settle()
        tasks += queued(appender, *[one(f"s-{n}") for n in range(SMALLEST_SHARE)])
        await settle()
        sizes = sorted(len(batch) for lane in lanes for batch in lane.batches)
        assert sizes == [1, SMALLEST_SHARE]
        for lane in lanes:
            lane.let_go.release()
        await asyncio.gather(*tasks)


async def test_a_few_that_come_while_a_batch_is_under_way_are_the_next_batch() -> None:
    lanes = [Carrier(), Carrier()]
    async with running(*lanes) as appender:
        tasks = queued(appender, one("a"))
        await settle()
        tasks += queued(appender, one("b"), one("c"))
        await settle()
        assert [names(batch) for lane in lanes for batch in lane.batches] == [["a"]]
        for lane in lanes:
            lane.let_go.release()
            lane.let_go.release()
        await asyncio.gather(*tasks)
        assert sorted(names(batch) for lane in lanes for batch in lane.batches) == [
            ["a"],
            ["b", "c"],
        ]


async def test_what_waits_behind_a_dead_line_goes_by_the_other_lane() -> None:
    lanes = [Carrier(), Carrier()]
    async with running(*lanes) as appender:
        first = queued(appender, one("a"))
        await settle()
        [dead] = [lane for lane in lanes if lane.batches]
        [alive] = [lane for lane in lanes if lane is not dead]
        alive.let_go.release()
        await asyncio.gather(*queued(appender, one("b"), one("c")))
        assert [names(batch) for batch in alive.batches] == [["b", "c"]]
        dead.let_go.release()
        await asyncio.gather(*first)
