"""The file of a real log of permits: imported, and passed over by hand."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from tests.cli.conftest import Cli
from tests.fix_database import Psql
from tests.fix_waiting import wait_until
from tests.projections.permits import LAST_STEPS

RECEIPT: Final = Path(__file__).parents[3] / "shared" / "data" / "receipt.csv"
MAPPING: Final = [
    *("--stream", "permit-{case:concept:name}"),
    *("--type", "concept:name"),
    *("--time", "time:timestamp"),
]
EVENTS: Final = 8_577

needs_receipt = pytest.mark.skipif(not RECEIPT.exists(), reason=f"the data set is not at {RECEIPT}")

Tables = tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]
"""Permits and throughput, by their keys."""


def by_time() -> str:
    """Give the file with its rows in order of time, so that the permits interleave."""
    head, *rows = RECEIPT.read_text(encoding="utf-8").splitlines(keepends=True)
    names = next(csv.reader([head]))
    at = names.index("time:timestamp")
    rows.sort(key=lambda row: datetime.fromisoformat(next(csv.reader([row]))[at]))
    return "".join([head, *rows])


def plain_pass() -> Tables:
    """Compute from the file, permit by permit, what the tables have to have in the end."""
    permits: dict[str, tuple[Any, ...]] = {}
    took: dict[str, list[timedelta]] = defaultdict(list)
    with RECEIPT.open(encoding="utf-8", newline="") as file:
        for permit, group in groupby(
            csv.DictReader(file), key=lambda row: row["case:concept:name"]
        ):
            rows = list(group)
            steps = [row["concept:name"] for row in rows]
            times = [datetime.fromisoformat(row["time:timestamp"]) for row in rows]
            for step, at, before in zip(steps[1:], times[1:], times, strict=False):
                took[step].append(at - before)
            ends = [number for number, step in enumerate(steps) if step in LAST_STEPS]
            opened = ends[-1] + 1 if ends else 0
            since = times[opened] if opened < len(steps) else None
            permits[permit] = (steps[-1], len(steps), since, rows[-1]["org:resource"])
    throughput = {
        step: (len(all_of_it), sum(all_of_it, timedelta()), max(all_of_it))
        for step, all_of_it in took.items()
    }
    return permits, throughput


def read_tables(dsn: str) -> Tables:
    """Give the read tables as they are."""
    with psycopg.connect(dsn) as connection:
        permits = connection.execute(
            "SELECT permit, status, steps, open_since, resource FROM eventstore_read.permits"
        ).fetchall()
        throughput = connection.execute(
            "SELECT step, times, total, longest FROM eventstore_read.throughput"
        ).fetchall()
    return {row[0]: row[1:] for row in permits}, {row[0]: row[1:] for row in throughput}


def import_receipt(dsn: str, rows: int = EVENTS) -> None:
    """Import the file in order of time, as it came about, up to some row, from where it stands."""
    source = ["--format", "csv", "--source", "receipt.csv"]
    part = "".join(by_time().splitlines(keepends=True)[: rows + 1])
    Cli(EVENTSTORE_DSN=dsn)("import", "-", *MAPPING, *source, stdin=part)


def all_applied(dsn: str, versions: int = 1) -> None:
    """Wait until both projections, in each version, have applied the whole file."""
    end = [EVENTS] * 2 * versions
    with psycopg.connect(dsn, autocommit=True) as connection:
        wait_until(lambda: checkpoints(connection) == end, "the end of the file")


def checkpoints(connection: Psql) -> list[int]:
    """Give how far each projection is."""
    rows = connection.execute("SELECT checkpoint FROM eventstore.projection_status").fetchall()
    return [row[0] for row in rows]
