"""Followers: many over SSE on one service process: memory, connections, processor and latency.

Followers and appends come from another process, on one clock; appends come at fixed times. Either
each follower follows a stream of its own, so that an append concerns one, or all follow the log,
so that it concerns every one: then there are at most 10,000 deliveries a second, and the fan-out is
measured by itself, with one append at a time (from when it is sent) and with 50 at once.

The limit is an ASGI application on uvicorn that writes a ready-made frame to the same connections.
Linux only: memory and processor time are read from /proc.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Sequence
from typing import Final

import asyncpg

from ._data import STREAMS, stream_name
from ._figures import Figure, print_figures
from ._following import Load
from ._options import Options, parse
from ._process import memory, processor_time
from ._rounds import run
from ._server import Database, database
from ._service import App, Service, service

RATE: Final = 200
DELIVERIES: Final = 10_000
"""Most deliveries a second while latency is measured."""
BURST: Final = 50
LIMIT: Final = "an ASGI app with a ready-made frame"
_IDLE: Final = 15.0
"""Seconds of a look at an idle service: each follower gets one keep-alive in it."""
_LISTENING: Final = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'eventstore listener'
"""

Key = tuple[str, str]
BUDGETS: Final[dict[str, float]] = {
    "memory a follower": 60,
    "connections that listen": 1,
    "p50": 10,
    "p99": 100,
}


class Side:
    """One side in one round: its figures, by what is measured and the figure's name."""

    def __init__(self, options: Options, at: Database, app: App, target: Service) -> None:
        self._options = options
        self._at = at
        self._real = app == "service"
        self._target = target
        self.figures: dict[Key, float] = {}

    async def measure(self) -> dict[Key, float]:
        """Measure everything, on a service that has just started."""
        many = self._options.followers
        await self._latency(1, own=False)  # not counted: connections, statements, the tail
        self.figures.clear()
        before = memory(self._target.pid)
        await self._latency(many, own=True, since=before)
        for count in (1, min(100, many)):
            await self._latency(count, own=True)
        for count in (1, min(100, many)):
            await self._latency(count, own=False)
        await self._latency(many, own=False, fan_out=True)
        return self.figures

    async def _latency(
        self, count: int, *, own: bool, since: float | None = None, fan_out: bool = False
    ) -> None:
        port = self._target.port
        head = await self._ask(f"SELECT coalesce(max(position), 0) FROM {self._at.schema}.events")
        everything = f"/events?after={head}"
        paths = [f"/streams/{stream_name(n)}" if own else everything for n in range(count)]
        rate = RATE if own else min(RATE, DELIVERIES // count)
        each = 1 if own else count
        async with Load() as load:
            await load.follow_service(port, paths)
            if since is not None:
                await self._at_rest(count)
            first = max(rate // 5, 1)
            await load.append(port, rate=rate, count=first, followers=each, streams=count)
            events = max(self._options.events * rate // RATE, 1)
            taken = await load.append(port, rate=rate, count=events, followers=each, streams=count)
            what = f"{count:,} follow {'a stream each' if own else 'the log'}, {rate:,} appends/s"
            self.figures[what, "p50"] = taken.sent.p50
            self.figures[what, "p99"] = taken.sent.p99
            if since is not None:
                grown = (memory(self._target.pid) - since) / count
                self.figures[f"{count:,} follow", "memory a follower"] = grown
            if fan_out:
                await self._fan_out(load, count)

    async def _at_rest(self, count: int) -> None:
        if not self._real:
            return
        what = f"{count:,} follow"
        self.figures[what, "connections that listen"] = await self._ask(_LISTENING)
        seconds = 0.5 if self._options.smoke else _IDLE
        used = processor_time(self._target.pid)
        await asyncio.sleep(seconds)
        used = processor_time(self._target.pid) - used
        self.figures[what, "processor while idle"] = 100 * used / seconds

    async def _ask(self, question: str) -> int:
        connection = await asyncpg.connect(self._at.dsn)
        try:
            answer: int = await connection.fetchval(question)
            return answer
        finally:
            await connection.close()

    async def _fan_out(self, load: Load, count: int) -> None:
        port = self._target.port
        alone = [
            await load.append(port, rate=None, count=1, followers=count)
            for _ in range(2 if self._options.smoke else 20)
        ]
        together = await load.append(port, rate=None, count=BURST, followers=count)
        for name, taken in (("one append at a time", alone), (f"{BURST} at once", [together])):
            rate = sum(t.deliveries for t in taken) / sum(t.seconds for t in taken)
            self.figures[f"{count:,} follow the log, {name}", "fan-out"] = rate


_UNITS: Final = {
    "memory a follower": "KiB",
    "connections that listen": "",
    "processor while idle": "% of a core",
    "p50": "ms",
    "p99": "ms",
    "fan-out": "deliveries/s",
}


async def _compare(options: Options, at: Database) -> list[Figure]:
    taken: dict[App, list[dict[Key, float]]] = {"service": [], "frames": []}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for app, figures in taken.items():
            with service(app, at) as target:
                figures.append(await Side(options, at, app, target).measure())
    order = list(dict.fromkeys(what for what, _ in taken["service"][0]))
    return [
        Figure(
            what,
            LIMIT if (what, name) in taken["frames"][0] else "",
            name,
            _UNITS[name],
            tuple(
                (ours[what, name], limit.get((what, name)))
                for ours, limit in zip(taken["service"], taken["frames"], strict=True)
            ),
            _budget(what, name),
        )
        for what, name in sorted(taken["service"][0], key=lambda key: order.index(key[0]))
    ]


def _budget(what: str, name: str) -> float | None:
    """Give the budget; latencies have one where the appends are those of the budget."""
    if name in ("p50", "p99") and f", {RATE:,} appends/s" not in what:
        return None
    return BUDGETS.get(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(
        argv,
        description=__doc__,
        events=1_000,
        smoke_events=20,
        followers=2_000,
        smoke_followers=20,
    )
    if options.followers > STREAMS:
        raise SystemExit(f"there are {STREAMS:,} streams: at most as many can follow one each")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a file for each follower
    with database(options) as at:
        figures = run(_compare(options, at))
    print_figures("Followers", figures, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
