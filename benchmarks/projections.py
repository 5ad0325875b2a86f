"""Projections catching up: a fold over 10,000 keys, and a statement, run by a library worker.

The limit of the fold is the loop that one would write by hand for this one table: fetch 5,000
events, load the rows that they touch, fold them in a dict, write them by one upsert, and the
checkpoint with them. Both sides begin with an empty table, and decode the data of every event. The
limit of the statement is the same one, run over 10,000 events at a time with its checkpoint.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from itertools import count
from time import perf_counter
from typing import Any, Final

import asyncpg

from eventstore import EventStore
from eventstore.core.definition import Definition
from eventstore.memory import settle_memory
from eventstore.projections.intake import SPAN
from eventstore.projections.registry import register
from eventstore.projections.worker import Worker

from ._folding import SUMS, folding, summing
from ._options import Options, parse
from ._reading import checked, fill
from ._report import Measurement, Row, print_report
from ._rounds import Contest, compete, run
from ._server import Database, database

KEYS: Final = 10_000
BATCH: Final = 5_000
PATIENCE: Final = 600.0
_TABLES: Final = """
CREATE TABLE {schema}.by_hand (
    order_id text PRIMARY KEY, events integer NOT NULL, total double precision NOT NULL,
    customer text NOT NULL);
CREATE TABLE {schema}.by_hand_checkpoint (position bigint NOT NULL);
INSERT INTO {schema}.by_hand_checkpoint VALUES (0)
"""
_FETCH: Final = """
SELECT position, stream_name, data::text FROM {schema}.events
 WHERE position > $1 ORDER BY position LIMIT $2
"""
_LOAD: Final = """
SELECT order_id, events, total, customer FROM {schema}.by_hand WHERE order_id = ANY ($1::text[])
"""
_UPSERT: Final = """
INSERT INTO {schema}.by_hand (order_id, events, total, customer)
SELECT * FROM unnest($1::text[], $2::integer[], $3::double precision[], $4::text[])
ON CONFLICT (order_id) DO UPDATE
   SET events = excluded.events, total = excluded.total, customer = excluded.customer
"""
_MOVE: Final = "UPDATE {schema}.by_hand_checkpoint SET position = $1"


class ByHand:
    """The limit: fetch, fold, upsert; rows and checkpoint in one transaction a batch."""

    def __init__(self, connection: asyncpg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._fetch, self._load, self._upsert, self._move = (
            text.format(schema=schema) for text in (_FETCH, _LOAD, _UPSERT, _MOVE)
        )

    async def create(self) -> None:
        """Create its table and its checkpoint."""
        await self._connection.execute(_TABLES.format(schema=self._schema))

    async def catch_up(self, store: EventStore, events: int) -> Measurement:
        """Apply the log's last events to an empty table."""
        position = (await store.head()).position - events
        await self._connection.execute(f"TRUNCATE {self._schema}.by_hand")
        done = 0
        started = perf_counter()
        while batch := await self._connection.fetch(self._fetch, position, BATCH):
            position = batch[-1][0]
            await self._write(batch, position)
            done += len(batch)
        return checked(Measurement(done, perf_counter() - started), events)

    async def _write(self, batch: list[asyncpg.Record], position: int) -> None:
        async with self._connection.transaction():
            keys = list({stream_name for _, stream_name, _ in batch})
            rows = {row[0]: tuple(row) for row in await self._connection.fetch(self._load, keys)}
            for _, stream_name, text in batch:
                data = json.loads(text)
                _, number, total, _ = rows.get(stream_name, (stream_name, 0, 0.0, ""))
                rows[stream_name] = (
                    stream_name,
                    number + 1,
                    total + data["total"],
                    data["customer"],
                )
            await self._connection.execute(self._upsert, *zip(*rows.values(), strict=True))
            await self._connection.execute(self._move, position)


class StatementByHand:
    """The limit of a SqlProjection: its statement, span by span, each with the checkpoint."""

    def __init__(self, connection: asyncpg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        span = "SELECT * FROM {schema}.events WHERE position > $1 AND position <= $2"
        text = SUMS.replace("{sums}", "{schema}.by_hand").replace("FROM batch", f"FROM ({span}) b")
        self._sums, self._move = (one.format(schema=schema) for one in (text, _MOVE))

    async def catch_up(self, store: EventStore, events: int) -> Measurement:
        """Apply the log's last events to an empty table."""
        head = (await store.head()).position
        await self._connection.execute(f"TRUNCATE {self._schema}.by_hand")
        started = perf_counter()
        for after in range(head - events, head, SPAN):
            upto = min(after + SPAN, head)
            async with self._connection.transaction():
                await self._connection.execute(self._sums, after, upto)
                await self._connection.execute(self._move, upto)
        seconds = perf_counter() - started
        applied = await self._connection.fetchval(f"SELECT sum(events) FROM {self._schema}.by_hand")
        return checked(Measurement(applied, seconds), events)


class ByProjection:
    """The candidate: a projection, and a worker that runs it."""

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        at: Database,
        definition: Callable[[str], Definition],
    ) -> None:
        self._connection = connection
        self._at = at
        self._definition = definition
        self._numbers = count(1)

    async def catch_up(self, store: EventStore, events: int) -> Measurement:
        """Apply the log's last events to an empty table; from the start of the worker on."""
        head = (await store.head()).position
        projection = self._definition(f"of_{self._definition.__name__}_{next(self._numbers)}")
        await register(self._connection, projection, schema=self._at.schema)
        await self._connection.execute(
            f"UPDATE {self._at.schema}.projection_partitions SET checkpoint = $1"
            " WHERE projection = $2",
            head - events,
            projection.name,
        )
        worker = Worker(store, [projection], dsn=self._at.dsn)
        started = perf_counter()
        working = asyncio.ensure_future(worker.run())
        await store.wait_for(projection.name, position=head, timeout=PATIENCE)
        seconds = perf_counter() - started
        worker.stop()
        await working
        applied: int = await self._connection.fetchval(
            f"SELECT sum(events) FROM {self._at.schema}_read.{projection.name}"
        )
        return checked(Measurement(applied, seconds), events)


async def _compare(options: Options, at: Database) -> list[Row]:
    connection = await asyncpg.connect(at.dsn)
    try:
        async with EventStore(at.dsn, schema=at.schema) as store:
            await fill(store, options.events, streams=KEYS)
            by_hand, by_fold = ByHand(connection, at.schema), ByProjection(connection, at, folding)
            statement = StatementByHand(connection, at.schema)
            by_statement = ByProjection(connection, at, summing)
            await by_hand.create()
            settle_memory()  # as `eventstore worker` does
            contests = [
                Contest(
                    what=f"fold, {KEYS:,} keys",
                    against=f"fetch {BATCH:,}, fold in a dict, upsert by hand",
                    target=0.6,
                    candidate=lambda events: by_fold.catch_up(store, events),
                    limit=lambda events: by_hand.catch_up(store, events),
                ),
                Contest(
                    what="SqlProjection",
                    against=f"the same statement by hand, {SPAN:,} at a time",
                    target=0.7,
                    candidate=lambda events: by_statement.catch_up(store, events),
                    limit=lambda events: statement.catch_up(store, events),
                ),
            ]
            return await compete(contests, options)
    finally:
        await connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=100_000, smoke_events=1_500)
    with database(options) as at:
        rows = run(_compare(options, at))
    print_report("Projections catching up", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
