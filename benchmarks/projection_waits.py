"""Projection waits: from an append to its row, seen by whoever waits for it.

A worker in another process applies the events. Appends come at fixed times, 500 a second from the
library and 100 a second over REST, where one service takes the append and another one the wait;
latencies count from when an append was due to when its wait ends. Then 1,000 wait at once, for
one event: the connections that they cost, and how long until the last of them goes on.

The limit is what PostgreSQL itself takes when all is done by hand, in the same process: an INSERT
and its commit, the row's upsert, and a NOTIFY, heard by a bare connection that listens.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, Final

import asyncpg

from eventstore import EventData, EventStore
from eventstore.projections.registry import register

from ._arrivals import arrive, times
from ._connections import Requests
from ._data import EVENT_TYPE, json_text, payload, stream_name
from ._figures import Figure, Pair, print_figures
from ._folding import folding
from ._meter import PATIENCE, Meter, Taken
from ._options import Options, parse
from ._rounds import run
from ._server import Database, database
from ._service import Service, service
from ._working import worker

RATE: Final = 500
"""Appends a second of the budget; `--events` are those of this rate."""
REST_RATE: Final = 100
BUDGETS: Final = {"p50": 10.0, "p99": 50.0}
NAME: Final = "orders"
LIMIT: Final = "INSERT, upsert, NOTIFY by hand"
_CHANNEL: Final = "eventstore_bench_waits"
_TABLES: Final = """
CREATE TABLE {schema}.bare_waits (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                  stream_name text NOT NULL, data jsonb NOT NULL);
CREATE TABLE {schema}.bare_rows (order_id text PRIMARY KEY, events integer NOT NULL,
                                 total double precision NOT NULL, customer text NOT NULL)
"""
_INSERT: Final = """
INSERT INTO {schema}.bare_waits (stream_name, data) VALUES ($1, $2) RETURNING position
"""
_UPSERT: Final = """
INSERT INTO {schema}.bare_rows AS r VALUES ($1, 1, $2, $3)
ON CONFLICT (order_id) DO UPDATE
   SET events = r.events + 1, total = r.total + excluded.total, customer = excluded.customer
"""
_LISTENING: Final = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'eventstore listener'
"""
_IN_USE: Final = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'eventstore' AND state <> 'idle'
"""

_LOOKS: Final = 50

Acknowledged = Callable[[int], None]
Send = Callable[[int, Acknowledged], Awaitable[int]]
"""Appends the event with this number, tells its position, and waits; gives the position."""


class ByHand:
    """The limit. Its positions are its own."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], schema: str) -> None:
        self._pool = pool
        self._insert, self._upsert = _INSERT.format(schema=schema), _UPSERT.format(schema=schema)
        self._heard: dict[int, asyncio.Future[None]] = {}

    def hear(self, *notification: Any) -> None:
        """Let whoever waits for that position go on."""
        self._heard.pop(int(notification[3])).set_result(None)

    async def send(self, number: int, acknowledged: Acknowledged) -> int:
        """Do all of it, one transaction for the event and one for the row."""
        data = payload(number)
        async with self._pool.acquire() as connection:
            position: int = await connection.fetchval(
                self._insert, stream_name(number), json_text(data)
            )
            acknowledged(position)
            heard = self._heard[position] = asyncio.get_running_loop().create_future()
            async with connection.transaction():
                await connection.execute(
                    self._upsert, stream_name(number), data["total"], data["customer"]
                )
                await connection.fetchval("SELECT pg_notify($1, $2)", _CHANNEL, str(position))
        await heard
        return position


async def _by_library(store: EventStore, number: int, acknowledged: Acknowledged) -> int:
    written = await store.append(stream_name(number), EventData(EVENT_TYPE, payload(number)))
    acknowledged(written.position)
    await store.wait_for(
        NAME, stream=written.stream_name, revision=written.revision, timeout=PATIENCE
    )
    return written.position


async def _over_rest(
    appends: Requests, waits: Requests, number: int, acknowledged: Acknowledged
) -> int:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answered(position: int) -> None:
        acknowledged(position)
        waits.wait(NAME, position, lambda _: done.set_result(position))

    appends.send(number, answered)
    return await done


