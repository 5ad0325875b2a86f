"""Library append: 64 callers with one event each, and 100 events a call.

The limit is a bare INSERT ... SELECT FROM unnest into a table with the same columns, checks and
indexes, 100 events a transaction, on one asyncpg connection. Making event ids and encoding data as
JSON is timed on both sides; making the data is not. Before each measurement of the store the bare
table takes as many events, so that both have the same size.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Final

import asyncpg

from eventstore import EventData, EventStore
from eventstore.ids import new_event_ids

from ._data import EVENT_TYPE, json_text, payload, revision, stream_name
from ._options import Options, parse
from ._report import Measurement, Row, percentile, print_report
from ._rounds import Contest, Measure, compete, run
from ._server import Database, database

CALLERS: Final = 64
BATCH: Final = 100

_TABLE: Final = "CREATE TABLE {schema}.bare_events (LIKE {schema}.events INCLUDING ALL)"
_INSERT: Final = """
INSERT INTO {schema}.bare_events
       (position, revision, recorded_at, event_id, stream_name, event_type, data, metadata, tags)
SELECT e.position, e.revision, now(), e.id, e.stream, e.type, e.data, e.metadata, '{{}}'
  FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::jsonb[],
              $7::jsonb[]) AS e(position, revision, id, stream, type, data, metadata)
"""


class Bare:
    """The limit: the same events by a bare INSERT."""

    def __init__(self, connection: asyncpg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._insert = _INSERT.format(schema=schema)
        self._position = 0

    async def measure(self, events: int) -> Measurement:
        """Insert so many events, 100 a transaction."""
        data = [payload(self._position + number) for number in range(events)]
        started = perf_counter()
        for low in range(0, events, BATCH):
            await self._insert_batch(data[low : low + BATCH])
        return Measurement(events, perf_counter() - started)

    async def _insert_batch(self, data: Sequence[dict[str, Any]]) -> None:
        first, self._position = self._position, self._position + len(data)
        numbers = range(first, self._position)
        await self._connection.execute(
            self._insert,
            [number + 1 for number in numbers],
            [revision(number) for number in numbers],
            new_event_ids(len(data)),
            [stream_name(number) for number in numbers],
            [EVENT_TYPE] * len(data),
            [json_text(one) for one in data],
            ["{}"] * len(data),
        )


class Appends:
    """The candidate: callers of EventStore.append, each waiting for its answer."""

    def __init__(self, store: EventStore, *, callers: int, batch: int) -> None:
        self._store = store
        self._callers = callers
        self._batch = batch
        self._number = 0

    async def measure(self, events: int) -> Measurement:
        """Append so many events."""
        first, self._number = self._number, self._number + events
        made = [EventData(EVENT_TYPE, payload(first + number)) for number in range(events)]
        calls = [
            (stream_name(first + low), made[low : low + self._batch])
            for low in range(0, events, self._batch)
        ]
        latencies: list[float] = []
        waiting = iter(calls)
        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._callers, len(calls))):
                group.create_task(self._call(waiting, latencies))
        seconds = perf_counter() - started
        latencies.sort()
        return Measurement(events, seconds, percentile(latencies, 0.5), percentile(latencies, 0.99))

    async def _call(
        self, waiting: Iterator[tuple[str, list[EventData]]], latencies: list[float]
    ) -> None:
        for stream, events in waiting:
            called = perf_counter()
            await self._store.append(stream, events)
            latencies.append(perf_counter() - called)


async def _compare(options: Options, at: Database) -> list[Row]:
    connection = await asyncpg.connect(at.dsn)
    try:
        await connection.execute(_TABLE.format(schema=at.schema))
        async with EventStore(at.dsn, schema=at.schema) as store:
            limit = Bare(connection, at.schema).measure
            contests = [
                _contest(store, limit, callers=CALLERS, batch=1, target=0.6, aim=0.8),
                _contest(store, limit, callers=1, batch=BATCH, target=0.7),
                _contest(store, limit, callers=CALLERS, batch=BATCH, target=0.7),
            ]
            return await compete(contests, options)
    finally:
        await connection.close()


def _contest(
    store: EventStore,
    limit: Measure,
    *,
    callers: int,
    batch: int,
    target: float,
    aim: float | None = None,
) -> Contest:
    who = "1 caller" if callers == 1 else f"{callers} callers"
    return Contest(
        what=f"append, {who}, {'one event' if batch == 1 else f'{batch} events'} each",
        against=f"bare INSERT of {BATCH}",
        target=target,
        aim=aim,
        candidate=Appends(store, callers=callers, batch=batch).measure,
        limit=limit,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=20_000, smoke_events=300)
    with database(options) as at:
        rows = run(_compare(options, at))
    print_report("Library append", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
