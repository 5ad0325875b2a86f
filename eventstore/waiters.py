"""Followers at the head, waiting for an event that concerns them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from eventstore.core.events import RecordedEvent
from eventstore.core.interest import Key, keys_of_event

TICK: Final = 0.1
"""Seconds to which the end of a timeout is rounded up, so that many who wait share a timer."""


class Waiters:
    """An index from keys to those who wait: an event wakes only whom it may concern."""

    def __init__(self, head: Callable[[], int]) -> None:
        """`head` gives the position up to which events have been told to `wake`."""
        self._head = head
        self._by_key: dict[Key, dict[asyncio.Future[int], None]] = {}
        self._by_tick: dict[int, dict[asyncio.Future[int], None]] = {}

    async def wait(self, keys: Iterable[Key], timeout: float | None) -> int:  # noqa: ASYNC109
        """Wait for an event with one of these keys, or `timeout` seconds (None: for ever).

        A timeout is up to 0.1 s longer.

        Gives a position up to which there is no such event: so a follower that was left alone
        while others were woken need not look at what it missed.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        keys = list(keys)
        for key in keys:
            self._by_key.setdefault(key, {})[waiter] = None
        sharing = {} if timeout is None else self._sharing(timeout)
        sharing[waiter] = None
        try:
            return await waiter
        finally:
            sharing.pop(waiter, None)
            for key in keys:
                self._forget(key, waiter)

    def wake(self, events: Sequence[RecordedEvent]) -> None:
        """Wake everyone whom one of these events, the newest, may concern."""
        if not self._by_key:
            return
        for event in events:
            for key in keys_of_event(event):
                for waiter in self._by_key.pop(key, ()):
                    if not waiter.done():
                        waiter.set_result(event.position - 1)

    def wake_all(self) -> None:
        """Wake everyone, to look at something else than events."""
        for waiters in self._by_key.values():
            for waiter in waiters:
                self._time_out(waiter)

    def _sharing(self, timeout: float) -> dict[asyncio.Future[int], None]:
        """Give those whose time is over at the same tick."""
        loop = asyncio.get_running_loop()
        tick = math.ceil((loop.time() + timeout) / TICK)
        sharing = self._by_tick.get(tick)
        if sharing is None:
            sharing = self._by_tick[tick] = {}
            loop.call_at(tick * TICK, self._end, tick)
        return sharing

    def _end(self, tick: int) -> None:
        for waiter in self._by_tick.pop(tick):
            self._time_out(waiter)

    def _time_out(self, waiter: asyncio.Future[int]) -> None:
        if not waiter.done():
            waiter.set_result(self._head())

    def _forget(self, key: Key, waiter: asyncio.Future[int]) -> None:
        waiters = self._by_key.get(key)
        if waiters is not None:
            waiters.pop(waiter, None)
            if not waiters:
                del self._by_key[key]
