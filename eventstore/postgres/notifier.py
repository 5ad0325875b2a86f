"""NOTIFY after commits: tells other processes that there is something to read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

logger: Final = logging.getLogger("eventstore.notifier")

INTERVAL: Final = 0.005
"""Seconds between two notifications; what is stored in between shares the next one."""
RETRY: Final = 1.0
"""Seconds until one that could not be sent is sent again."""


class Notifier:
    """Sends the head to a channel after commits, coalesced, outside of every append.

    So an append never fails, nor waits, because the notification queue is full. A notification
    that cannot be sent costs followers elsewhere latency only: they poll.
    """

    def __init__(self, send: Callable[[str], Awaitable[object]]) -> None:
        """`send` sends one payload."""
        self._send = send
        self._head = 0
        self._stored = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why the last notification could not be sent; empty when it was."""

    def start(self) -> None:
        """Start to send. Ends with `close`."""
        self._task = asyncio.create_task(self._run(), name="eventstore notifier")

    async def close(self) -> None:
        """Stop; what is not sent yet is not sent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def stored(self, position: int) -> None:
        """Take note of the position of an event that has been committed."""
        self._head = max(self._head, position)
        self._stored.set()

    async def _run(self) -> None:
        while True:
            await self._stored.wait()
            self._stored.clear()
            pause = INTERVAL
            try:
                await self._send(str(self._head))
            except Exception as error:  # noqa: BLE001 - a notifier that ends would end quietly
                if not self.trouble:
                    logger.warning("followers in other processes have to poll: %s", error)
                self.trouble = f"notifications cannot be sent: {error}"
                self._stored.set()  # nobody may append again for long
                pause = RETRY
            else:
                self.trouble = ""
            await asyncio.sleep(pause)
