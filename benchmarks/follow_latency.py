"""Follow latency: from an append to its delivery, over SSE and from the library.

One process appends and receives, so there is one clock. Appends come at fixed times (20, 200 and
1,000 a second), answered or not; latencies count from when an append was due, and from its
acknowledgement (negative: delivered before that). An append goes through the same process that
is followed, or through another one, of which only NOTIFY tells.

The limit is what PostgreSQL itself takes: an INSERT and its commit, then a NOTIFY, by hand over
asyncpg, heard by a bare connection that listens; at the same times.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ._figures import Figure, Pair, print_figures
from ._following import Load
from ._meter import Taken
from ._options import Options, parse
from ._rounds import run
from ._server import Database, database
from ._service import service

RATES: Final = (20, 200, 1_000)
BUDGETED: Final = 200
"""Appends a second at which the budget holds; `--events` are those of this rate."""
BUDGETS: Final = {"p50": 10.0, "p99": 100.0}
LIMIT: Final = "INSERT, commit, NOTIFY by hand"


@dataclass(frozen=True, slots=True)
class Way:
    """How an event gets from an append to a follower."""

    what: str
    begin: Callable[[Load], Awaitable[None]]
    to: int | Literal["library", "hand"]


async def _compare(options: Options, at: Database, ports: tuple[int, int]) -> list[Figure]:
    here, elsewhere = ports
    limit = Way(LIMIT, lambda load: load.listen(at), "hand")
    ways = [
        Way("SSE, same process", lambda load: load.follow_service(here, ["/events"]), here),
        Way("SSE, other process", lambda load: load.follow_service(here, ["/events"]), elsewhere),
        Way("library, same process", lambda load: load.follow_library(at), "library"),
        Way("library, other process", lambda load: load.follow_library(at), elsewhere),
    ]
    taken: dict[tuple[str, int], list[Taken]] = {}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for rate in RATES:
            for way in (limit, *ways):
                measured = await _measure(way, rate, max(options.events * rate // BUDGETED, 1))
                taken.setdefault((way.what, rate), []).append(measured)
    return [
        figure
        for way in ways
        for rate in RATES
        for figure in _figures(way.what, rate, taken[way.what, rate], taken[LIMIT, rate])
    ]


async def _measure(way: Way, rate: int, count: int) -> Taken:
    async with Load() as load:
        await way.begin(load)
        await load.append(way.to, rate=rate, count=max(count // 5, 1))  # connections, caches
        return await load.append(way.to, rate=rate, count=count)


def _figures(way: str, rate: int, taken: Sequence[Taken], limits: Sequence[Taken]) -> list[Figure]:
    def figure(name: str, pick: Callable[[Taken], float], budget: float | None = None) -> Figure:
        pairs: list[Pair] = [(pick(t), pick(m)) for t, m in zip(taken, limits, strict=True)]
        return Figure(f"{way}, {rate:,} appends/s", LIMIT, name, "ms", tuple(pairs), budget)

    budgets = BUDGETS if rate == BUDGETED else {}
    return [
        figure("p50", lambda t: t.sent.p50, budgets.get("p50")),
        figure("p99", lambda t: t.sent.p99, budgets.get("p99")),
        figure("max", lambda t: t.sent.max),
        figure("p50 from acknowledged", lambda t: t.acknowledged.p50),
        figure("p99 from acknowledged", lambda t: t.acknowledged.p99),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=1_000, smoke_events=10)
    with (
        database(options) as at,
        service("service", at) as here,
        service("service", at) as elsewhere,
    ):
        figures = run(_compare(options, at, (here.port, elsewhere.port)))
    print_figures("Follow latency", figures, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
