"""Waiting for projections: one look at the database serves everyone in the process who waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from eventstore.core.errors import EventStoreError, Unavailable
from eventstore.core.progress import Look, Standing, Wait, too_late, wait_of

logger: Final = logging.getLogger("eventstore.progress")

POLL_LIVE: Final = 1.0
"""Seconds between looks while notifications arrive: one may have been lost."""
POLL_ONLY: Final = 0.05
"""Seconds between looks while they do not."""


def progress_channel(schema: str) -> str:
    """Give the channel on which workers tell that checkpoints have moved."""
    return f"{schema}_progress"


Fetch = Callable[..., Awaitable[list[Any]]]


class Progress:
    """Keeps an eye on the projections that somebody waits for. `wake` it when one has moved.

    Whoever waits holds no connection. `fetch(statement, *args)` runs a named statement; `live`
    says whether notifications of moved checkpoints arrive.
    """

    def __init__(self, fetch: Fetch, *, live: Callable[[], bool] = lambda: False) -> None:
        self._fetch = fetch
        self._live = live
        self._waiting: dict[asyncio.Future[int], Wait] = {}
        self._standings: dict[str, Standing] = {}
        self._new: list[asyncio.Future[int]] = []
        self._looking = asyncio.Lock()
        self._woken = asyncio.Event()
        self._at_rest = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def close(self) -> None:
        """End every wait (Unavailable) and stop looking."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for waiter in list(self._waiting):
            _fail(waiter, Unavailable("the store is being closed"))

    async def wait(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> int:
        """Wait until a projection has applied a position, or a revision of a stream.

        Gives its checkpoint. Raises NotFound (no such projection), ProjectionStopped or
        StreamParked at once where waiting is in vain, and ProjectionBehind after `timeout`
        seconds (default 5; 0: only look).
        """
        wait = wait_of(projection, position=position, stream=stream, revision=revision)
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiter: asyncio.Future[int] = loop.create_future()
        self._waiting[waiter] = wait
        try:
            try:
                await self._look_first(waiter)
            except EventStoreError:
                if not waiter.done():
                    raise  # else the store has been closed meanwhile, which tells more
            if waiter.done():
                return waiter.result()
            first = self._standings[projection].checkpoint
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="eventstore progress")
            if self._at_rest:
                self._woken.set()
            await asyncio.wait([waiter], timeout=timeout)
            if not (waiter.done() or timeout <= 0 or self._waiting[waiter].is_placed):
                await self._look_first(waiter)  # it may have been stored since
            if waiter.done():
                return waiter.result()
            now = self._standings[projection]
            moved, seconds = now.checkpoint - first, loop.time() - began
            raise too_late(self._waiting[waiter], now, seconds=seconds, moved=moved)
        finally:
            del self._waiting[waiter]
            if not waiter.cancel() and not waiter.cancelled():
                waiter.exception()  # it may have been told when the time was over

    async def _run(self) -> None:
        while True:
            poll = POLL_LIVE if self._live() else POLL_ONLY
            self._at_rest = not self._waiting
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._at_rest else poll):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look(list(self._waiting))
            except Exception as error:  # whatever it is: a task that ends would end quietly
                unexpected = not isinstance(error, EventStoreError)
                logger.warning("progress cannot be read: %s", error, exc_info=unexpected)
                await asyncio.sleep(POLL_LIVE)

    async def _look_first(self, waiter: asyncio.Future[int]) -> None:
        """Look for one who comes, and for all who have come while somebody else looked."""
        self._new.append(waiter)
        async with self._looking:
            if waiter not in self._new:
                return
            new, self._new = self._new, []
            try:
                await self._look(new)
            except BaseException:
                self._new += [other for other in new if other is not waiter]
                raise

    async def _look(self, waiters: list[asyncio.Future[int]]) -> None:
        """Look at what these wait for, and settle what is decided."""
        waiting = {w: self._waiting[w] for w in waiters if w in self._waiting and not w.done()}
        if not waiting:
            return
        [row] = await self._fetch("projection_look", *Look.asked(waiting.values()))
        look = Look.of(row)
        self._standings.update(look.standings)
        for waiter, wait in waiting.items():
            if waiter not in self._waiting:
                continue
            placed = self._waiting[waiter] = look.placed(wait)
            told = look.verdict(placed)
            if isinstance(told, EventStoreError):
                _fail(waiter, told)
            elif told is not None and not waiter.done():
                waiter.set_result(told)


def _fail(waiter: asyncio.Future[int], error: EventStoreError) -> None:
    if not waiter.done():
        waiter.set_exception(error)
