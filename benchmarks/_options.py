"""The command line that every benchmark has."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run was asked for."""

    dsn: str | None
    drop: bool
    rounds: int
    events: int
    smoke: bool
    json: bool


def parse(
    argv: Sequence[str] | None, *, description: str | None, events: int, smoke_events: int
) -> Options:
    """Read the command line. `events` is the default of one measurement."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--dsn",
        help="a PostgreSQL to work in, in a schema 'eventstore_bench' that is dropped in the end "
        "(default: an embedded one in a temporary directory, fsync on)",
    )
    parser.add_argument(
        "--drop", action="store_true", help="with --dsn: drop the schema if it is there already"
    )
    parser.add_argument("--rounds", type=_count, help="rounds of limit and candidate (default 5)")
    parser.add_argument(
        "--events", type=_count, help=f"events of one measurement (default {events:,})"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a few seconds to see that it works; no timings"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    given = parser.parse_args(argv)
    return Options(
        dsn=given.dsn,
        drop=given.drop,
        rounds=given.rounds or (1 if given.smoke else 5),
        events=given.events or (smoke_events if given.smoke else events),
        smoke=given.smoke,
        json=given.json,
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
