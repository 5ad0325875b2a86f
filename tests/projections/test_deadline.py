"""A user's function that hangs is broken off, and the next one runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from eventstore.projections.deadline import DeadlineExceeded, HandlerExit, TimedThread


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
    assert await asyncio.to_thread(ended.wait, 20)
    assert await thread.run(20, lambda: 1) == 1
    thread.close()


async def test_what_waits_outside_of_python_is_left_behind() -> None:
    thread, lock = TimedThread("test"), threading.Lock()
    with lock:
        with pytest.raises(DeadlineExceeded):
            await thread.run(0.05, lock.acquire)
        assert await thread.run(20, lambda: 1) == 1
    thread.close()


TRACED = """
import asyncio, sys, threading, time
from eventstore.projections.deadline import GRACE, DeadlineExceeded, TimedThread

async def main():
    thread, lock = TimedThread("test"), threading.Lock()
    lock.acquire()
    def late():  # it comes to its wait only after its deadline, as on a busy machine
        time.sleep(0.03)
        lock.acquire()
    try:
        await thread.run(0.01, late)
    except DeadlineExceeded:
        pass
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * GRACE, done.set)
    await done.wait()
    sys.settrace(lambda *_: None)
    (lambda: None)()
    sys.settrace(None)
    print("goes on")

asyncio.run(main())
"""


def test_a_thread_that_waits_does_not_stop_a_process_that_is_traced() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"goes on\n"


async def test_a_handler_that_would_end_the_process_is_a_failure() -> None:
    thread = TimedThread("test")
    with pytest.raises(HandlerExit, match="SystemExit"):
        await thread.run(20, sys.exit)
    assert await thread.run(20, lambda: 1) == 1
    thread.close()
