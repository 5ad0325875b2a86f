"""Running a user's function for a limited time, off the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class DeadlineExceeded(Exception):
    """A handler took longer than its projection's deadline."""


class TimedThread:
    """A thread that runs one function at a time. One that takes too long is broken off.

    Python code is broken off at its next instruction; what waits in C (a driver, a regular
    expression) is left behind in its thread, which does not keep the process from ending.
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
        if thread is not None and thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(DeadlineExceeded)
            )


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    try:
        while (job := jobs.get()) is not None:
            function, loop, answer = job
            try:
                result, error = function(), None
            except Exception as raised:  # noqa: BLE001 - given to whoever asked
                result, error = None, raised
            loop.call_soon_threadsafe(_settle, answer, result, error)
    except (DeadlineExceeded, RuntimeError):
        return  # broken off, or the loop has been closed meanwhile


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
