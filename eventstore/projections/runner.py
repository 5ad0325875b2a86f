"""Running one partition of a projection: read what comes, write it in batches, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg

from eventstore.core.backoff import delays
from eventstore.core.errors import HistoryRewound, Unavailable
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery
from eventstore.core.streams import partition_of
from eventstore.feed import Follower
from eventstore.projections.connection import FAILURES, Connection
from eventstore.projections.writer import LeaseLost, Place, Stopped, Writer
from eventstore.store import EventStore

logger: Final = logging.getLogger("eventstore.projections")

BATCH: Final = 5_000
"""Most events of a batch, reached while catching up: at the head a batch is what has come."""
IDLE: Final = 0.1
"""Seconds until a checkpoint moves over events that are not the projection's."""
CAUTIOUS: Final = 3
"""Crashes at one checkpoint after which events are tried one by one, to find which one it is."""
GIVEN_UP: Final = 6
"""Crashes at one checkpoint after which the next event is not tried any more."""
HELD_PAGE: Final = 500
"""Events of a parked stream that are tried again in one transaction."""


class Crashed(Exception):
    """Handling an event has ended the process, again and again."""


class Runner:
    """Applies a partition from its checkpoint on until `stop` is called or its lease is lost."""

    def __init__(
        self,
        store: EventStore,
        pool: asyncpg.Pool[asyncpg.Record],
        writer: Writer,
        place: Place,
        *,
        checkpoint: int,
        epoch: int,
        crashes: int = 0,
        on_moved: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Plan to run.

        `crashes` counts owners of this partition that ended without a word at `checkpoint`;
        `on_moved` is told of every checkpoint that is written.
        """
        self.place = place
        self.checkpoint = checkpoint
        self._store = store
        self._pool = pool
        self._writer = writer
        self._projection = writer.projection
        self._epoch = epoch
        self._crashes = crashes
        self._on_moved = on_moved
        self._stopping = False
        self._to_retry: dict[str, int] = {}

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopping = True

    def retry(self, stream_name: str, position: int) -> None:
        """Try a parked stream again, from the event at this position, after the present batch."""
        self._to_retry[stream_name] = position

    async def run(self) -> None:
        """Run. Ends quietly when stopped, fenced off, or where the policy says stop."""
        try:
            follower = self._store.follower(
                self._projection.query, after=self.checkpoint, epoch=self._epoch, page=BATCH
            )
            async with follower:
                await self._run(follower)
        except LeaseLost as lost:
            logger.warning("%s", lost)
        except Stopped:
            return  # told where it happened
        except (HistoryRewound, asyncpg.PostgresError) as error:
            await self._cannot_go_on(error)
        finally:
            self._writer.close()

    async def _run(self, follower: Follower) -> None:
        reading = asyncio.ensure_future(self._read(follower))
        try:
            while not self._stopping:
                events, position = await reading
                # The next batch is read while this one is written.
                reading = asyncio.ensure_future(self._read(follower))
                if position > self.checkpoint:
                    await self._write(events, position)
                while self._to_retry and not self._stopping:
                    await self._retry(*self._to_retry.popitem())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, follower: Follower) -> tuple[list[RecordedEvent], int]:
        waits = delays()
        before = follower.position
        while True:
            try:
                events = await follower.next(IDLE)
            except Unavailable as error:
                if self._stopping:
                    return [], before
                logger.warning("%r cannot read the log: %s", self._projection, error)
                await asyncio.sleep(next(waits))
                continue
            if follower.closed:
                self._stopping = True
            if events or follower.position > before or self._stopping or self._to_retry:
                return self._mine(events), follower.position

    def _mine(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        count, mine = self._projection.partitions, self.place.partition
        if count == 1:
            return events
        return [event for event in events if partition_of(event.stream_name, count) == mine]

    async def _write(self, events: Sequence[RecordedEvent], position: int) -> None:
        waits = delays()
        while True:
            try:
                async with self._pool.acquire() as connection:
                    if events and self._crashes >= CAUTIOUS:
                        await self._write_one_by_one(connection, events)
                    await self._writer.write(connection, self.place, events, position)
                self.checkpoint = position
                self._on_moved(position)
                return
            except FAILURES as error:
                if self._stopping:
                    return
                await self._wait(error, next(waits))

    async def _write_one_by_one(
        self, connection: Connection, events: Sequence[RecordedEvent]
    ) -> None:
        """Let a crash stand beside the event that causes it; give that up when it goes on."""
        if self._crashes >= GIVEN_UP:
            reason = Crashed(f"{self._crashes} workers ended without a word at this event")
            await self._writer.refuse(connection, self.place, events[0], reason)
        for event in events:
            await self._writer.write(connection, self.place, [event], event.position)
        self._crashes = 0

    async def _retry(self, stream_name: str, position: int) -> None:
        """Go on in a stream from the event that failed, up to the checkpoint."""
        held = EventQuery(streams=[stream_name])
        scan = self._store.read(held, after=position - 1, before=self.checkpoint + 1)
        waits = delays()
        async with contextlib.aclosing(_chunks(scan, self._projection.query)) as chunks:
            async for events, then in chunks:
                while True:
                    try:
                        async with self._pool.acquire() as connection:
                            failed = await self._writer.retry(
                                connection,
                                self.place,
                                stream_name,
                                events,
                                self.checkpoint,
                                then,
                            )
                        break
                    except FAILURES as error:
                        if self._stopping:
                            return
                        await self._wait(error, next(waits))
                self._on_moved(self.checkpoint)
                if failed is not None:
                    return

    async def _wait(self, error: Exception, seconds: float) -> None:
        """Wait for what passes; raise what does not, as a table that is gone."""
        if str(getattr(error, "sqlstate", "")).startswith("42"):
            raise error
        logger.warning("%r: trying again in %.1f s: %s", self._projection, seconds, error)
        await asyncio.sleep(seconds)

    async def _cannot_go_on(self, error: Exception) -> None:
        async with self._pool.acquire() as connection:
            await self._writer.stop(connection, f"{type(error).__name__}: {error}")


async def _chunks(events: Any, query: EventQuery) -> Any:
    """Give events that the query means in lists, each with the event that comes after it."""
    chunk: list[RecordedEvent] = []
    async for event in events:
        if not query.matches(event):
            continue
        if len(chunk) == HELD_PAGE:
            yield chunk, event
            chunk = []
        chunk.append(event)
    yield chunk, None
