"""Rounds of limit and candidate in turn, so that both meet the same swings of the machine."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from ._options import Options
from ._report import Measurement, Row

T = TypeVar("T")

Measure = Callable[[int], Awaitable[Measurement]]
"""Measures a side with so many events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A candidate and its limit. `aim` is where the target should move to."""

    what: str
    against: str
    target: float
    candidate: Measure
    limit: Measure
    aim: float | None = None


async def compete(contests: Sequence[Contest], options: Options) -> list[Row]:
    """Measure every contest in every round; give one row for each.

    The side that goes first changes from round to round. A tenth of the events goes ahead without
    being measured: connections, prepared statements, caches.
    """
    for contest in contests:
        for measure in (contest.limit, contest.candidate):
            await measure(max(options.events // 10, 1))
    pairs: list[list[tuple[Measurement, Measurement]]] = [[] for _ in contests]
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        for contest, done in zip(contests, pairs, strict=True):
            if number % 2 == 0:
                limit = await _measured(contest.limit, options.events)
                candidate = await _measured(contest.candidate, options.events)
            else:
                candidate = await _measured(contest.candidate, options.events)
                limit = await _measured(contest.limit, options.events)
            done.append((candidate, limit))
    return [
        Row(contest.what, contest.against, contest.target, contest.aim, tuple(done))
        for contest, done in zip(contests, pairs, strict=True)
    ]


async def _measured(measure: Measure, events: int) -> Measurement:
    gc.collect()  # not the garbage of the side before
    return await measure(events)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on the loop that the service runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
