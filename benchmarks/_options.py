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
    followers: int


def parse(
    argv: Sequence[str] | None,
    *,
    description: str | None,
    events: int,
    smoke_events: int,
    followers: int = 0,
    smoke_followers: int = 0,
) -> Options:
    """Read the command line. `events` is the default of one measurement.

    Where `followers` is given, there is an option for it.
    """
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
    if followers:
        parser.add_argument(
            "--followers", type=_count, help=f"who follow at once (default {followers:,})"
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
        followers=getattr(given, "followers", None)
        or (smoke_followers if given.smoke else followers),
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
