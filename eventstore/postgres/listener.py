"""LISTEN: one connection that hears of appends in other processes, and cannot die quietly."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from eventstore.core.backoff import delays

logger: Final = logging.getLogger("eventstore.listener")

HEARTBEAT: Final = 10.0
"""Seconds between two notifications that the listener sends itself."""
DEADLINE: Final = 5.0
"""Seconds in which such a notification has to come back."""


class Listener:
    """Calls what belongs to a channel for every notification there, and all of them after every
    reconnection.

    Whether notifications arrive is tried, not believed: behind pgbouncer in transaction mode, or
    over a line whose other end has gone, LISTEN succeeds and nothing ever comes. So a notification
    is sent to a channel of this listener's own, over another connection, at the start and at every
    heartbeat; if it is not heard in time, the connection is made anew. Meanwhile `trouble` says
    why notifications do not arrive, and whoever depends on them has to poll.
    """

    def __init__(
        self,
        dsn: str,
        channels: Mapping[str, Callable[[], None]],
        *,
        notify: Callable[[str, str], Awaitable[object]],
        heartbeat: float = HEARTBEAT,
        deadline: float = DEADLINE,
    ) -> None:
        """`notify(channel, payload)` sends over another connection."""
        self._dsn = dsn
        self._channels = dict(channels)
        self._notify = notify
        self._heartbeat = heartbeat
        self._deadline = deadline
        self._own_channel = f"{next(iter(channels))}_{secrets.token_hex(6)}"
        self._heard: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.trouble = "notifications are not listened for yet"
        """Why notifications do not arrive; empty when they do."""
        self.reconnects = 0
        """How often a connection was lost, or was found deaf."""

    def start(self) -> None:
        """Start to listen. Ends with `close`."""
        self._task = asyncio.create_task(self._run(), name="eventstore listener")

    async def close(self) -> None:
        """Stop listening and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        waits = delays()
        while True:
            try:
                async with self._listening() as lost:
                    while True:
                        await self._probe()
                        if self.trouble:
                            logger.info("notifications arrive")
                            self.trouble = ""
                            waits = delays()
                        await asyncio.wait([lost], timeout=self._heartbeat)
                        if lost.done():
                            raise ConnectionResetError("the connection was lost")
            except Exception as error:  # noqa: BLE001 - a listener that ends would end quietly
                if not self.trouble:
                    logger.warning("notifications do not arrive, polling instead: %s", error)
                self.trouble = f"notifications do not arrive: {str(error) or type(error).__name__}"
                self.reconnects += 1
            self._wake_all()  # nobody knows what was missed, and who waits has to poll from now on
            await asyncio.sleep(next(waits))

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncio.Future[None]]:
        """Connect and listen; give a future that is done when the connection is lost."""
        connection = await asyncpg.connect(
            self._dsn, timeout=10, server_settings={"application_name": "eventstore listener"}
        )
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_lost(_: object) -> None:
            if not lost.done():
                lost.set_result(None)

        connection.add_termination_listener(on_lost)
        try:
            async with asyncio.timeout(self._deadline):
                await connection.add_listener(self._own_channel, self._on_probe)
                for channel in self._channels:
                    await connection.add_listener(channel, self._on_notification)
            yield lost
        finally:
            # Not closed politely: the other end may be the very thing that does not answer.
            connection.terminate()

    async def _probe(self) -> None:
        self._heard = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._deadline):
                await self._notify(self._own_channel, "")
                await self._heard
        except TimeoutError:
            raise TimeoutError(
                f"one sent to itself did not come back within {self._deadline:g} s"
                " (a dead line, or pgbouncer in transaction mode: connect directly, or use its"
                " session mode)"
            ) from None
        self._wake_all()  # what was stored before LISTEN took effect

    def _on_probe(self, *_: object) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def _on_notification(self, _: object, __: int, channel: str, ___: object) -> None:
        self._channels[channel]()

    def _wake_all(self) -> None:
        for wake in self._channels.values():
            wake()
