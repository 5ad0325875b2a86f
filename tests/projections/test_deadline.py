"""A user's function that hangs is broken off, and the next one runs."""

from __future__ import annotations

import threading

import pytest

from eventstore.projections.deadline import DeadlineExceeded, TimedThread


def spin(seen: threading.Event) -> None:
    try:
        while True:
            pass
    finally:
        seen.set()


async def test_what_a_function_gives_or_raises_is_given() -> None:
    thread = TimedThread("test")
    assert await thread.run(20, lambda: threading.current_thread().name) == "test"
    with pytest.raises(ZeroDivisionError):
        await thread.run(20, lambda: 1 / 0)
    with pytest.raises(TimeoutError, match="mine"):
        await thread.run(20, _raise_timeout)
    assert await thread.run(20, lambda: 1) == 1
    thread.close()


def _raise_timeout() -> None:
    raise TimeoutError("mine")


async def test_a_loop_without_end_is_broken_off_and_the_next_one_runs() -> None:
    thread, ended = TimedThread("test"), threading.Event()
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        await thread.run(0.05, lambda: spin(ended))
    assert ended.wait(20)
    assert await thread.run(20, lambda: 1) == 1
    thread.close()


async def test_what_waits_outside_of_python_is_left_behind() -> None:
    thread, lock = TimedThread("test"), threading.Lock()
    with lock:
        with pytest.raises(DeadlineExceeded):
            await thread.run(0.05, lock.acquire)
        assert await thread.run(20, lambda: 1) == 1
    thread.close()
