"""Commands in the library: load, decide and append, with 64 callers, against the bare append.

The limit appends the same events by the same store to as many streams, without a look at them. A
command is two round trips where that is one; commands on streams of 100 events, read whole or from
a snapshot, and commands of all callers on one stream, which take turns, show what else they cost.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from eventstore import Append, Decider, EventData, EventStore

from ._data import payload
from ._options import Options, parse
from ._report import Measurement, Row, percentile, print_report
from ._rounds import Contest, compete, run
from ._server import Database, database

CALLERS: Final = 64
LENGTH: Final = 100
"""Events that a longer stream has before it is measured."""


@dataclass(frozen=True, slots=True)
class Count:
    """Count one more, and note something."""

    note: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counted:
    """One more was counted."""

    number: int
    note: dict[str, Any]


def counter(*, snapshot_every: int | None = None) -> Decider[int]:
    """Give a decider whose state is how many events there are."""
    return Decider(
        "counter",
        initial=0,
        decide=lambda command, state: Counted(state + 1, command.note),
        evolve=lambda state, event: event.number,
        commands=[Count],
        events=[Counted],
        snapshot_every=snapshot_every,
    )


class Streams:
    """Callers who take turns on streams; each measurement has streams of its own."""

    def __init__(self, store: EventStore, streams: int, length: int) -> None:
        self.store = store
        self._streams = streams
        self._length = length
        self._measured = 0

    async def measure(self, events: int) -> Measurement:
        """Cause so many events."""
        self._measured += 1
        names = [
            f"counter-{id(self)}-{self._measured}-{n}" for n in range(min(self._streams, events))
        ]
        await self._fill(names)
        latencies: list[float] = []
        numbers = iter(range(events))

        async def call() -> None:
            for number in numbers:
                called = perf_counter()
                await self.act(names[number % len(names)], payload(number))
                latencies.append(perf_counter() - called)

        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CALLERS, events)):
                group.create_task(call())
        seconds = perf_counter() - started
        latencies.sort()
        return Measurement(events, seconds, percentile(latencies, 0.5), percentile(latencies, 0.99))

    async def _fill(self, names: Sequence[str]) -> None:
        """Let the streams have their length, but for one event: that is made by hand."""
        if not self._length:
            return
        made = [
            EventData("Counted", {"number": n + 1, "note": payload(n)})
            for n in range(self._length - 1)
        ]
        for low in range(0, len(names), 50):
            await self.store.append_many([Append(name, made) for name in names[low : low + 50]])
        for name in names:
            await self.act(name, payload(self._length))

    async def act(self, name: str, data: dict[str, Any]) -> None:
        """Cause one event: the bare append."""
        await self.store.append(name, EventData("Counted", {"number": 0, "note": data}))


class Commands(Streams):
    """The candidate: the same by a decider."""

    def __init__(
        self,
        store: EventStore,
        *,
        streams: int,
        length: int = 0,
        snapshot_every: int | None = None,
    ) -> None:
        super().__init__(store, streams, length)
        self._decider = counter(snapshot_every=snapshot_every)

    async def act(self, name: str, data: dict[str, Any]) -> None:
        await self.store.handle(self._decider, name, Count(data))


async def _compare(options: Options, at: Database) -> list[Row]:
    many = max(1, options.events // 4)
    async with EventStore(at.dsn, schema=at.schema) as store:
        bare = Streams(store, many, 0).measure
        sides = [
            ("short streams", Commands(store, streams=many), 0.25),
            (f"streams of {LENGTH}", Commands(store, streams=50, length=LENGTH), 0.05),
            (
                f"streams of {LENGTH}, snapshots",
                Commands(store, streams=50, length=LENGTH, snapshot_every=LENGTH // 5),
                0.2,
            ),
            ("one stream", Commands(store, streams=1, snapshot_every=LENGTH // 5), 0.03),
        ]
        contests = [
            Contest(
                what=f"commands, {CALLERS} callers, {what}",
                against=f"append, {CALLERS} callers, one event each",
                target=target,
                candidate=candidate.measure,
                limit=bare,
            )
            for what, candidate, target in sides
        ]
        return await compete(contests, options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = parse(argv, description=__doc__, events=4_000, smoke_events=100)
    with database(options) as at:
        rows = run(_compare(options, at))
    print_report("Commands", rows, as_json=options.json, smoke=options.smoke)
    return 0


if __name__ == "__main__":
    sys.exit(main())
