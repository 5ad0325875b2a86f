"""Writing batches: read tables and checkpoint in one transaction, so each event counts once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import asyncpg

from eventstore.core.definition import Definition
from eventstore.core.errors import EventStoreError
from eventstore.core.events import RecordedEvent
from eventstore.core.folding import Failure
from eventstore.core.places import reason_of
from eventstore.postgres.statements import statements
from eventstore.projections.batch import Batch
from eventstore.projections.connection import Connection
from eventstore.projections.effects import SqlEffect, Start, effect_of
from eventstore.projections.faults import RowFault, is_of_a_row

logger: Final = logging.getLogger("eventstore.projections")

Attempt = Callable[[Batch, Exception | None], Awaitable[list[Failure]]]
"""Applies a batch, or, with a reason, treats its only event as failed for it."""
_STATES: Final = {"park": "parked", "stop": "stopped", "skip": "skipped"}


class LeaseLost(EventStoreError):
    """Another runner has taken the partition over: this one has written nothing since."""


class Stopped(EventStoreError):
    """The projection has stopped at an event that failed, as its policy says."""


class Place(NamedTuple):
    """One partition of a version of a projection, and the number of the lease on it."""

    partition: int
    lease: int


class Writer:
    """Applies the batches of one partition of a projection.

    Every method raises LeaseLost when another runner has the partition, and the driver's error for
    what has nothing to do with the events: then nothing was written since the last batch that went
    through, and the same call again goes on from there.
    """

    def __init__(self, projection: Definition, *, schema: str, place: Place) -> None:
        self.projection = projection
        self.place = place
        self.is_inline = False
        """Whether appends were found to apply it themselves."""
        self._effect = effect_of(projection, schema=schema, partition=place.partition)
        self._sql = statements(schema)

    def close(self) -> None:
        """Let go of what runs the handlers."""
        self._effect.close()

    async def prepare(self, batch: Batch) -> None:
        """Do ahead, while another batch is written, what of this one's needs no transaction.

        It runs code of the projection: not to be called for an event that may end the process.
        """
        await self._effect.prepare(batch)

    async def write(self, connection: Connection, batch: Batch) -> list[Failure]:
        """Apply a batch, and what failed of it as the policy says.

        Events that are applied already are passed over. Raises Stopped where the policy says so.
        """
        return await _in_halves(batch, lambda part, why: self._write(connection, part, why))

    async def retry(self, connection: Connection, batch: Batch, checkpoint: int) -> list[Failure]:
        """Apply what a stream that is to be retried has held back, up to `checkpoint`.

        Events that are applied already are passed over, and nothing is done if the checkpoint has
        moved. If nothing comes after the batch, the stream is free again.
        """
        return await _in_halves(
            batch, lambda part, why: self._retry(connection, part, checkpoint, why)
        )

    async def attach(self, connection: Connection) -> None:
        """Come to the head while appends wait, and leave what comes after it to them."""
        assert isinstance(self._effect, SqlEffect)  # noqa: S101 - only such are inline
        self.is_inline = await connection.fetchval(self._sql["projection_is_inline"], *self._who)
        if self.is_inline:
            return
        with _translating():
            async with connection.transaction():
                # The append lock before the partition, as appends take them.
                head: int = await connection.fetchval(self._sql["hold_appends"])
                start = await self._begin(connection, None)
                if head > start.checkpoint:
                    rest = Batch(start.checkpoint, head, None)
                    await self._effect.apply(connection, start, rest)
                    await self._checkpoint(connection, head)
                await self._effect.make_inline(connection, serving=start.serving)
                await connection.execute(self._sql["projection_inline"], *self._who)
        self.is_inline = True

    async def refuse(self, connection: Connection, batch: Batch, reason: Exception) -> None:
        """Treat the batch's only event as one that failed, without trying it."""
        await self._write(connection, batch, reason)

    async def refuse_retried(
        self, connection: Connection, batch: Batch, checkpoint: int, reason: Exception
    ) -> None:
        """Hold a stream that was to be retried back again, without trying it."""
        await self._retry(connection, batch, checkpoint, reason)

    async def count_try(self, connection: Connection, position: int) -> int:
        """Count, for good, that this event is about to be tried; give how often it has been."""
        with _translating():
            tries: int = await connection.fetchval(
                self._sql["projection_try"], *self._who, *self.place, position
            )
        return tries

    async def count_retry(self, connection: Connection, stream_name: str) -> int:
        """Count the same of a stream that is retried; 0 if it is not to be."""
        tries: int | None = await connection.fetchval(
            self._sql["projection_retry_counted"], *self._who, stream_name
        )
        return tries or 0

    async def stop(self, connection: Connection, reason: str) -> None:
        """Stop the projection, on every worker, until somebody resumes it."""
        with _translating():
            async with connection.transaction():
                await self._begin(connection, [])
                await self._stop(connection, reason)

    @property
    def _who(self) -> tuple[str, int]:
        return self.projection.name, self.projection.version

    async def _write(
        self, connection: Connection, batch: Batch, refused: Exception | None
    ) -> list[Failure]:
        stopped: Failure | None = None
        with _translating():
            async with connection.transaction():
                streams = None
                if batch.events is not None:
                    streams = list({event.stream_name for event in batch.events})
                start = await self._begin(connection, streams)
                self.is_inline = start.inline
                if start.inline:
                    return []
                ahead = batch.beyond(start.checkpoint)
                failures = await self._apply(connection, start, ahead, refused)
                upto = ahead.upto
                for failure in failures:
                    await self._record(connection, failure)
                    if self.projection.on_failure == "stop":
                        stopped, upto = failure, failure.event.position - 1
                        await self._stop(connection, _told(failure))
                await self._checkpoint(connection, upto)
        if stopped is not None:
            raise Stopped(_told(stopped)) from stopped.error
        return failures

    async def _retry(
        self, connection: Connection, batch: Batch, checkpoint: int, refused: Exception | None
    ) -> list[Failure]:
        then = batch.then
        with _translating():
            async with connection.transaction():
                start = await self._begin(connection, [])
                waits_at: int | None = await connection.fetchval(
                    self._sql["projection_retried_from"], *self._who, batch.stream_name
                )
                if (
                    start.checkpoint != checkpoint
                    or waits_at is None
                    or (batch.events and waits_at < batch.events[0].position)
                    or (then is not None and then.position <= waits_at)
                ):
                    return []  # asked for twice and done meanwhile, or read too early
                ahead = batch.beyond(waits_at - 1)
                failures = await self._apply(connection, start, ahead, refused)
                for failure in failures:
                    await self._record(connection, failure)
                if failures and self.projection.on_failure != "skip":
                    return failures
                if then is not None:
                    await self._mark(connection, then, "retrying", "being tried again")
                else:
                    await connection.execute(
                        self._sql["projection_unpark"], *self._who, batch.stream_name
                    )
        return failures

    async def _begin(self, connection: Connection, streams: list[str] | None) -> Start:
        row = await connection.fetchrow(
            self._sql["projection_begin"], *self._who, *self.place, streams
        )
        assert row is not None  # noqa: S101 - the function gives one row or raises
        return Start(row[0], row[1], frozenset(row[2]), frozenset(row[3]), row[4], row[5])

    async def _apply(
        self, connection: Connection, start: Start, batch: Batch, refused: Exception | None
    ) -> list[Failure]:
        """Apply a batch, or, if its only event is refused, do not."""
        if refused is None:
            return await self._effect.apply(connection, start, batch)
        event = await self._only_event(connection, batch)
        if event is None:
            raise RowFault(refused)
        if event.stream_name in start.held or event.position in start.skipped:
            return []
        return [Failure(event, refused)]

    async def _only_event(self, connection: Connection, batch: Batch) -> RecordedEvent | None:
        if batch.events is not None:
            return batch.events[0] if batch.events else None
        row = await connection.fetchrow(self._sql["projection_event"], batch.upto)
        if row is None:
            return None
        event = RecordedEvent(*row)
        return event if self.projection.query.matches(event) else None

    async def _checkpoint(self, connection: Connection, position: int) -> None:
        await connection.execute(
            self._sql["projection_checkpoint"], *self._who, *self.place, position
        )

    async def _record(self, connection: Connection, failure: Failure) -> None:
        state = _STATES[self.projection.on_failure]
        told = _told(failure)
        logger.error("%s: %s: %s", self.projection, state, told, exc_info=failure.error)
        await self._mark(connection, failure.event, state, reason_of(failure.error))

    async def _mark(
        self, connection: Connection, event: RecordedEvent, state: str, reason: str
    ) -> None:
        await connection.execute(
            self._sql["projection_fail"],
            *self._who,
            event.stream_name,
            event.revision,
            event.position,
            state,
            reason,
        )

    async def _stop(self, connection: Connection, reason: str) -> None:
        logger.error("%s: stopped: %s", self.projection, reason)
        await connection.execute(self._sql["projection_stop"], *self._who, reason)


async def _in_halves(batch: Batch, attempt: Attempt) -> list[Failure]:
    """Apply a batch; if one of its events does what the database refuses, in ever smaller parts."""
    try:
        return await attempt(batch, None)
    except RowFault as fault:
        if batch.is_single:
            return await attempt(batch, fault.cause)
    first, second = batch.halves()
    return [*await _in_halves(first, attempt), *await _in_halves(second, attempt)]


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == "ST006":
            raise LeaseLost(str(error)) from error
        if is_of_a_row(error):
            raise RowFault(error) from error
        raise


def _told(failure: Failure) -> str:
    event: Any = failure.event
    return (
        f"event {event.event_type} of stream {event.stream_name!r} at position {event.position}: "
        f"{reason_of(failure.error)}"
    )
