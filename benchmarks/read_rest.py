"""REST read: GET /events as NDJSON, read by a client that counts lines.

The limit is the library's own read of the same events, EventStore.read event by event. The service
and the client are processes of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eventstore import EventStore

from . import _load
from ._options import Options, parse
from ._reading import checked, fill, read_library
from ._report import Measurement, Row, print_report
from ._rounds import Contest, compete, run
from ._server import Database, database
from ._service import Service, service


async def _read_lines(target: Service, events: int) -> Measurement:
    # A bound on positions, not a limit: without one the whole log is streamed.
    return checked(await _load.lines(target.port, f"/events?before={events + 1}"), events)


async def _compare(options: Options, at: Database, target: Service) -> list[Row]:
    async with EventStore(at.dsn, schema=at.schema) as store:
        await fill(store, options.events)
        contest = Contest(
            what="NDJSON over HTTP",
            against="the library read",
            target=0.4,
            candidate=lambda events: _read_lines(target, events),
            limit=lambda events: read_library(store, events),
        )
        return await compete([contest], options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=100_000, smoke_events=1_500)
    with database(options) as at, service("service", at) as target:
        rows = run(_compare(options, at, target))
    print_report("REST read", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
