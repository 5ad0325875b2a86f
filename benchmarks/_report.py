"""From measurements to ratios, and from ratios to one table."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Measurement(NamedTuple):
    """So many events in so many seconds; latencies in seconds, None where there are none."""

    events: int
    seconds: float
    p50: float | None = None
    p99: float | None = None

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class Spread(NamedTuple):
    """The median of some numbers, the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(numbers: Sequence[float]) -> Spread:
    """Give the median, lowest and highest of at least one number."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


def percentile(ascending: Sequence[float], share: float) -> float:
    """Give the smallest of the sorted numbers that at least `share` of them do not exceed."""
    rank = -(-len(ascending) * round(share * 1_000) // 1_000)
    return ascending[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class Row:
    """A candidate against its limit: one pair of measurements for each round."""

    what: str
    against: str
    target: float
    aim: float | None
    pairs: tuple[tuple[Measurement, Measurement], ...]

    @property
    def ratio(self) -> Spread:
        """The candidate's rate over the limit's of the same round."""
        return spread([candidate.rate / limit.rate for candidate, limit in self.pairs])

    @property
    def reached(self) -> bool:
        """Whether the median of the ratios is as high as the target."""
        return self.ratio.median >= self.target

    def as_dict(self) -> dict[str, Any]:
        """Give the row as plain values; rates in events a second, latencies in milliseconds."""
        candidates = [candidate for candidate, _ in self.pairs]
        return {
            "what": self.what,
            "against": self.against,
            "events_per_second": round(statistics.median(c.rate for c in candidates)),
            "limit_per_second": round(statistics.median(limit.rate for _, limit in self.pairs)),
            "p50_ms": _milliseconds([c.p50 for c in candidates]),
            "p99_ms": _milliseconds([c.p99 for c in candidates]),
            "ratio": round(self.ratio.median, 3),
            "ratio_min": round(self.ratio.low, 3),
            "ratio_max": round(self.ratio.high, 3),
            "target": self.target,
            "aim": self.aim,
            "reached": self.reached,
        }


def _milliseconds(latencies: Sequence[float | None]) -> float | None:
    known = [latency for latency in latencies if latency is not None]
    return round(statistics.median(known) * 1_000, 2) if known else None


def print_report(title: str, rows: Sequence[Row], *, as_json: bool, smoke: bool) -> None:
    """Print the rows to standard output, as a table or as JSON."""
    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return
    rounds = len(rows[0].pairs) if rows else 0
    caption = f"medians of {rounds} round{'' if rounds == 1 else 's'}"
    if smoke:
        caption = "smoke run: the figures mean nothing"
    table = Table(title=title, caption=caption, show_lines=True)
    table.add_column("candidate\nagainst its limit", min_width=20)
    for heading in ("events/s\nlimit/s", "p50 ms\np99 ms", "ratio\nmin..max", "target\naim"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reached")
    for row in rows:
        table.add_row(*["\n".join(cell) for cell in _cells(row)])
    # A table that goes to a file or a pipe has no terminal to fit.
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def _cells(row: Row) -> list[tuple[str, str]]:
    """Give the two lines of each cell."""
    facts = row.as_dict()
    return [
        (row.what, row.against),
        (f"{facts['events_per_second']:,}", f"{facts['limit_per_second']:,}"),
        (_one_decimal(facts["p50_ms"]), _one_decimal(facts["p99_ms"])),
        (f"{row.ratio.median:.2f}", f"{row.ratio.low:.2f}..{row.ratio.high:.2f}"),
        (f"{row.target:g}", "" if row.aim is None else f"{row.aim:g}"),
        ("yes" if row.reached else "no", ""),
    ]


def _one_decimal(number: float | None) -> str:
    return "" if number is None else f"{number:.1f}"
