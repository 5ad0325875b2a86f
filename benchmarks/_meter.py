"""From appends and deliveries to latencies, all on the clock of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Final, NamedTuple

from ._report import percentile

PATIENCE: Final = 60.0
"""Seconds after which what is missing will not come any more."""


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float
    max: float


class Taken(NamedTuple):
    """What a measurement took.

    `sent` counts from when an append was due, `acknowledged` from when its answer was there: less
    than nothing where the event was delivered before that.
    """

    sent: Latency
    acknowledged: Latency
    deliveries: int
    seconds: float


class Meter:
    """Takes down when each of some appends was due, acknowledged, and delivered to its followers.

    Deliveries are known by the position, which the answer to the append tells; either may be first.
    """

    def __init__(self, appends: int, deliveries: int) -> None:
        """`deliveries` are those of all followers together."""
        self._appends = appends
        self._deliveries = deliveries
        self._due: list[float] = [0.0] * appends
        self._answers: dict[int, tuple[int, float]] = {}
        self._arrivals: list[tuple[int, float]] = []
        self._complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def due(self, number: int, time: float) -> None:
        """Take down when an append was due, by its number in this measurement."""
        self._due[number] = time

    def acknowledged(self, number: int, position: int) -> None:
        """Take down that an append has been answered, now."""
        self._answers[position] = number, perf_counter()
        self._look()

    def delivered(self, positions: Sequence[int], time: float) -> None:
        """Take down what a follower was given."""
        self._arrivals += [(position, time) for position in positions]
        self._look()

    def fail(self, error: BaseException) -> None:
        """End the measurement with an error."""
        if not self._complete.done():
            self._complete.set_exception(error)

    def _look(self) -> None:
        if (
            len(self._arrivals) >= self._deliveries
            and len(self._answers) == self._appends
            and not self._complete.done()
        ):
            self._complete.set_result(None)

    async def taken(self) -> Taken:
        """Wait for the last delivery. Raises RuntimeError if it does not come, or one too many."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._complete
        except TimeoutError:
            raise RuntimeError(
                f"{len(self._answers)} of {self._appends} appends acknowledged, "
                f"{len(self._arrivals)} of {self._deliveries} deliveries"
            ) from None
        if len(self._arrivals) != self._deliveries:
            raise RuntimeError(f"{len(self._arrivals)} deliveries, not {self._deliveries}")
        sent, acknowledged = [], []
        for position, time in self._arrivals:
            number, answered = self._answers[position]
            sent.append(time - self._due[number])
            acknowledged.append(time - answered)
        seconds = max(time for _, time in self._arrivals) - min(self._due)
        return Taken(_latency(sent), _latency(acknowledged), self._deliveries, seconds)


def _latency(seconds: list[float]) -> Latency:
    ordered = sorted(seconds)
    p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
    return Latency(p50 * 1_000, p99 * 1_000, ordered[-1] * 1_000)
