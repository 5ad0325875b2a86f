"""Whoever follows over HTTP is given every event once, in order, through every fault in turn.

EVENTSTORE_GAUNTLET_SECONDS says for how long the listener's connection is left deaf.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from eventstore import Appended, EventData, EventQuery, EventStore, OutcomeUnknown, Unavailable
from eventstore.client import EventStoreClient
from eventstore.core.backoff import delays
from eventstore.postgres.listener import DEADLINE, HEARTBEAT
from tests.fix_proxy import Proxy, new_proxy
from tests.service.checker import Checker
from tests.service.conftest import needs_proc
from tests.service.following import follow
from tests.service.installation import Installation, installed
from tests.service.load import Load, ticks
from tests.service.readers import Readers

SECONDS = float(os.environ.get("EVENTSTORE_GAUNTLET_SECONDS", HEARTBEAT + DEADLINE + 1))
RATE = 200
"""Appends a second of all writers together."""
WRITERS = 40
CUTS = 20
FOLLOWED = "order"
"""The category that a filtered follower asks for."""


class Store(Protocol):
    """What writers need: EventStore and EventStoreClient have it."""

    async def append(self, stream_name: str, events: EventData) -> Appended: ...


class Gauntlet:
    """Writers and followers of one installation, and what can be done to them."""

    def __init__(self, site: Installation, line: Proxy) -> None:
        self.site = site
        self.load = Load(seed=0)
        self.readers = Readers()
        self.over = asyncio.Event()
        """Set to let the writers end."""
        self._line = line
        self._marks = itertools.count()

    async def write(self, store: Store, writer: int) -> None:
        """Append at a writer's share of the rate, to streams of two categories."""
        async for _ in ticks(RATE / WRITERS):
            if self.over.is_set():
                return
            category = "parcel" if writer % 2 else FOLLOWED
            await self.append(store, f"{category}-{writer}")

    async def append(self, store: Store, stream_name: str) -> int:
        """Append an event, again and again until it is known to be stored; give its position."""
        event = EventData("Marked", {"mark": next(self._marks)}, event_id=uuid.uuid4())
        for delay in delays():
            try:
                appended = await store.append(stream_name, event)
            except (Unavailable, OutcomeUnknown):
                await asyncio.sleep(delay)
            else:
                self.load.told.append(appended)
                return appended.position
        raise AssertionError("delays never end")

    async def flow(self, store: Store) -> None:
        """Append, and wait until every follower has that event."""
        position = await self.append(store, f"{FOLLOWED}-flow")
        await asyncio.gather(*[seen.reach(position) for seen in self.readers.all])

    async def deafen_listener(self, store: Store) -> None:
        """Leave the listener's connection deaf; events flow all the while."""
        began = time.monotonic()
        async with self.site.deaf_listener() as pid:
            given_up = asyncio.ensure_future(self.site.until_given_up(pid))
            async for _ in ticks(5):
                await self.flow(store)
                if time.monotonic() > began + SECONDS:
                    break
            await given_up

    async def cut_line(self, store: Store) -> None:
        """Cut the line of one follower again and again, each time after it got on."""
        for _ in range(CUTS):
            self._line.cut()
            await self.flow(store)

    def faults(self, store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
        """Give every fault by its name."""
        return {
            "the service is restarted": self.site.restart_service,
            "the service is killed": self.site.kill_service,
            "the database is restarted": self.site.restart_database,
            "the database crashes": self.site.crash_database,
            "the listener's connection is ended": self.site.kill_listener,
            f"the listener is deaf for {SECONDS:g} s": lambda: self.deafen_listener(store),
            f"a follower's line is cut {CUTS} times": lambda: self.cut_line(store),
        }


@pytest.mark.slow
@needs_proc
@pytest.mark.timeout(180 + 2 * SECONDS)
async def test_every_follower_sees_every_event_once_through_every_fault(data_dir: Path) -> None:
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(installed(data_dir))
        line = await stack.enter_async_context(new_proxy(site.url.replace("http", "postgresql")))
        transport = httpx.AsyncHTTPTransport(uds=str(line.socket))
        by_line = await stack.enter_async_context(EventStoreClient(site.url, transport=transport))
        direct = await stack.enter_async_context(EventStoreClient(site.url))
        # Some writers do not go through the service, which has to hear of their events.
        other = await stack.enter_async_context(EventStore(site.admin_dsn))
        gauntlet = Gauntlet(site, line)
        orders = EventQuery(categories=[FOLLOWED])
        followers = [
            (direct, gauntlet.readers.new("a follower of everything")),
            (direct, gauntlet.readers.new("a follower of a category", orders)),
            (by_line, gauntlet.readers.new("a follower whose line is cut", orders)),
        ]
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(follow(*one)) for one in followers]
            stores: list[Store] = [other if n % 5 == 0 else direct for n in range(WRITERS)]
            writing = [tasks.create_task(gauntlet.write(s, n)) for n, s in enumerate(stores)]
            await run(gauntlet, other)
            gauntlet.over.set()
            await asyncio.gather(*writing)
            await gauntlet.flow(other)
            for task in following:
                task.cancel()
        checker = Checker()
        await asyncio.to_thread(checker.check, gauntlet.load, site.admin_dsn)
        gauntlet.readers.check(checker.history)
        assert gauntlet.readers.all[0].losses >= 2
        assert gauntlet.readers.all[2].losses >= 2 + CUTS


async def run(gauntlet: Gauntlet, store: Store) -> None:
    """Let every fault happen, each when everybody has got over the one before."""
    began = time.monotonic()
    await gauntlet.flow(store)
    for name, fault in gauntlet.faults(store).items():
        fell = time.monotonic()
        await fault()
        await gauntlet.flow(store)
        now = time.monotonic()
        print(
            f"{now - began:4.0f} s: {name}, over after {now - fell:.1f} s; "
            f"{len(gauntlet.load.told)} appends, losses: {gauntlet.readers.losses}",
            flush=True,
        )
