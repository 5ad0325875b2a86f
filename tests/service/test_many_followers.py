"""Two thousand followers of one process: one listener, little memory, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import re
import resource
from collections.abc import Iterator
from typing import Any, Final, cast

import httpx
import pytest

from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until
from tests.service.conftest import needs_proc
from tests.service.running import Service, resident_bytes, serving

pytestmark = [pytest.mark.slow, pytest.mark.one_postgres, needs_proc]

FOLLOWERS: Final = 2_000
AT_ONCE: Final = 200
BUDGET: Final = 60 << 10
"""Bytes that a follower may cost the service."""
FILES: Final = 2 * FOLLOWERS + 500
_REQUEST: Final = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_EVENT: Final = re.compile(rb'^data: \{"position":(\d+),', re.MULTILINE)
_LISTENERS: Final = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name = 'eventstore listener' AND datname = current_database()
"""


class Client(asyncio.Protocol):
    """Follows the log, and notes the positions that it is given."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.answer = b""
        self._rest = b""
        self._waits: tuple[int, asyncio.Future[None]] | None = None
        self._caught_up = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        self.answer = self.answer or data[:12]
        whole, _, self._rest = (self._rest + data).rpartition(b"\n\n")
        self.positions += map(int, _EVENT.findall(whole))
        if b"event: caught-up" in whole and not self._caught_up.done():
            self._caught_up.set_result(None)
        if self._waits is not None and len(self.positions) >= self._waits[0]:
            self._waits[1].set_result(None)
            self._waits = None

    async def caught_up(self) -> None:
        """Wait until it has been told that it is at the head."""
        async with asyncio.timeout(DEADLINE):
            await self._caught_up

    async def reach(self, number: int) -> None:
        """Wait until it has been given so many events."""
        if len(self.positions) < number:
            self._waits = number, asyncio.get_running_loop().create_future()
            async with asyncio.timeout(DEADLINE):
                await self._waits[1]


@pytest.fixture
def files() -> Iterator[None]:
    """Room for many connections, here and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"a process may have only {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files(service: Service) -> int:
    """Give how many files and sockets the service has open."""
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))  # noqa: PTH208


class Followers:
    """Clients of a service; leaving the block, half of them hang up and half break off."""

    def __init__(self, service: Service, count: int) -> None:
        self._port = service.port
        self._count = count
        self.clients: list[Client] = []

    async def __aenter__(self) -> list[Client]:
        loop = asyncio.get_running_loop()
        try:
            while (left := self._count - len(self.clients)) > 0:
                for connecting in asyncio.as_completed(
                    [
                        loop.create_connection(Client, "127.0.0.1", self._port)
                        for _ in range(min(AT_ONCE, left))
                    ]
                ):
                    self.clients.append((await connecting)[1])
                await asyncio.gather(*[client.caught_up() for client in self.clients])
        except BaseException:
            await self.__aexit__()
            raise
        return self.clients

    async def __aexit__(self, *_: object) -> None:
        for number, client in enumerate(self.clients):
            if number % 2:
                client.transport.close()
            else:
                client.transport.abort()


@pytest.mark.timeout(120)
async def test_two_thousand_followers(
    dsn: str, connection: Pg, files: None, record_property: Any
) -> None:
    with serving("--dsn", dsn) as service:
        pid = service.process.pid
        async with httpx.AsyncClient(base_url=service.url, timeout=DEADLINE) as http:

            async def append(count: int) -> None:
                events = [{"type": "T", "data": {"n": n}} for n in range(count)]
                answer = await http.post("/streams/a", json=events)
                assert answer.status_code == 201

            await append(10)
            async with Followers(service, AT_ONCE):  # as many as make it open all that it keeps
                before = open_files(service) - AT_ONCE

            async def let_go() -> bool:
                return open_files(service) <= before

            await until(let_go, "the service to let go of the first ones")
            empty = resident_bytes(pid)
            async with Followers(service, FOLLOWERS) as clients:
                assert all(client.answer == b"HTTP/1.1 200" for client in clients)
                waiting = resident_bytes(pid)
                for count in (1, 1, 20, 1, 50, 1):
                    await append(count)
                await asyncio.gather(*[client.reach(84) for client in clients])
                following = resident_bytes(pid)
                assert await connection.fetchval(_LISTENERS) == 1
            await until(let_go, "the service to let go of all")
            expected = list(range(1, 85))
            assert all(client.positions == expected for client in clients)
            assert (await http.get("/health/ready")).json()["status"] == "ready"
            costs = [(memory - empty) // FOLLOWERS for memory in (waiting, following)]
            record_property("bytes a follower, waiting and following", costs)
            print(f"bytes a follower, waiting and following: {costs}")
            assert max(costs) < BUDGET
