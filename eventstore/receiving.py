"""Receiving in the process of the store: who finds nothing waits here, and holds no connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from eventstore.core.delivery import Delivery, Idle, check_most, leases_of, received
from eventstore.core.errors import EventStoreError, HistoryRewound, Unavailable
from eventstore.core.query import EventQuery
from eventstore.feed import Feed, Follower
from eventstore.progress import Fetch

LOOK: Final = 1.0
"""Seconds for which the log is looked through for a first event, if nobody waits longer."""
SOONEST: Final = 0.005
"""Seconds between two looks, at least."""


class Receiver:
    """Receives, and waits where there is nothing.

    Of all who wait for one group in this process one looks at a time, so that an event wakes one
    of them; the next one looks as soon as that one has received something. It is woken by the
    feed, by `wake` (something was settled here) and `progressed` (a projection has moved), and by
    the time that the database gave.
    """

    def __init__(self, fetch: Fetch, feed: Callable[[], Feed]) -> None:
        """`fetch(statement, *args)` runs a named statement; `feed` gives the feed, started."""
        self._fetch = fetch
        self._feed = feed
        self._turns: dict[str, _Turn] = {}
        self._closing = False

    def wake(self, name: str) -> None:
        """Look now: something may be free."""
        if (turn := self._turns.get(name)) is not None:
            turn.woken.set()

    def progressed(self) -> None:
        """Look now, wherever something else is waited for than an event."""
        for turn in self._turns.values():
            if turn.seen is None:
                turn.woken.set()

    def close(self) -> None:
        """Let everyone who waits go, with nothing."""
        self._closing = True
        for turn in self._turns.values():
            turn.woken.set()

    async def receive(self, name: str, most: int, member: str, wait: float) -> list[Delivery]:
        """See ConsumerCatalog.receive."""
        check_most(most)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            deliveries, idle = await self._look(name, most, member)
            if deliveries or not idle.more or loop.time() >= began + max(wait, LOOK):
                break
        if deliveries or wait <= 0:
            return deliveries
        turn = self._turns.setdefault(name, _Turn())
        turn.waiting += 1
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout_at(began + wait):
                        await turn.lock.acquire()
                except TimeoutError:
                    return []
                stack.callback(turn.lock.release)
                return await self._wait(turn, stack, (name, most, member), began + wait)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[name]

    async def _wait(
        self,
        turn: _Turn,
        stack: contextlib.AsyncExitStack,
        asked: tuple[str, int, str],
        deadline: float,
    ) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        follower: Follower | None = None
        while True:
            turn.woken.clear()
            deliveries, idle = await self._look(*asked)
            left = deadline - loop.time()
            if deliveries or self._closing or left <= 0:
                return deliveries
            if idle.more:
                continue
            if follower is None and idle.position_seen is not None:
                planned = Follower(
                    self._feed(), await self._query(asked[0]), after=idle.position_seen
                )
                follower = await stack.enter_async_context(planned)
            turn.seen = idle.position_seen
            if idle.look_in is not None:
                left = min(left, max(SOONEST, idle.look_in))
            try:
                await _first(turn, None if turn.seen is None else follower, left)
            except HistoryRewound:  # whether the group can go on is seen where it is kept
                follower = None

    async def _look(self, name: str, most: int, member: str) -> tuple[list[Delivery], Idle]:
        if self._closing:
            raise Unavailable("the store is being closed")
        asking = asyncio.ensure_future(self._fetch("consumer_receive", name, most, member))
        try:
            return received(await asyncio.shield(asking))
        except asyncio.CancelledError:
            await self._give_back(name, asking)
            raise

    async def _give_back(self, name: str, asking: asyncio.Future[list[Any]]) -> None:
        """Release what comes although nobody is there any more to handle it."""
        with contextlib.suppress(EventStoreError):  # their leases end anyway
            deliveries, _ = received(await asking)
            if deliveries:
                positions, leases = leases_of(deliveries)
                await self._fetch("consumer_nack", name, positions, leases, "release", None, None)

    async def _query(self, name: str) -> EventQuery | None:
        rows = await self._fetch("consumer_query", name)
        return EventQuery.from_json(json.loads(rows[0][0])) if rows else None


class _Turn:
    """Those who wait for one group: one of them looks."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.woken = asyncio.Event()
        self.waiting = 0
        self.seen: int | None = None


async def _first(turn: _Turn, follower: Follower | None, timeout: float) -> None:  # noqa: ASYNC109
    """Wait until the turn is woken, an event comes, or the time is over."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(turn.woken.wait())]
    if follower is not None:
        tasks.append(asyncio.create_task(follower.next(timeout)))
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
