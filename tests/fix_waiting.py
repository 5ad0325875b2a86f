"""Waiting for what is seen, never for time to pass: a deadline, and a look at the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Self

from tests.fix_database import Pg

DEADLINE: Final = 20.0
"""Seconds after which what a test waits for will not come any more."""


def pauses(what: str) -> Iterator[float]:
    """Yield the seconds to wait between two looks, short ones first; fail after the deadline.

    Who asks without a pause keeps the machine from what is asked for.
    """
    deadline = time.monotonic() + DEADLINE
    pause = 0.001
    while time.monotonic() < deadline:
        yield pause
        pause = min(1.5 * pause, 0.02)
    raise AssertionError(f"waited in vain for {what}")


async def until(holds: Callable[[], Awaitable[object]], what: str) -> None:
    """Ask again and again until it holds; fail after the deadline."""
    for pause in pauses(what):
        if await holds():
            return
        await asyncio.sleep(pause)


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Ask again and again until it holds, in code without an event loop."""
    for pause in pauses(what):
        if holds():
            return
        time.sleep(pause)


async def until_waiting(connection: Pg, count: int = 1) -> list[int]:
    """Wait until `count` backends wait for a lock in this database; give their process ids."""
    pids: list[int] = []

    async def enough() -> bool:
        # Within a transaction the view would stay as it was first seen.
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        pids[:] = [
            row[0]
            for row in await connection.fetch(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        ]
        return len(pids) >= count

    await until(enough, f"{count} backends that wait for a lock")
    return pids


class Heard:
    """The payloads that a connection hears on a channel, in the order of their commits."""

    def __init__(self, connection: Pg, channel: str) -> None:
        self.payloads: list[str] = []
        self._connection = connection
        self._channel = channel
        self._more = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._connection.add_listener(self._channel, self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.remove_listener(self._channel, self._hear)

    async def reach(self, mark: str) -> list[str]:
        """Notify of a mark and wait until it is heard; give everything that was heard so far.

        A database gives its notifications in the order of the commits, so what was committed
        before the mark is heard before it.
        """
        await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, mark)
        async with asyncio.timeout(DEADLINE):
            while mark not in self.payloads:
                self._more.clear()
                await self._more.wait()
        return self.payloads

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.payloads.append(str(payload))
        self._more.set()


async def dense(connection: Pg) -> int:
    """Assert that positions are 1..n and revisions 0..k in position order (G1, G2); give n."""
    row = await connection.fetchrow(
        """SELECT count(*), coalesce(max(position), 0), count(DISTINCT position),
                  coalesce(bool_and(revision = expected), true)
             FROM (SELECT position, revision, row_number() OVER (
                              PARTITION BY stream_name ORDER BY position) - 1 AS expected
                     FROM eventstore.events) AS e"""
    )
    assert row is not None
    count, head, distinct, in_order = row
    assert count == head == distinct, f"{count} events, but the head is {head}"
    assert in_order, "revisions are not dense in position order"
    return int(count)
