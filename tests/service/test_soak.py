"""Everything at once, and faults at random, for a time: the history holds and nothing grows.

EVENTSTORE_SOAK_SECONDS says for how long; EVENTSTORE_SOAK_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from eventstore import EventQuery, EventStore
from eventstore.client import EventStoreClient
from tests.fix_proxy import Proxy, new_proxy
from tests.service.bad_requests import disturb
from tests.service.checker import Checker
from tests.service.conftest import needs_proc
from tests.service.following import (
    follow,
    follow_by_library,
    follow_by_sse,
    poll,
    read_lines,
    visit,
)
from tests.service.installation import Installation, installed
from tests.service.library_writer import library_writing
from tests.service.load import Load
from tests.service.readers import Readers, Seen
from tests.service.running import DEADLINE
from tests.service.vitals import Vitals, growth, vitals, watch

SECONDS: Final = float(os.environ.get("EVENTSTORE_SOAK_SECONDS", "20"))
SEED: Final = int(os.environ.get("EVENTSTORE_SOAK_SEED", random.randrange(2**32)))
WORKERS: Final = 8
RATE: Final = 40
"""Appends a second over REST, of some 4 events on average."""
LIBRARY_RATE: Final = 20
"""Appends a second by a process with the library."""
BAD_RATE: Final = 5
LONGEST_DEAF: Final = 20.0
"""Seconds: longer than the listener takes to find out."""
HOT = EventQuery(categories=["hot"])


class Ways(NamedTuple):
    """The ways to an installation: straight, and over lines that are cut."""

    site: Installation
    line: Proxy
    store: EventStore
    client: EventStoreClient
    client_on_line: EventStoreClient
    http: httpx.AsyncClient
    http_on_line: httpx.AsyncClient


@asynccontextmanager
async def ways(data_dir: Path) -> AsyncIterator[Ways]:
    """Open an installation and every way to it."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        site = await enter(installed(data_dir))
        line = await enter(new_proxy(site.url.replace("http", "postgresql")))
        on_line = httpx.AsyncHTTPTransport(uds=str(line.socket))
        http = partial(httpx.AsyncClient, base_url=site.url, timeout=DEADLINE)
        yield Ways(
            site,
            line,
            await enter(EventStore(site.admin_dsn)),
            await enter(EventStoreClient(site.url)),
            await enter(EventStoreClient(site.url, transport=on_line)),
            await enter(http()),
            await enter(http(transport=on_line)),
        )


