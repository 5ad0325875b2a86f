"""Running one partition of a projection: take what comes, write it in batches, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

import asyncpg

from eventstore.core.backoff import delays
from eventstore.core.definition import Definition
from eventstore.core.errors import HistoryRewound, Unavailable
from eventstore.core.sql_projection import SqlProjection
from eventstore.postgres.errors import keeping_cancellation
from eventstore.projections.batch import Batch
from eventstore.projections.connection import FAILURES, Connection
from eventstore.projections.faults import RowFault
from eventstore.projections.intake import Intake, intake_of
from eventstore.projections.retrying import MOST_TRIES, Crashed, Retries
from eventstore.projections.writer import LeaseLost, Stopped, Writer
from eventstore.store import EventStore

logger: Final = logging.getLogger("eventstore.projections")

CAUTIOUS: Final = 3
"""Crashes at one checkpoint after which events are tried one by one, to find which one it is."""
NEAR: Final = 1_000
"""Events behind the head from which on appends may wait for an inline projection to come there."""
REPORT: Final = 10.0
"""Seconds between reports of a catch-up."""
LOOK: Final = 1.0
"""Seconds between looks at whether appends still apply an inline projection."""

T = TypeVar("T")


class _Stopping(Exception):
    """The runner is to end, and the database does not answer."""


class Runner:
    """Applies a partition from its checkpoint on until `stop` is called or its lease is lost."""

    def __init__(
        self,
        store: EventStore,
        pool: asyncpg.Pool[asyncpg.Record],
        writer: Writer,
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
        self.place = writer.place
        self.checkpoint = checkpoint
        self._store = store
        self._pool = pool
        self._writer = writer
        self._projection: Definition = writer.projection
        self._epoch = epoch
        self._crashes = crashes
        self._on_moved = on_moved
        self._is_inline = isinstance(writer.projection, SqlProjection) and writer.projection.inline
        self._stopped = asyncio.Event()
        self._retries = Retries(store, writer, self._persistently, on_moved)
        self._reported = (time.monotonic(), checkpoint)

    @property
    def _stopping(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stopped.set()

    def retry(self, stream_name: str, position: int) -> None:
        """Try a parked stream again, from the event at this position, after the present batch."""
        self._retries.ask(stream_name, position)

    async def run(self) -> None:
        """Run. Ends quietly when stopped, fenced off, where the policy says stop, or while the log
        cannot be read.

        What it cannot deal with stops the projection, with its reason, until somebody resumes it.
        """
        try:
            intake = intake_of(self._projection)(
                self._store,
                self._projection,
                self.place.partition,
                after=self.checkpoint,
                epoch=self._epoch,
                interrupted=lambda: self._stopping or bool(self._retries),
            )
            async with intake:
                await self._run(intake)
        except (LeaseLost, Unavailable) as error:  # the next heartbeat starts another runner
            logger.warning("%r: %s", self._projection, error)
        except Stopped:
            return  # told where it happened
        except _Stopping:
            logger.warning("%r ends without the database's answer", self._projection)
        except (HistoryRewound, RowFault, asyncpg.PostgresError) as error:
            await self._cannot_go_on(error)
        except Exception as error:  # a fault of ours: it would only come again
            logger.exception("%r: unexpected", self._projection)
            await self._cannot_go_on(error)
        finally:
            self._writer.close()

    async def _run(self, intake: Intake) -> None:
        await self._leave_to_appends()
        reading = asyncio.ensure_future(self._next(intake))
        try:
            while not self._stopping and not intake.closed:
                while self._is_inline and not (await asyncio.wait([reading], timeout=LOOK))[0]:
                    await self._leave_to_appends()  # it may have been paused, or switched
                batch = await reading
                # The next batch is read, and prepared, while this one is written.
                reading = asyncio.ensure_future(self._next(intake))
                if batch.upto > self.checkpoint:
                    await self._write(batch)
                    await self._leave_to_appends()
                    if self._writer.is_inline:
                        await self._rest()
                while self._retries and not self._stopping:
                    await self._retries.one(self.checkpoint)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _next(self, intake: Intake) -> Batch:
        batch = await intake.next()
        if not self._crashes:  # else a crash would stand beside an event of the batch before
            await self._writer.prepare(batch)
        return batch

    async def _write(self, batch: Batch) -> None:
        if batch.events and self._crashes >= CAUTIOUS:
            await self._write_one_by_one(batch)
        await self._persistently(lambda connection: self._writer.write(connection, batch))
        self._crashes = 0
        self.checkpoint = batch.upto
        self._on_moved(batch.upto)
        await self._report()

    async def _report(self) -> None:
        """Tell now and then how far a catch-up is, how fast it goes and how long it will take."""
        now = time.monotonic()
        if now - self._reported[0] < REPORT:
            return
        (before, position), self._reported = self._reported, (now, self.checkpoint)
        lag = (await self._store.head()).position - self.checkpoint
        rate = (self.checkpoint - position) / (now - before)
        if lag > NEAR and rate > 0:
            logger.info(
                "%r: %s events to go, %s a second, some %s left",
                self._projection,
                f"{lag:,}",
                f"{rate:,.0f}",
                timedelta(seconds=round(lag / rate)),
            )

    async def _leave_to_appends(self) -> None:
        """Let appends apply an inline projection once it is near the head, unless they do."""
        if not self._is_inline:
            return
        if not self._writer.is_inline:
            head = (await self._store.head()).position
            if head - self.checkpoint > NEAR:
                return
        with contextlib.suppress(RowFault):  # it is met again, and found, in a batch
            await self._persistently(self._attach)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await self._stopped.wait()

    async def _attach(self, connection: Connection) -> None:
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # an append takes long
            await self._writer.attach(connection)

    async def _write_one_by_one(self, batch: Batch) -> None:
        """Let a crash stand beside the event that causes it; give that one up when it goes on."""
        after = batch.after
        for event in batch.events or ():
            one = Batch(after, event.position, [event])
            after = event.position

            async def count(connection: Connection, one: Batch = one) -> int:
                return await self._writer.count_try(connection, one.upto)

            # Counted once, however often the line breaks: that is no crash.
            tries = await self._persistently(count)

            async def attempt(connection: Connection, one: Batch = one, tries: int = tries) -> None:
                if tries > MOST_TRIES:
                    await self._writer.refuse(connection, one, Crashed())
                else:
                    await self._writer.write(connection, one)

            await self._persistently(attempt)

    async def _persistently(self, act: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something on a connection, again until what passes has passed."""
        waits = delays()
        while True:
            try:
                with keeping_cancellation():
                    async with self._pool.acquire() as connection:
                        return await act(connection)
            except FAILURES as error:
                if str(getattr(error, "sqlstate", "")).startswith(("42", "ST")):
                    raise  # as a table that is gone, or what we refuse: it does not pass
                if self._stopping:
                    raise _Stopping from error
                seconds = next(waits)
                logger.warning("%r: trying again in %.1f s: %s", self._projection, seconds, error)
            await asyncio.sleep(seconds)

    async def _cannot_go_on(self, error: Exception) -> None:
        cause = error.cause if isinstance(error, RowFault) else error
        reason = f"{type(cause).__name__}: {cause}"
        with contextlib.suppress(LeaseLost, _Stopping):
            await self._persistently(lambda connection: self._writer.stop(connection, reason))
