"""The ways to read a log on and on. Each notes what it is given, and comes back when it is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import httpx
import msgspec

from eventstore import EventStore
from eventstore.client import EventStoreClient
from eventstore.client.wire import decode_event
from eventstore.core.backoff import FIRST_DELAY
from tests.service.load import GONE, ticks
from tests.service.readers import Readers, Seen

PAGE = 200


class Page(msgspec.Struct):
    """The body of a page."""

    events: list[msgspec.Raw]


async def follow(client: EventStoreClient, seen: Seen) -> None:
    """Follow with the client."""
    async for event in client.follow(seen.query, after=seen.after, on_lost=seen.lose):
        seen.add(event)


async def follow_by_library(store: EventStore, seen: Seen) -> None:
    """Follow in this process, from the database."""
    async for event in store.follow(seen.query, after=seen.after):
        seen.add(event)


async def follow_by_sse(http: httpx.AsyncClient, seen: Seen) -> None:
    """Follow as a browser does: with the id that came last, whatever it was."""
    last = str(seen.after)

    async def take(answer: httpx.Response) -> None:
        nonlocal last
        rest = b""
        async for chunk in answer.aiter_raw():
            *frames, rest = (rest + chunk).split(b"\n\n")
            for frame in frames:
                fields = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
                if fields.get(b"event") == b"Marked":
                    seen.add(decode_event(fields[b"data"]))
                last = fields.get(b"id", last.encode()).decode()

    while True:
        headers = {"accept": "text/event-stream", "last-event-id": last}
        await _read(http, seen, take, headers)


async def poll(http: httpx.AsyncClient, seen: Seen) -> None:
    """Ask for page after page; an empty one is waited for by the service."""

    async def take(answer: httpx.Response) -> None:
        for event in msgspec.json.decode(await answer.aread(), type=Page).events:
            seen.add(decode_event(bytes(event)))

    while True:
        await _read(http, seen, take, {"prefer": "wait=5"}, after=seen.position, limit=PAGE)


async def read_lines(http: httpx.AsyncClient, seen: Seen, ahead: Seen) -> None:
    """Read what there is as lines, and again when somebody else has seen more."""

    async def take(answer: httpx.Response) -> None:
        rest = b""
        async for chunk in answer.aiter_raw():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                seen.add(decode_event(line))

    headers = {"accept": "application/x-ndjson"}
    while True:
        await ahead.reach(seen.position + 1)
        await _read(http, seen, take, headers, after=seen.position, limit=PAGE)


async def visit(client: EventStoreClient, readers: Readers, ahead: Seen, seed: int) -> None:
    """Come, follow from somewhere for a while, and go: every second, for ever."""
    choices = random.Random(seed)
    async for _ in ticks(1):
        after = choices.randrange(ahead.position + 1)
        seen = readers.new(f"a visitor from {after}", after=after)
        # Long enough for several pages of the log, and over the seam to what comes live.
        end = min(after + choices.randint(1, 2_000), ahead.position + choices.randint(1, 50))
        events = client.follow(after=after, on_lost=seen.lose)
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                seen.add(event)
                if event.position >= end:
                    break


async def _read(
    http: httpx.AsyncClient,
    seen: Seen,
    take: Callable[[httpx.Response], Awaitable[None]],
    headers: dict[str, str],
    **params: int,
) -> None:
    """Ask for what a reader reads, and let it take the answer. A loss is noted."""
    query = {"query": seen.query.to_json()} if seen.query else {}
    try:
        async with http.stream(
            "GET", "/events", params={**query, **params}, headers=headers
        ) as answer:
            if answer.status_code == 200:
                await take(answer)
                return
            assert answer.status_code == 503, await answer.aread()
    except GONE:
        pass
    seen.lose()
    await asyncio.sleep(FIRST_DELAY)
