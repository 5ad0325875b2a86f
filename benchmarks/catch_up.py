"""Catch-up: following from the start, in the library and over SSE.

The limit is asyncpg fetching the same columns of the same rows on one connection, 500 a page. How
fast a log is read that is not followed is measured by read_library and read_rest.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter

import asyncpg

from eventstore import EventStore
from eventstore.postgres.statements import statements

from . import _load
from ._options import Options, parse
from ._reading import PAGE, checked, fetch_pages, fill
from ._report import Measurement, Row, print_report
from ._rounds import Contest, compete, run
from ._server import Database, database
from ._service import Service, service


async def _follow(store: EventStore, events: int) -> Measurement:
    """Follow the log's last events until its head."""
    after = (await store.head()).position - events
    count = 0
    started = perf_counter()
    following = store.follow(after=after)
    assert isinstance(following, AsyncGenerator)
    async with aclosing(following):
        async for _ in following:
            count += 1
            if count == events:
                break
    return Measurement(count, perf_counter() - started)


async def _follow_over_sse(store: EventStore, target: Service, events: int) -> Measurement:
    after = (await store.head()).position - events
    return checked(await _load.frames(target.port, f"/events?after={after}", events), events)


async def _compare(options: Options, at: Database, target: Service) -> list[Row]:
    statement = statements(at.schema)["log_forward"]
    connection = await asyncpg.connect(at.dsn)
    try:
        async with EventStore(at.dsn, schema=at.schema) as store:
            await fill(store, options.events)
            contests = [
                Contest(
                    what="follow, library, event by event",
                    against=f"asyncpg, {PAGE} rows a page",
                    target=0.6,
                    candidate=lambda events: _follow(store, events),
                    limit=lambda events: fetch_pages(connection, statement, events),
                ),
                Contest(
                    what="follow, SSE over HTTP",
                    against=f"asyncpg, {PAGE} rows a page",
                    target=0.25,
                    candidate=lambda events: _follow_over_sse(store, target, events),
                    limit=lambda events: fetch_pages(connection, statement, events),
                ),
            ]
            return await compete(contests, options)
    finally:
        await connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=100_000, smoke_events=1_500)
    with database(options) as at, service("service", at) as target:
        rows = run(_compare(options, at, target))
    print_report("Catch-up", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
