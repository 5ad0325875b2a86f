"""A service on a fixed port, a database server of its own, and what can happen to either."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import psycopg

from eventstore.local import DATABASE
from eventstore.postgres.embedded import EmbeddedPostgres
from tests.service.running import Service, until, until_ready

FAST: Final = signal.SIGINT
"""PostgreSQL ends its sessions, writes what there is to write, and stops."""
IMMEDIATE: Final = signal.SIGQUIT
"""PostgreSQL drops everything; the next start recovers."""

_SERVICE: Final = "eventstore_service"
_LISTENERS: Final = """
SELECT pid FROM pg_stat_activity
 WHERE application_name = 'eventstore listener' AND usename = %s
"""


class Installation:
    """The two programs. What is done to them returns when they work again."""

    def __init__(self, data_dir: Path) -> None:
        self._postgres = EmbeddedPostgres(data_dir)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.admin_dsn = self._postgres.dsn(dbname=DATABASE)

    async def start(self) -> None:
        """Start both."""
        await asyncio.to_thread(self._postgres.start)
        await self._start_service()

    async def end(self) -> None:
        """Stop what still runs."""
        await asyncio.to_thread(self.service.__exit__, None, None, None)
        await asyncio.to_thread(self._postgres.stop)

    async def _start_service(self) -> None:
        dsn = self._postgres.dsn(user=_SERVICE, dbname=DATABASE)
        options = ("--port", self._port, "--dsn", dsn)
        self.service = await asyncio.to_thread(Service, *options)
        await asyncio.to_thread(lambda: until_ready(self.service.url))

    async def restart_service(self) -> None:
        """SIGTERM, and a new one."""
        await self.stop_service()
        await self._replace_service()

    async def stop_service(self) -> None:
        """SIGTERM, and an end in order."""
        assert await asyncio.to_thread(self.service.stop) == 0, self.service.output

    async def kill_service(self) -> None:
        """SIGKILL, and a new one."""
        self.service.process.kill()
        await self._replace_service()

    async def _replace_service(self) -> None:
        await asyncio.to_thread(self.service.__exit__, None, None, None)
        self.check_log()
        await self._start_service()

    def check_log(self) -> None:
        """Expect that the service met nothing that it does not know."""
        assert "Traceback" not in self.service.output, self.service.output

    async def restart_database(self, how: signal.Signals = FAST) -> None:
        """Stop the database server, and start it again."""
        pid = self._postgres.pid
        assert pid is not None
        os.kill(pid, how)
        await asyncio.to_thread(self._postgres.wait)
        await asyncio.to_thread(self._postgres.restart_after_crash)
        await asyncio.to_thread(until_ready, self.url)

    async def crash_database(self) -> None:
        """Stop it in the middle of everything, and start it again."""
        await self.restart_database(IMMEDIATE)

    async def kill_listener(self) -> None:
        """End the connection on which the service listens."""
        pid = await self._until_one_listener()
        with psycopg.connect(self.admin_dsn) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        await self.until_given_up(pid)

    @contextlib.asynccontextmanager
    async def deaf_listener(self) -> AsyncIterator[int]:
        """Stop the server's end of the connection on which the service listens, without a word.

        Gives its process id. In the end it goes on, and ends if the service has given it up.
        """
        pid = await self._until_one_listener()
        with stopped(pid):
            yield pid
        await self._until_one_listener()

    async def until_given_up(self, pid: int) -> None:
        """Wait until the service listens on another connection than this."""
        await self._until_listeners(lambda pids: set(pids) - {pid}, "on another connection")

    async def _until_one_listener(self) -> int:
        [pid] = await self._until_listeners(lambda pids: len(pids) == 1, "on one connection")
        return pid

    async def _until_listeners(self, enough: Callable[[list[int]], object], what: str) -> list[int]:
        def wait() -> list[int]:
            with psycopg.connect(self.admin_dsn, autocommit=True) as admin:
                found: list[int] = []

                def asked() -> bool:
                    found[:] = [pid for (pid,) in admin.execute(_LISTENERS, [_SERVICE])]
                    return bool(enough(found))

                until(asked, f"the service listens {what}")
                return found

        return await asyncio.to_thread(wait)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is there and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def installed(data_dir: Path) -> AsyncIterator[Installation]:
    """Start a service and its database server; stop them in the end."""
    installation = Installation(data_dir)
    await installation.start()
    try:
        yield installation
        await installation.stop_service()
        installation.check_log()
    finally:
        await installation.end()


def free_port() -> int:
    """Give a port that stays free while its service is down.

    Not one of those that the system gives to whoever connects: there are clients that try again
    all the time, and one of them would sooner or later be given the very port it asks for.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
