"""Every benchmark runs and gives all its rows. Not timings: a smoke run's figures mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.fix_database import NewDatabase

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROWS = {
    "append_rest": [
        ("append, 64 connections", "an ASGI app that does nothing", 0.35),
        ("append, 64 connections", "a FastAPI route, a transaction a request", 2.5),
    ],
    "append_library": [
        ("append, 64 callers, one event each", "bare INSERT of 100", 0.6),
        ("append, 1 caller, 100 events each", "bare INSERT of 100", 0.7),
        ("append, 64 callers, 100 events each", "bare INSERT of 100", 0.7),
    ],
    "commands": [
        (f"commands, 64 callers, {what}", "append, 64 callers, one event each", target)
        for what, target in (
            ("short streams", 0.25),
            ("streams of 100", 0.05),
            ("streams of 100, snapshots", 0.2),
            ("one stream", 0.03),
        )
    ],
    "read_library": [("read forward, event by event", "asyncpg, 500 rows a page", 0.6)],
    "read_rest": [("NDJSON over HTTP", "the library read", 0.4)],
    "catch_up": [
        ("follow, library, event by event", "asyncpg, 500 rows a page", 0.6),
        ("follow, SSE over HTTP", "asyncpg, 500 rows a page", 0.25),
    ],
    "projections": [
        ("fold, 10,000 keys", "fetch 5,000, fold in a dict, upsert by hand", 0.6),
        ("SqlProjection", "the same statement by hand, 10,000 at a time", 0.7),
    ],
}
FIGURES = {
    "consumers": [
        (f"4 members over HTTP, ordering {ordering}", "received and acked")
        for ordering in ("stream", "stream", "none", "none")
    ],
    "follow_latency": [
        (f"{way}, {rate} appends/s", figure)
        for way in (
            "SSE, same process",
            "SSE, other process",
            "library, same process",
            "library, other process",
        )
        for rate in ("20", "200", "1,000")
        for figure in ("p50", "p99", "max", "p50 from acknowledged", "p99 from acknowledged")
    ],
    "followers": [
        ("20 follow", "connections that listen"),
        ("20 follow", "processor while idle"),
        ("20 follow", "memory a follower"),
        *[
            (f"{who}, 200 appends/s", figure)
            for who in (
                "20 follow a stream each",
                "1 follow a stream each",
                "1 follow the log",
                "20 follow the log",
            )
            for figure in ("p50", "p99")
        ],
        ("20 follow the log, one append at a time", "fan-out"),
        ("20 follow the log, 50 at once", "fan-out"),
    ],
    "stages": [
        (f"{stage}: concurrency {concurrency}, buffer {buffer}", "handled")
        for stage, concurrency, buffer in (
            *(("4 connections", concurrency, 200) for concurrency in (1, 2, 4, 8, 16)),
            *(("4 connections, 10 in a row", 8, buffer) for buffer in (10, 50, 200, 1000)),
            *(("network", concurrency, 200) for concurrency in (1, 4, 16, 64, 128)),
            *(("network, 10 in a row", 32, buffer) for buffer in (10, 50, 200, 1000)),
        )
    ],
    "projection_waits": [
        *[
            (who, figure)
            for who in ("library, 500 appends/s", "REST, two services, 100 appends/s")
            for figure in ("p50", "p99", "max", "p50 from acknowledged", "p99 from acknowledged")
        ],
        ("50 wait", "connections that listen"),
        ("50 wait", "connections in use"),
        ("50 wait", "until the last goes on"),
    ],
}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark as a user does."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "api")])
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.one_postgres
@pytest.mark.parametrize("name", ROWS)
def test_a_benchmark_gives_all_its_rows_and_leaves_nothing(
    name: str, new_database: NewDatabase
) -> None:
    dsn = new_database()
    done = run(name, "--smoke", "--json", "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["what"], row["against"], row["target"]) for row in rows] == ROWS[name]
    for row in rows:
        assert row["events_per_second"] > 0
        assert row["limit_per_second"] > 0
        assert 0 < row["ratio_min"] <= row["ratio"] <= row["ratio_max"]
        assert (row["p50_ms"] is not None) is name.startswith(("append", "commands"))
    assert_nothing_is_left(dsn)


@pytest.mark.one_postgres
@pytest.mark.parametrize("name", FIGURES)
def test_a_benchmark_gives_all_its_figures_and_leaves_nothing(
    name: str, new_database: NewDatabase
) -> None:
    dsn = new_database()
    done = run(name, "--smoke", "--json", "--dsn", dsn)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert [(figure["what"], figure["figure"]) for figure in figures] == FIGURES[name]
    for figure in figures:
        if figure["figure"] in ("p50", "p99", "max", "fan-out", "received and acked", "handled"):
            assert figure["value"] > 0
            assert figure["limit"] > 0
        if figure["figure"] == "connections that listen":
            assert figure["value"] == 1
    assert_nothing_is_left(dsn)


def assert_nothing_is_left(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        left = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'eventstore_bench') "
            "UNION ALL "
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'eventstore_bench')"
        ).fetchall()
    assert left == []


def test_a_benchmark_brings_its_own_database_and_prints_a_table() -> None:
    done = run("read_library", "--smoke")
    assert done.returncode == 0, done.stderr
    assert "read forward, event by event" in done.stdout
    assert "mean nothing" in done.stdout


@pytest.mark.one_postgres
def test_a_schema_that_is_there_is_dropped_only_when_told(new_database: NewDatabase) -> None:
    dsn = new_database()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE SCHEMA eventstore_bench")
    refused = run("read_library", "--smoke", "--dsn", dsn)
    assert refused.returncode == 1
    assert "--drop" in refused.stderr
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT to_regnamespace('eventstore_bench')").fetchone() != (
            None,
        )
    assert run("read_library", "--smoke", "--dsn", dsn, "--drop").returncode == 0


@pytest.mark.parametrize("name", [*ROWS, *FIGURES])
def test_help_says_what_is_measured(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "--smoke" in done.stdout
    assert any(face in done.stdout.lower() for face in ("library", "rest", "sse"))
