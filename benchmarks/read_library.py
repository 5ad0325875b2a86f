"""Library read: the log forward through EventStore.read, event by event.

The limit is asyncpg fetching the same columns of the same rows on one connection, 500 a page, each
page from behind the last position of the one before. Data is not decoded on either side.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import asyncpg

from eventstore import EventStore
from eventstore.postgres.statements import statements

from ._options import Options, parse
from ._reading import PAGE, fetch_pages, fill, read_library
from ._report import Row, print_report
from ._rounds import Contest, compete, run
from ._server import Database, database


async def _compare(options: Options, at: Database) -> list[Row]:
    statement = statements(at.schema)["log_forward"]
    connection = await asyncpg.connect(at.dsn)
    try:
        async with EventStore(at.dsn, schema=at.schema) as store:
            await fill(store, options.events)
            contest = Contest(
                what="read forward, event by event",
                against=f"asyncpg, {PAGE} rows a page",
                target=0.6,
                candidate=lambda events: read_library(store, events),
                limit=lambda events: fetch_pages(connection, statement, events),
            )
            return await compete([contest], options)
    finally:
        await connection.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=100_000, smoke_events=1_500)
    with database(options) as at:
        rows = run(_compare(options, at))
    print_report("Library read", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