class Soak:
    """One run: who writes and reads, and the faults that come over them."""

    def __init__(self, ways: Ways) -> None:
        self.load = Load(SEED)
        self.readers = Readers()
        self.over = asyncio.Event()
        """Set to let the writers end."""
        self._ways = ways
        self._choices = random.Random(SEED)
        self._lasting: list[Seen] = []

    def read(self) -> list[Coroutine[Any, Any, None]]:
        """Give those who read, by every way, and those who only disturb; none of them ends."""
        ways = self._ways
        new = self.readers.new
        everything = new("a follower of everything")
        lasting = [
            follow(ways.client, everything),
            follow(ways.client_on_line, new("a follower of a category", HOT)),
            follow_by_sse(ways.http_on_line, new("a browser")),
            follow_by_sse(ways.http, new("a browser that reads a category", HOT)),
            poll(ways.http_on_line, new("a long poll")),
            poll(ways.http, new("a long poll for a category", HOT)),
            read_lines(ways.http, new("a reader of lines"), everything),
            follow_by_library(ways.store, new("a follower in another process")),
        ]
        self._lasting = list(self.readers.all)
        return [
            *lasting,
            visit(ways.client, self.readers, everything, SEED),
            disturb(ways.http, SEED, BAD_RATE),
        ]

    def write(self) -> list[Coroutine[Any, Any, None]]:
        """Give those who write until it is over."""
        return [
            self.load.write(self._ways.http, worker, RATE / WORKERS, self.over)
            for worker in range(WORKERS)
        ]

    def faults(self, lives: str) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
        """Give the faults to choose from, by name: with one life, those that can be outlived."""
        outlived: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("the database is restarted", self._ways.site.restart_database),
            ("the database crashes", self._ways.site.crash_database),
            ("the listener's connection is ended", self._ways.site.kill_listener),
            ("the listener is deaf for a while", self.deafen_listener),
            ("lines are cut", self.cut_lines),
        ]
        if lives == "one":
            return outlived
        return [
            *outlived,
            ("the service is restarted", self._ways.site.restart_service),
            ("the service is killed", self._ways.site.kill_service),
        ]

    async def deafen_listener(self) -> None:
        """Leave the listener's connection deaf for a time in which it may be noticed or not."""
        async with self._ways.site.deaf_listener():
            await asyncio.sleep(self._choices.uniform(0.1, min(LONGEST_DEAF, SECONDS / 6)))

    async def cut_lines(self) -> None:
        """Cut the lines of those who read through the proxy."""
        self._ways.line.cut()

    async def flow(self) -> None:
        """Append, and wait until every lasting reader has that event."""
        key = {"idempotency-key": f"flow {self._choices.random()}"}
        assert await self.load.settle(self._ways.http, self.load.events("hot-0", key, 1))
        position = self.load.told[-1].position
        await asyncio.gather(*[reader.reach(position) for reader in self._lasting])

    async def suffer(self, lives: str) -> None:
        """Let one fault after the other happen, each when every reader has got over the last."""
        faults = self.faults(lives)
        began = time.monotonic()
        await self.flow()
        while (fell := time.monotonic()) < began + SECONDS:
            name, fault = self._choices.choice(faults)
            await fault()
            await self.flow()
            now = time.monotonic()
            print(
                f"{now - began:4.0f} s: {name}, over after {now - fell:.1f} s; "
                f"position {self._lasting[0].position}, {len(self.load.told)} answers, "
                f"{len(self.load.refused)} events refused, "
                f"{len(self.readers.all) - len(self._lasting)} visitors; "
                f"the service has {vitals(self._ways.site.service.process.pid)}",
                flush=True,
            )


@pytest.mark.slow
@needs_proc
@pytest.mark.timeout(180 + 2 * SECONDS)
@pytest.mark.parametrize("lives", ["one", "many"])
async def test_the_history_holds_and_nothing_grows(data_dir: Path, lives: str) -> None:
    """With one life the service outlives every fault: only there does what it leaks add up.

    With many it is restarted and killed as well, and each life is too short to see growth in it.
    """
    print(
        f"{SECONDS:g} s; to run it again: EVENTSTORE_SOAK_SEED={SEED} "
        f"EVENTSTORE_SOAK_SECONDS={SECONDS:g} pytest -s tests/service/test_soak.py -k {lives}"
    )
    samples: list[Vitals] = []
    async with ways(data_dir) as opened:
        soak, dsn = Soak(opened), opened.site.admin_dsn
        async with (
            asyncio.TaskGroup() as tasks,
            library_writing(soak.load, dsn, seed=SEED, first_mark=10**9, per_second=LIBRARY_RATE),
        ):
            endless = [tasks.create_task(one) for one in soak.read()]
            if lives == "one":
                pid = opened.site.service.process.pid
                endless.append(tasks.create_task(watch(pid, samples)))
            writing = [tasks.create_task(one) for one in soak.write()]
            await soak.suffer(lives)
            soak.over.set()
            await asyncio.gather(*writing)
            await soak.flow()
            for task in endless:
                task.cancel()
        checker = Checker()
        await asyncio.to_thread(checker.check, soak.load, dsn)
        soak.readers.check(checker.history)
    if lives == "one":
        print(f"first {samples[0]}, last {samples[-1]}")
        assert growth(samples) == []


def test_growth_is_told_from_caches_that_fill() -> None:
    mib = 1 << 20
    flat = [Vitals((100 + min(n, 50)) * mib, 20 + n % 4) for n in range(600)]
    assert growth(flat) == []
    assert growth([Vitals(s.resident, s.files + n // 30) for n, s in enumerate(flat)]) != []
    assert growth([Vitals(s.resident + n * mib // 10, s.files) for n, s in enumerate(flat)]) != []
