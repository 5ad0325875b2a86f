"""Figures that are no rates (milliseconds, KiB, connections), each beside its limit and budget."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from ._report import Spread, spread

Pair = tuple[float, float | None]
"""A figure and that of its limit in the same round; None where there is no limit."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A candidate's figure against its limit: one pair for each round."""

    what: str
    against: str
    name: str
    unit: str
    pairs: tuple[Pair, ...]
    budget: float | None = None
    at_least: bool = False
    """Whether the budget is the least that it should be, not the most."""

    @property
    def value(self) -> Spread:
        """The candidate's figure."""
        return spread([value for value, _ in self.pairs])

    @property
    def limit(self) -> Spread | None:
        """The limit's figure, if there is one."""
        known = [limit for _, limit in self.pairs if limit is not None]
        return spread(known) if known else None

    @property
    def ratio(self) -> Spread | None:
        """The candidate's figure over the limit's of the same round."""
        ratios = [value / limit for value, limit in self.pairs if limit]
        return spread(ratios) if ratios else None

    @property
    def reached(self) -> bool | None:
        """Whether the median keeps the budget; None without one."""
        if self.budget is None:
            return None
        median = self.value.median
        return median >= self.budget if self.at_least else median <= self.budget

    def as_dict(self) -> dict[str, Any]:
        """Give the figure as plain values."""
        limit, ratio = self.limit, self.ratio
        return {
            "what": self.what,
            "against": self.against,
            "figure": self.name,
            "unit": self.unit,
            "value": round(self.value.median, 3),
            "value_min": round(self.value.low, 3),
            "value_max": round(self.value.high, 3),
            "limit": None if limit is None else round(limit.median, 3),
            "ratio": None if ratio is None else round(ratio.median, 3),
            "ratio_min": None if ratio is None else round(ratio.low, 3),
            "ratio_max": None if ratio is None else round(ratio.high, 3),
            "budget": self.budget,
            "reached": self.reached,
        }


def print_figures(title: str, figures: Sequence[Figure], *, as_json: bool, smoke: bool) -> None:
    """Print the figures to standard output, as a table or as JSON."""
    if as_json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
        return
    rounds = len(figures[0].pairs)
    caption = f"medians of {rounds} round{'' if rounds == 1 else 's'}"
    if smoke:
        caption = "smoke run: the figures mean nothing"
    table = Table(title=title, caption=caption, show_lines=True)
    table.add_column("candidate\nagainst its limit", min_width=20)
    table.add_column("figure", no_wrap=True)
    for heading in ("value", "min..max", "limit", "ratio", "budget"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reached")
    for (what, against), group in groupby(figures, lambda figure: (figure.what, figure.against)):
        columns = zip(*[_cells(figure) for figure in group], strict=True)
        table.add_row(f"{what}\n{against}", *map("\n".join, columns))
    # A table that goes to a file or a pipe has no terminal to fit.
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _cells(figure: Figure) -> Iterable[str]:
    limit, ratio, reached = figure.limit, figure.ratio, figure.reached
    return (
        f"{figure.name}, {figure.unit}" if figure.unit else figure.name,
        _short(figure.value.median),
        f"{_short(figure.value.low)}..{_short(figure.value.high)}",
        "" if limit is None else _short(limit.median),
        "" if ratio is None else f"{ratio.median:.2f}",
        "" if figure.budget is None else f"{'≥' if figure.at_least else '≤'} {figure.budget:,g}",
        "" if reached is None else "yes" if reached else "no",
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"
