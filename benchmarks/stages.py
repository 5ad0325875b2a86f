"""Two stages, run by reactors in the library: how many events at once, and how many may wait.

One stage is bound by connections: a query of 5 ms on a pool of 4. The other is bound by the
network: a call that a local service answers after 50 ms. Both take events of different streams.
Then both take a log in which 10 events of a stream come in a row, as an import leaves it: with
order per stream only what is in the buffer can be looked through for other streams.

The limit is the same work by hand, as many at once, with no log, group or order.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter
from typing import Any, Final, NamedTuple

import asyncpg

from eventstore import Append, EventData, EventStore, RecordedEvent
from eventstore.core.reactor import Reactor
from eventstore.reactors import Context, ReactorRunner

from ._data import EVENT_TYPE, payload
from ._figures import Figure, print_figures
from ._load import is_whole
from ._options import Options, parse
from ._rounds import run
from ._serve import SLOW
from ._server import Database, database
from ._service import Service, service

CONNECTIONS: Final = 4
QUERY: Final = 0.005
IN_A_ROW: Final = 10
SECONDS: Final = 1.5
"""For which a measurement would last if nothing were in its way."""

Work = Callable[[], Awaitable[object]]


class Stage(NamedTuple):
    """What is done for each event, and the figures of the reactor that does it."""

    what: str
    work: str
    seconds: float
    category: str
    concurrency: int
    buffer: int


STAGES: Final = (
    *(
        Stage(f"{CONNECTIONS} connections", "query", QUERY, "spread", concurrency, 200)
        for concurrency in (1, 2, 4, 8, 16)
    ),
    *(
        Stage(f"{CONNECTIONS} connections, {IN_A_ROW} in a row", "query", QUERY, "rows", 8, buffer)
        for buffer in (10, 50, 200, 1_000)
    ),
    *(
        Stage("network", "call", SLOW, "spread", concurrency, 200)
        for concurrency in (1, 4, 16, 64, 128)
    ),
    *(
        Stage(f"network, {IN_A_ROW} in a row", "call", SLOW, "rows", 32, buffer)
        for buffer in (10, 50, 200, 1_000)
    ),
)


class Calls:
    """GET over connections that stay open, as many as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __call__(self) -> None:
        """Call, and wait for the answer."""
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        answer = b""
        while not is_whole(answer):
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionResetError("the service closed a connection")
            answer += data
        self._free.append((reader, writer))

    def close(self) -> None:
        """Hang up."""
        for _, writer in self._free:
            writer.close()


class Stages:
    """Runs a stage by a reactor, and by hand."""

    def __init__(self, store: EventStore, works: dict[str, Work], events: int) -> None:
        self._store = store
        self._works = works
        self._most = events
        self._numbers = count(1)

    async def fill(self) -> None:
        """Append the events: each in a stream of its own, and so many in a row in one."""
        for low in range(0, self._most, IN_A_ROW):
            made = [EventData(EVENT_TYPE, payload(n)) for n in range(low, low + IN_A_ROW)]
            spread = [Append(f"spread-{low + n}", [event]) for n, event in enumerate(made)]
            await self._store.append_many([*spread, Append(f"rows-{low}", made)])

    def events_of(self, stage: Stage) -> int:
        """Give how many events a stage is measured with."""
        return min(self._most, round(SECONDS * stage.concurrency / stage.seconds))

    async def by_hand(self, stage: Stage) -> float:
        """Give events a second."""
        events = self.events_of(stage)
        left = iter(range(events))

        async def work() -> None:
            for _ in left:
                await self._works[stage.work]()

        began = perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(stage.concurrency):
                tasks.create_task(work())
        return events / (perf_counter() - began)

    async def by_reactor(self, stage: Stage) -> float:
        """Give events a second."""
        reactor = Reactor(
            f"stage_{next(self._numbers)}",
            start=0,
            concurrency=stage.concurrency,
            buffer=stage.buffer,
            categories=[stage.category],
        )
        events = self.events_of(stage)
        done, ended = 0, 0.0
        stopping = asyncio.Event()

        @reactor.on(EVENT_TYPE)
        async def handle(_: RecordedEvent, __: Context) -> None:
            nonlocal done, ended
            await self._works[stage.work]()
            done += 1
            if done == events:
                ended = perf_counter()
                stopping.set()

        runner = ReactorRunner(self._store, reactor, member="benchmark")
        await runner.register()
        began = perf_counter()
        await runner.run(stopping)
        await self._store.consumers.delete(reactor.name)
        return events / (ended - began)


@asynccontextmanager
async def _works(at: Database, target: Service) -> AsyncIterator[dict[str, Work]]:
    calls = Calls(target.port)
    async with asyncpg.create_pool(at.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:

        async def query() -> Any:
            return await pool.fetchval("SELECT pg_sleep($1)", QUERY)

        yield {"query": query, "call": calls}
    calls.close()


async def _compare(options: Options, at: Database, target: Service) -> list[Figure]:
    pairs: dict[Stage, list[tuple[float, float]]] = {stage: [] for stage in STAGES}
    async with EventStore(at.dsn, schema=at.schema) as store, _works(at, target) as works:
        stages = Stages(store, works, options.events)
        await stages.fill()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            for stage in STAGES:
                limit = await stages.by_hand(stage)
                pairs[stage].append((await stages.by_reactor(stage), limit))
    return [
        Figure(
            f"{stage.what}: concurrency {stage.concurrency}, buffer {stage.buffer}",
            f"the same by hand, {stage.concurrency} at once",
            "handled",
            "events/s",
            tuple(taken),
        )
        for stage, taken in pairs.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=4_000, smoke_events=8)
    with database(options) as at, service("slow", at) as target:
        figures = run(_compare(options, at, target))
    print_figures("Stages", figures, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
