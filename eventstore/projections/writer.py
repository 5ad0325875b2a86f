"""Writing batches: read tables and checkpoint in one transaction, so each event counts once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from eventstore.core.errors import EventStoreError
from eventstore.core.events import RecordedEvent
from eventstore.core.folding import Failure, Folded, Plan, Rows, fold, plan, respelt
from eventstore.core.projection import Key, Projection
from eventstore.postgres.statements import statements
from eventstore.projections.registry import read_tables

logger: Final = logging.getLogger("eventstore.projections")

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]

_OF_A_ROW: Final = ("22", "23")
"""SQLSTATE classes that a row causes, data and integrity: all others pass or concern everybody."""


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
        self._tables = {table.name: table for table in read_tables(projection, schema=schema)}
        self._sql = statements(schema)

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
        except _RowFault as fault:
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

    async def _transaction(
        self,
        connection: Connection,
        place: Place,
        events: Sequence[RecordedEvent],
        checkpoint: int,
        refused: Failure | None = None,
    ) -> list[Failure]:
        stopped: Failure | None = None
        try:
            async with connection.transaction():
                start = await self._begin(connection, place, events)
                ahead = [event for event in events if event.position > start.checkpoint]
                if refused is None:
                    planned = plan(self.projection, ahead, start.held)
                    folded = await self._fold(connection, planned, serving=start.serving)
                else:
                    folded = Folded({}, (refused,) if ahead and not start.held else ())
                for failure in folded.failures:
                    if self.projection.on_failure == "stop":
                        stopped, checkpoint = failure, failure.event.position - 1
                        await self._stop(connection, failure)
                    else:
                        await self._record(connection, failure)
                await self._checkpoint(connection, place, max(checkpoint, start.checkpoint))
        except asyncpg.PostgresError as error:
            raise _translated(error) from error
        if stopped is not None:
            raise Stopped(_told(stopped)) from stopped.error
        return list(folded.failures)

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

    async def _fold(self, connection: Connection, planned: Plan, *, serving: bool) -> Folded:
        rows: Rows = {}
        known: dict[str, dict[Key, Key]] = {}
        for name, keys in planned.keys.items():
            rows[name], known[name] = {}, {}
            if keys:
                table, asked = self._tables[name], list(keys)
                try:
                    text = table.encode_keys(asked)
                except (ValueError, TypeError) as error:
                    raise _RowFault(error) from error
                records = await connection.fetch(table.statements(serving=serving).load, text)
                for number, key, row in map(table.decode, records):
                    known[name][asked[number]] = key
                    rows[name][key] = row
        folded = fold(respelt(planned, known), rows)
        for name, changed in folded.rows.items():
            table = self._tables[name]
            sql = table.statements(serving=serving)
            kept = [row for row in changed.values() if row is not None]
            removed = [key for key, row in changed.items() if row is None]
            try:
                if removed:
                    await connection.execute(sql.delete, table.encode_keys(removed))
                if kept:
                    await connection.execute(sql.upsert, table.encode_rows(kept))
            except (ValueError, TypeError) as error:
                raise _RowFault(error) from error
        return folded

    async def _record(self, connection: Connection, failure: Failure) -> None:
        event = failure.event
        state = "skipped" if self.projection.on_failure == "skip" else "parked"
        logger.error("%s: %s: %s", self.projection, state, _told(failure))
        await connection.execute(
            self._sql["projection_fail"],
            self.projection.name,
            self.projection.version,
            event.stream_name,
            event.revision,
            event.position,
            state,
            _reason(failure.error),
        )

    async def _stop(self, connection: Connection, failure: Failure) -> None:
        logger.error("%s: stopped: %s", self.projection, _told(failure))
        await connection.execute(
            self._sql["projection_stop"],
            self.projection.name,
            self.projection.version,
            _told(failure),
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


class _RowFault(Exception):
    """The database, or the way to it, refuses what some event of a batch makes of a row."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause


def _translated(error: asyncpg.PostgresError) -> Exception:
    if error.sqlstate == "ST006":
        return LeaseLost(str(error))
    if str(error.sqlstate)[:2] in _OF_A_ROW:
        return _RowFault(error)
    return error


def _told(failure: Failure) -> str:
    event = failure.event
    return (
        f"event {event.event_type} of stream {event.stream_name!r} at position {event.position}: "
        f"{_reason(failure.error)}"
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:2_000]
