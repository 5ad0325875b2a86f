"""Waiting with a time limit: it ends, alone or with others, and costs no timer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import UUID

import pytest

from eventstore.core.events import RecordedEvent
from eventstore.core.interest import EVERY_EVENT
from eventstore.waiters import TICK, Waiters


async def test_a_wait_ends_after_its_timeout_and_not_before_it() -> None:
    waiters = Waiters(lambda: 7)
    for timeout in (0.0, 0.05, 0.15):
        started = perf_counter()
        assert await waiters.wait([EVERY_EVENT], timeout) == 7
        assert perf_counter() - started > timeout - 0.002  # the loop counts whole milliseconds


async def test_those_who_wait_as_long_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    waiters = Waiters(lambda: 7)
    loop = asyncio.get_running_loop()
    timers = 0

    def counting(set_timer: Callable[..., asyncio.TimerHandle]) -> Callable[..., object]:
        def counted(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return set_timer(*args, **kwargs)

        return counted

    for name in ("call_at", "call_later"):
        monkeypatch.setattr(loop, name, counting(getattr(loop, name)))
    started = loop.time()
    woken = [asyncio.ensure_future(waiters.wait([EVERY_EVENT], 0.3)) for _ in range(200)]
    assert await asyncio.gather(*woken) == [7] * 200
    assert timers <= 1 + (loop.time() - started) / TICK


async def test_an_event_wakes_whom_it_concerns_and_the_time_the_others() -> None:
    waiters = Waiters(lambda: 7)
    concerned = asyncio.ensure_future(waiters.wait([("stream", "a")], 0.1))
    other = asyncio.ensure_future(waiters.wait([("stream", "b")], 0.1))
    gone = asyncio.ensure_future(waiters.wait([("stream", "a")], 0.1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    event = RecordedEvent(4, "a", 0, UUID(int=1), "T", "{}", "{}", [], datetime.now(UTC))
    waiters.wake([event])
    assert await concerned == 3
    assert not other.done()
    assert await other == 7
