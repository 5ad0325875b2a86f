"""Running a user's function for a limited time, off the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


GRACE: Final = 0.05
"""Seconds between two looks at a thread that took too long."""
LOOKS: Final = 200
"""Looks after which a thread that hardly runs is left alone for good."""
RUNS: Final = 0.005
"""Seconds of processor time that tell a thread that runs from one that came to its wait late."""


class DeadlineExceeded(Exception):
    """A handler took longer than its projection's deadline."""


class HandlerExit(Exception):
    """A handler would have ended the process, as `sys.exit` does."""


class _BrokenOff(BaseException):
    """Thrown into a thread that takes too long: no handler takes it for an exception of its own."""


class TimedThread:
    """A thread that runs one function at a time. One that takes too long is broken off.

    Python code that runs is broken off at its next instruction. A thread that waits (for a lock,
    a line, a sleep) is left behind; it does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, seconds: float, function: Callable[[], T]) -> T:
        """Give what the function gives, or raise what it raises, or DeadlineExceeded."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            self._thread.start()
        self._jobs.put((function, loop, answer))
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            if not answer.cancelled():
                raise  # the function's own
            self._abandon()
            raise DeadlineExceeded(f"it took more than {seconds:g} s") from None
        except asyncio.CancelledError:
            self._abandon()
            raise

    def close(self) -> None:
        """Let the thread end."""
        self._jobs.put(None)

    def _abandon(self) -> None:
        thread, self._thread = self._thread, None
        self.close()  # should it come back after all
        self._jobs = SimpleQueue()
        if thread is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(GRACE, _break_off, loop, thread, _cpu_time(thread), LOOKS)


def _cpu_time(thread: threading.Thread) -> float | None:
    """Seconds for which a thread has run; None if it has ended, or where that is not told."""
    if thread.ident is None or not thread.is_alive() or not hasattr(time, "pthread_getcpuclockid"):
        return None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def _break_off(
    loop: asyncio.AbstractEventLoop, thread: threading.Thread, used: float | None, looks: int
) -> None:
    """Throw into a thread as soon as it has run for a while since; look again until it has.

    One that waits is left alone: CPython 3.11 keeps every thread on its slow path for as long as
    something thrown has not arrived, and hangs under a tracer (as coverage's, or a debugger's).
    """
    now = _cpu_time(thread)
    if thread.ident is None or now is None or used is None:
        return
    if now - used >= RUNS:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(_BrokenOff)
        )
    elif looks:
        loop.call_later(GRACE, _break_off, loop, thread, used, looks - 1)


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    try:
        while (job := jobs.get()) is not None:
            function, loop, answer = job
            try:
                result, error = function(), None
            except Exception as raised:  # noqa: BLE001 - given to whoever asked
                result, error = None, raised
            except (SystemExit, KeyboardInterrupt) as raised:
                result, error = None, HandlerExit(f"it raised {raised!r}")
            loop.call_soon_threadsafe(_settle, answer, result, error)
    except (_BrokenOff, RuntimeError):
        return  # broken off, or the loop has been closed meanwhile


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
