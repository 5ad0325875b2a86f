"""Following over HTTP while the database is away or the listener is deaf: on one response.

A client comes back by itself, so whether its response broke is told apart here: it must not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import psycopg
import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.client import EventStoreClient
from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.listener import Listener
from eventstore.postgres.schema import migrate
from tests.client.serving import serving
from tests.feed.test_listener import LISTENERS, stopped
from tests.fix_database import Psql
from tests.fix_server import QUICK, new_room
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, until

FOLLOWERS = 20


class Following:
    """Clients that follow the log, and what they were given."""

    def __init__(self, client: EventStoreClient) -> None:
        self.seen: list[list[int]] = [[] for _ in range(FOLLOWERS)]
        self.lost: list[Unavailable] = []
        self._client = client
        self._more = asyncio.Event()

    async def follow(self, seen: list[int]) -> None:
        async for event in self._client.follow(on_lost=self.lost.append):
            seen.append(event.position)
            self._more.set()

    async def reach(self, position: int) -> None:
        """Expect that every follower is given everything up to a position, once and in order."""
        async with asyncio.timeout(DEADLINE):
            while any(len(seen) < position for seen in self.seen):
                self._more.clear()
                await self._more.wait()
        assert self.seen == [list(range(1, position + 1))] * FOLLOWERS
        assert self.lost == []


@asynccontextmanager
async def followed(url: str) -> AsyncIterator[Following]:
    """Followers of the log at an address."""
    async with EventStoreClient(url) as client:
        following = Following(client)
        tasks = [asyncio.create_task(following.follow(seen)) for seen in following.seen]
        try:
            yield following
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_restart_of_the_database_breaks_no_response() -> None:
    with new_room() as room, EmbeddedPostgres(room / "data", settings=QUICK) as postgres:
        migrate(postgres.dsn())
        with serving(postgres.dsn()) as service:
            async with EventStoreClient(service.url) as client, followed(service.url) as following:
                await client.append("a", [EventData("T")] * 3)
                await following.reach(3)
                for restarts in (1, 2):
                    await asyncio.to_thread(postgres.stop)
                    away = asyncio.ensure_future(client.append("a", EventData("T")))
                    await asyncio.to_thread(postgres.start)
                    await away
                    await following.reach(3 + restarts)
                with psycopg.connect(postgres.dsn()) as elsewhere:
                    elsewhere.execute("SELECT eventstore.append('b', 'T')")
                await following.reach(6)


@pytest.mark.one_postgres
async def test_a_deaf_listener_costs_followers_latency_only(
    dsn: str, sql: Psql, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline = 0.5
    impatient = partial(Listener, heartbeat=0.1, deadline=deadline)
    monkeypatch.setattr("eventstore.store.Listener", impatient)
    store = EventStore(dsn)
    with served(store) as (host, port):
        async with followed(f"http://{host}:{port}") as following:
            sql.execute("SELECT eventstore.append('a', 'T')")
            await following.reach(1)

            async def live() -> bool:
                return not store.following_troubles

            await until(live, "notifications to arrive")
            [(pid,)] = sql.execute(LISTENERS.encode())
            try:
                os.kill(pid, 0)
            except (PermissionError, ProcessLookupError):
                pytest.skip("the server's processes cannot be signalled from here")
            with stopped(pid):
                sql.execute("SELECT eventstore.append('a', 'T')")
                await following.reach(2)  # before or after it was found out

                async def replaced() -> bool:
                    return sql.execute(LISTENERS.encode()).fetchone() not in (None, (pid,))

                await until(replaced, "another listener")
                await until(live, "notifications to arrive again")
                sql.execute("SELECT eventstore.append('a', 'T')")
                await following.reach(3)
            sql.execute("SELECT eventstore.append('a', 'T')")
            await following.reach(4)
