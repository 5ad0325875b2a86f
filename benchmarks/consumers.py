"""Consumer groups over REST: 4 members that receive and ack, 50 deliveries at a time.

One limit is the same 4 connections paging the log, 50 events at a time: what reading them over HTTP
costs without a group. The other is what the group costs without HTTP: its SQL functions, received
and acked over 4 connections by hand. Service and members are processes of their own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from itertools import count
from time import perf_counter
from typing import Any, Final, Literal

import asyncpg

from eventstore import EventStore
from eventstore.core.delivery import leases_of, received
from eventstore.postgres.statements import statements

from ._figures import Figure, print_figures
from ._members import BATCH, MEMBERS, members, pages
from ._options import Options, parse
from ._reading import checked, fill
from ._report import Measurement
from ._rounds import run
from ._server import Database, database
from ._service import Service, service

BUDGET: Final = 3_000.0
ORDERINGS: Final[tuple[Literal["stream", "none"], ...]] = ("stream", "none")
PAGES: Final = f"the log in pages of {BATCH} over HTTP"
FUNCTIONS: Final = f"the SQL functions, {MEMBERS} connections"


class Groups:
    """Makes a group for each measurement, or does without."""

    def __init__(
        self,
        store: EventStore,
        target: Service,
        pool: asyncpg.Pool[asyncpg.Record],
        schema: str,
    ) -> None:
        self._store = store
        self._target = target
        self._pool = pool
        self._statements = statements(schema)
        self._numbers = count(1)

    async def measure(
        self, ordering: Literal["stream", "none"], events: int, *, over_http: bool
    ) -> Measurement:
        """Receive and ack the log's last events."""
        name = f"group_{next(self._numbers)}"
        start = (await self._store.head()).position - events
        await self._store.consumers.create(name, start=start, ordering=ordering)
        if over_http:
            measurement = await members(self._target.port, name, events)
        else:
            measurement = await self._by_hand(name, events)
        await self._store.consumers.delete(name)
        return checked(measurement, events)

    async def page(self, events: int) -> Measurement:
        """Page so many events over HTTP."""
        return checked(await pages(self._target.port, events), events)

    async def _by_hand(self, name: str, events: int) -> Measurement:
        done = 0

        async def member(number: int) -> None:
            nonlocal done
            async with self._pool.acquire() as connection:
                while done < events:
                    rows: list[Any] = await connection.fetch(
                        self._statements["consumer_receive"], name, BATCH, f"member {number}"
                    )
                    deliveries, _ = received(rows)
                    if deliveries:
                        await connection.fetch(
                            self._statements["consumer_ack"], name, *leases_of(deliveries)
                        )
                    done += len(deliveries)

        started = perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(MEMBERS):
                tasks.create_task(member(number))
        return Measurement(done, perf_counter() - started)


async def _round(groups: Groups, events: int) -> dict[str, float]:
    """Give the events a second of each side."""
    rates = {"pages": (await groups.page(events)).rate}
    for ordering in ORDERINGS:
        for side, over_http in (("HTTP", True), ("SQL", False)):
            measurement = await groups.measure(ordering, events, over_http=over_http)
            rates[f"{ordering}, {side}"] = measurement.rate
    return rates


async def _compare(options: Options, at: Database, target: Service) -> list[Figure]:
    taken: list[dict[str, float]] = []
    async with (
        EventStore(at.dsn, schema=at.schema) as store,
        asyncpg.create_pool(at.dsn, min_size=MEMBERS, max_size=MEMBERS) as pool,
    ):
        await fill(store, options.events)
        groups = Groups(store, target, pool, at.schema)
        await _round(groups, max(options.events // 10, 1))  # connections, caches
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            taken.append(await _round(groups, options.events))
    return [
        Figure(
            f"{MEMBERS} members over HTTP, ordering {ordering}",
            against,
            "received and acked",
            "events/s",
            tuple((rates[f"{ordering}, HTTP"], rates[limit]) for rates in taken),
            BUDGET,
            at_least=True,
        )
        for ordering in ORDERINGS
        for against, limit in ((PAGES, "pages"), (FUNCTIONS, f"{ordering}, SQL"))
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=10_000, smoke_events=500)
    with database(options) as at, service("service", at) as target:
        figures = run(_compare(options, at, target))
    print_figures("Consumer groups", figures, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
