"""Writing batches: read tables and checkpoint in one transaction, so each event counts once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import asyncpg

from eventstore.core.errors import EventStoreError
from eventstore.core.events import RecordedEvent
from eventstore.core.folding import Failure, Folded, fold, plan, respelt
from eventstore.core.projection import Projection
from eventstore.postgres.statements import statements
from eventstore.projections.connection import Connection
from eventstore.projections.deadline import DeadlineExceeded, TimedThread
from eventstore.projections.registry import read_tables
from eventstore.projections.rows import RowFault, RowStore

logger: Final = logging.getLogger("eventstore.projections")

_OF_A_ROW: Final = ("21", "22", "23", "54")
"""SQLSTATE classes that a row causes (cardinality, data, integrity, limits of an index): all others
pass, or concern everybody."""


class LeaseLost(EventStoreError):
    """Another runner has taken the partition over: this one has written nothing since."""


class Stopped(EventStoreError):
    """The projection has stopped at an event that failed, as its policy says."""


class Place(NamedTuple):
    """One partition of a version of a projection, and the number of the lease on it."""

    partition: int
    lease: int


class Writer:
    """Applies batches of one projection to its read tables, in the schema `<schema>_read`."""

    def __init__(self, projection: Projection, *, schema: str) -> None:
        self.projection = projection
        self._rows = RowStore(read_tables(projection, schema=schema))
        self._sql = statements(schema)
        self._thread = TimedThread(f"projection {projection.name}")

    def close(self) -> None:
        """Let go of the thread that runs the handlers."""
        self._thread.close()

    async def write(
        self,
        connection: Connection,
        place: Place,
        events: Sequence[RecordedEvent],
        checkpoint: int,
    ) -> list[Failure]:
        """Apply a batch that ends at `checkpoint`, and what failed of it as the policy says.

        Events that are applied already are passed over. Raises LeaseLost, Stopped, or the
        driver's error for what has nothing to do with the events: then nothing was written since
        the last batch that went through, and the same call again goes on from there.
        """
        try:
            return await self._transaction(connection, place, events, checkpoint)
        except RowFault as fault:
            if len(events) == 1:
                refused = Failure(events[0], fault.cause)
                return await self._transaction(connection, place, events, checkpoint, refused)
        # One of them does what the database refuses: in halves it comes to stand alone.
        middle = len(events) // 2
        first, second = events[:middle], events[middle:]
        return [
            *await self.write(connection, place, first, first[-1].position),
            *await self.write(connection, place, second, checkpoint),
        ]

    async def retry(
        self,
        connection: Connection,
        place: Place,
        stream_name: str,
        events: Sequence[RecordedEvent],
        checkpoint: int,
        then: RecordedEvent | None = None,
    ) -> Failure | None:
        """Apply what a stream that is to be retried has held back; `then` is what is still to come.

        They are in order, and all that there are up to `checkpoint`; those that are applied already
        are passed over, and nothing is done if the checkpoint has moved. Without `then` the stream
        is free again. Gives the failure where it is parked anew. Raises as `write`.
        """
        try:
            return await self._retry(connection, place, stream_name, events, checkpoint, then)
        except RowFault as fault:
            if len(events) == 1:
                refused = Failure(events[0], fault.cause)
                return await self._retry(
                    connection, place, stream_name, events, checkpoint, then, refused
                )
        middle = len(events) // 2
        first, second = events[:middle], events[middle:]
        return await self.retry(
            connection, place, stream_name, first, checkpoint, second[0]
        ) or await self.retry(connection, place, stream_name, second, checkpoint, then)

    async def refuse(
        self, connection: Connection, place: Place, event: RecordedEvent, reason: Exception
    ) -> None:
        """Treat an event as one that failed, without trying it. Raises as `write`."""
        failure = Failure(event, reason)
        await self._transaction(connection, place, [event], event.position, failure)

    async def stop(self, connection: Connection, reason: str) -> None:
        """Stop the projection, on every worker, until somebody resumes it."""
        logger.error("%s: stopped: %s", self.projection, reason)
        await connection.execute(
            self._sql["projection_stop"], self.projection.name, self.projection.version, reason
        )

    async def _transaction(
        self,
        connection: Connection,
        place: Place,
        events: Sequence[RecordedEvent],
        checkpoint: int,
        refused: Failure | None = None,
    ) -> list[Failure]:
        stopped: Failure | None = None
        with _translating():
            async with connection.transaction():
                start = await self._begin(connection, place, events)
                ahead = [event for event in events if event.position > start.checkpoint]
                folded = await self._fold(connection, start, ahead, refused)
                for failure in folded.failures:
                    if self.projection.on_failure == "stop":
                        stopped, checkpoint = failure, failure.event.position - 1
                        await self.stop(connection, _told(failure))
                    else:
                        await self._record(connection, failure)
                await self._checkpoint(connection, place, max(checkpoint, start.checkpoint))
        if stopped is not None:
            raise Stopped(_told(stopped)) from stopped.error
        return list(folded.failures)

    async def _retry(
        self,
        connection: Connection,
        place: Place,
        stream_name: str,
        events: Sequence[RecordedEvent],
        checkpoint: int,
        then: RecordedEvent | None,
        refused: Failure | None = None,
    ) -> Failure | None:
        with _translating():
            async with connection.transaction():
                start = await self._begin(connection, place, ())
                waits_at: int | None = await connection.fetchval(
                    self._sql["projection_retried_from"],
                    self.projection.name,
                    self.projection.version,
                    stream_name,
                )
                if (
                    start.checkpoint != checkpoint
                    or waits_at is None
                    or (events and waits_at < events[0].position)
                    or (then is not None and then.position <= waits_at)
                ):
                    return None  # asked for twice and done meanwhile, or read too early
                events = [event for event in events if event.position >= waits_at]
                folded = await self._fold(connection, start, events, refused)
                for failure in folded.failures:
                    await self._record(connection, failure)
                if folded.failures and self.projection.on_failure != "skip":
                    return folded.failures[0]
                if then is not None:
                    await self._mark(connection, then, "retrying", "being tried again")
                else:
                    await connection.execute(
                        self._sql["projection_unpark"],
                        self.projection.name,
                        self.projection.version,
                        stream_name,
                    )
        return None

    async def _begin(
        self, connection: Connection, place: Place, events: Sequence[RecordedEvent]
    ) -> _Start:
        streams = list({event.stream_name for event in events})
        row = await connection.fetchrow(
            self._sql["projection_begin"],
            self.projection.name,
            self.projection.version,
            place.partition,
            place.lease,
            streams,
        )
        assert row is not None  # noqa: S101 - the function gives one row or raises
        return _Start(row[0], row[1], frozenset(row[2]))

    async def _fold(
        self,
        connection: Connection,
        start: _Start,
        events: Sequence[RecordedEvent],
        refused: Failure | None,
    ) -> Folded:
        """Fold the events and write the rows, or, if the only one is `refused`, do not."""
        if refused is not None:
            return Folded({}, (refused,) if events and not start.held else ())
        planned = await self._thread.run(
            self.projection.deadline, lambda: plan(self.projection, events, start.held)
        )
        rows, known = await self._rows.load(connection, planned.keys, serving=start.serving)
        respelled = respelt(planned, known)
        folded = await self._thread.run(self.projection.deadline, lambda: fold(respelled, rows))
        await self._rows.store(connection, folded.rows, serving=start.serving)
        return folded

    async def _record(self, connection: Connection, failure: Failure) -> None:
        state = "skipped" if self.projection.on_failure == "skip" else "parked"
        logger.error("%s: %s: %s", self.projection, state, _told(failure))
        await self._mark(connection, failure.event, state, _reason(failure.error))

    async def _mark(
        self, connection: Connection, event: RecordedEvent, state: str, reason: str
    ) -> None:
        await connection.execute(
            self._sql["projection_fail"],
            self.projection.name,
            self.projection.version,
            event.stream_name,
            event.revision,
            event.position,
            state,
            reason,
        )

    async def _checkpoint(self, connection: Connection, place: Place, position: int) -> None:
        await connection.execute(
            self._sql["projection_checkpoint"],
            self.projection.name,
            self.projection.version,
            place.partition,
            place.lease,
            position,
        )


class _Start(NamedTuple):
    checkpoint: int
    serving: bool
    held: frozenset[str]


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except DeadlineExceeded as error:
        raise RowFault(error) from error
    except asyncpg.PostgresError as error:
        if error.sqlstate == "ST006":
            raise LeaseLost(str(error)) from error
        if str(error.sqlstate)[:2] in _OF_A_ROW:
            raise RowFault(error) from error
        raise


def _told(failure: Failure) -> str:
    event = failure.event
    return (
        f"event {event.event_type} of stream {event.stream_name!r} at position {event.position}: "
        f"{_reason(failure.error)}"
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:2_000]
