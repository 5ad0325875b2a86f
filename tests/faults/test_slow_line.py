"""A line that is slow, and never equally slow, changes nothing but the time (G1 to G5)."""

from __future__ import annotations

import asyncio
from random import Random

from eventstore import EventData, EventStore
from tests.fix_proxy import new_proxy
from tests.fix_waiting import DEADLINE

WRITERS, APPENDS = 6, 8


async def test_a_slow_line_that_delivers_in_pieces_loses_repeats_and_reorders_nothing(
    store: EventStore, dsn: str
) -> None:
    random = Random(11)
    async with asyncio.timeout(DEADLINE), new_proxy(dsn) as line:
        line.delay = lambda: random.uniform(0, 0.01)
        async with EventStore(line.dsn) as distant:
            following = distant.follow()

            async def write(number: int) -> list[int]:
                events = [EventData("T", [number, n]) for n in range(APPENDS)]
                return [
                    (await distant.append(f"s-{number % 3}", event)).position for event in events
                ]

            told = await asyncio.gather(*(write(number) for number in range(WRITERS)))
            followed = [await anext(following) for _ in range(WRITERS * APPENDS)]
            read = [event async for event in distant.read()]
    stored = [event async for event in store.read()]
    assert followed == read == stored
    assert [event.position for event in stored] == list(range(1, WRITERS * APPENDS + 1))
    for number, positions in enumerate(told):
        data = [event.data for event in stored if event.position in positions]
        assert data == [[number, n] for n in range(APPENDS)]