async def _measure(send: Send, rate: float, count: int) -> Taken:
    await _arrivals(send, rate, max(count // 5, 1))  # connections, caches
    gc.collect()
    return await _arrivals(send, rate, count)


async def _arrivals(send: Send, rate: float, count: int) -> Taken:
    meter = Meter(count, count)
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        try:
            position = await send(number, lambda position: meter.acknowledged(number, position))
            meter.delivered((position,), perf_counter())
        except Exception as error:
            meter.fail(error)
            raise

    def arrived(number: int, due: float) -> None:
        meter.due(number, due)
        task = asyncio.create_task(one(number))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    await arrive(times(rate, count), arrived)
    return await meter.taken()


async def _many(at: Database, connection: Any, count: int) -> list[float]:
    """Give the connections that listen and those in use while so many wait, and milliseconds from
    an append until the last of them goes on."""
    others = await connection.fetchval(_LISTENING)
    async with EventStore(at.dsn, schema=at.schema) as store:
        head = (await store.head()).position
        await store.wait_for(NAME, position=head, timeout=PATIENCE)
        waiting = [
            asyncio.create_task(store.wait_for(NAME, position=head + 1, timeout=PATIENCE))
            for _ in range(count)
        ]
        await asyncio.sleep(0)  # so that they look before this one does
        await store.wait_for(NAME, position=head, timeout=PATIENCE)
        listening = await connection.fetchval(_LISTENING) - others
        in_use = median([await connection.fetchval(_IN_USE) for _ in range(_LOOKS)])
        began = perf_counter()
        await store.append(stream_name(0), EventData(EVENT_TYPE, payload(0)))
        await asyncio.gather(*waiting)
        return [listening, in_use, (perf_counter() - began) * 1_000]


@asynccontextmanager
async def _connected(target: Service) -> AsyncIterator[Requests]:
    """Open connections, for one measurement: a service hangs up on idle ones."""
    loop = asyncio.get_running_loop()
    requests = Requests(
        lambda error: loop.call_exception_handler({"message": "lost", "exception": error})
    )
    await requests.open(target.port)
    try:
        yield requests
    finally:
        requests.close()


async def _compare(
    options: Options, at: Database, services: tuple[Service, Service]
) -> list[Figure]:
    taken: list[tuple[Taken, Taken, Taken, Taken]] = []
    many: list[list[float]] = []
    async with (
        EventStore(at.dsn, schema=at.schema) as store,
        asyncpg.create_pool(at.dsn, min_size=8, max_size=8) as pool,
        pool.acquire() as connection,
    ):
        await pool.execute(_TABLES.format(schema=at.schema))
        by_hand = ByHand(pool, at.schema)
        await connection.add_listener(_CHANNEL, by_hand.hear)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            count = options.events
            hand = await _measure(by_hand.send, RATE, count)
            library = await _measure(partial(_by_library, store), RATE, count)
            count = max(count * REST_RATE // RATE, 1)
            slow_hand = await _measure(by_hand.send, REST_RATE, count)
            async with _connected(services[0]) as appends, _connected(services[1]) as waits:
                rest = await _measure(partial(_over_rest, appends, waits), REST_RATE, count)
            taken.append((hand, library, slow_hand, rest))
            many.append(await _many(at, connection, options.followers))
        await connection.remove_listener(_CHANNEL, by_hand.hear)
    library_pairs = [(library, hand) for hand, library, _, _ in taken]
    rest_pairs = [(rest, hand) for _, _, hand, rest in taken]
    return [
        *_latencies(f"library, {RATE} appends/s", library_pairs, BUDGETS),
        *_latencies(f"REST, two services, {REST_RATE} appends/s", rest_pairs, {}),
        *_costs(f"{options.followers:,} wait", many),
    ]


def _latencies(
    what: str, taken: Sequence[tuple[Taken, Taken]], budgets: Mapping[str, float]
) -> list[Figure]:
    def figure(name: str, pick: Callable[[Taken], float]) -> Figure:
        pairs: list[Pair] = [(pick(ours), pick(limit)) for ours, limit in taken]
        return Figure(what, LIMIT, name, "ms", tuple(pairs), budgets.get(name))

    return [
        figure("p50", lambda t: t.sent.p50),
        figure("p99", lambda t: t.sent.p99),
        figure("max", lambda t: t.sent.max),
        figure("p50 from acknowledged", lambda t: t.acknowledged.p50),
        figure("p99 from acknowledged", lambda t: t.acknowledged.p99),
    ]


def _costs(what: str, rounds: Sequence[Sequence[float]]) -> list[Figure]:
    figures = [("connections that listen", "", 1.0), ("connections in use", "", None)]
    figures.append(("until the last goes on", "ms", None))
    return [
        Figure(what, "", name, unit, tuple((values[n], None) for values in rounds), budget)
        for n, (name, unit, budget) in enumerate(figures)
    ]


async def _register(at: Database) -> None:
    connection = await asyncpg.connect(at.dsn)
    try:
        await register(connection, folding(NAME), schema=at.schema)
    finally:
        await connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(
        argv,
        description=__doc__,
        events=5_000,
        smoke_events=50,
        followers=1_000,
        smoke_followers=50,
    )
    with database(options) as at:
        run(_register(at))
        with worker(at, NAME), service("service", at) as here, service("service", at) as elsewhere:
            gc.disable()  # the load's own pauses are not to be measured
            figures = run(_compare(options, at, (here, elsewhere)))
    print_figures("Projection waits", figures, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
