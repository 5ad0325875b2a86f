"""REST append: one event a request, 64 connections, one service process.

Three uvicorn processes with the same settings take the same requests from the same load generator:
the service, an ASGI application that reads the body and answers, and a FastAPI route that opens a
transaction a request. Building requests is not timed; the load generator's own cost is in all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import _load
from ._options import Options, parse
from ._report import Measurement, Row, print_report
from ._rounds import Contest, Measure, compete, run
from ._server import database
from ._service import Service, service

_TRANSACTION_SHARE = 4
"""The slow side gets a fourth of the requests: its rate does not depend on their number."""


async def _compare(
    options: Options, ours: Service, nothing: Service, transaction: Service
) -> list[Row]:
    contests = [
        Contest(
            what="append, 64 connections",
            against="an ASGI app that does nothing",
            target=0.35,
            aim=0.5,
            candidate=_appends_to(ours),
            limit=_appends_to(nothing),
        ),
        Contest(
            what="append, 64 connections",
            against="a FastAPI route, a transaction a request",
            target=2.5,
            candidate=_appends_to(ours),
            limit=_appends_to(transaction, _TRANSACTION_SHARE),
        ),
    ]
    return await compete(contests, options)


def _appends_to(target: Service, share: int = 1) -> Measure:
    first = 0

    async def measure(events: int) -> Measurement:
        nonlocal first
        count = max(events // share, 1)
        first += count
        return await _load.appends(target.port, count, first - count)

    return measure


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=10_000, smoke_events=200)
    with (
        database(options) as store,
        service("service", store) as ours,
        service("nothing", store) as nothing,
        service("transaction", store) as transaction,
    ):
        rows = run(_compare(options, ours, nothing, transaction))
    print_report("REST append", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
