"""`eventstore projections rebuild|switch|drop`: a new version, built, compared, and let serve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eventstore import EventData, EventStore, ProjectionStatus
from eventstore.cli import building
from eventstore.cli.shown import progress_line
from eventstore.sync import SyncEventStore
from tests.cli.conftest import Cli
from tests.client.serving import COMMAND
from tests.fix_database import Psql
from tests.fix_psql import Login
from tests.fix_service import served
from tests.fix_waiting import DEADLINE

ROOT = Path(__file__).parents[2]
REBUILDING = (sys.executable, "-m", "tests.projections.rebuilding")
FIRST = ("--app", "tests.projections.shop:first")
SECOND = ("--app", "tests.projections.shop:second")


@pytest.fixture
def built(cli: Cli, sync_store: SyncEventStore) -> Cli:
    """Commands on a store where version 1 has applied three events."""
    sync_store.append("order-1", [EventData("T")] * 3)
    cli("projections", "rebuild", "orders", *FIRST)
    return cli


def rows(sql: Psql, table: str = "orders") -> list[Any]:
    return sql.execute(f"SELECT * FROM eventstore_read.{table} ORDER BY 1".encode()).fetchall()


def tables(sql: Psql) -> list[str]:
    found = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'eventstore_read'")
    return sorted(row[0] for row in found)


def test_a_new_version_is_built_compared_and_serves_and_the_old_one_goes(
    built: Cli, sql: Psql, sync_store: SyncEventStore
) -> None:
    assert rows(sql) == [("order-1", 3)]
    sync_store.append("order-2", EventData("U"))
    assert "at position 4 of 4" in built("projections", "rebuild", "orders", *FIRST).out
    done = built("projections", "rebuild", "orders", *SECOND, "--compare", "--switch")
    assert "orders version 2: 4 of 4 events, 100 %" in done.err
    assert "start one with this app" in done.err
    [compared] = [line for line in done.out.splitlines() if "same" in line]
    assert compared.split()[:3] == ["orders", "2", "2"]
    assert "orders: compared by events, order_id" in done.out
    assert "both at position 4" in done.out
    assert "orders version 2 serves" in done.out
    assert rows(sql) == [("order-1", 3, "T"), ("order-2", 1, "U")]
    # Again: there is nothing to do.
    again = built("projections", "rebuild", "orders", *SECOND, "--compare", "--switch")
    assert "nothing to compare it with" in again.out
    assert built("projections", "switch", "orders", 1).out.startswith("orders version 1 serves")
    assert rows(sql) == [("order-1", 3), ("order-2", 1)]
    built("projections", "switch", "orders", 2)
    assert "orders__v1?" in built("projections", "drop", "orders", 1, stdin="n\n", code=1).err
    assert tables(sql) == ["orders", "orders__v1"]
    refused = built("projections", "drop", "orders", 2, "--yes", code=1).err
    assert "serves; let another version serve first: eventstore projections switch" in refused
    assert built("projections", "drop", "orders", 1, "--yes").err == ""
    assert tables(sql) == ["orders"]


def test_what_a_version_holds_is_built_anew_if_asked(built: Cli, sql: Psql) -> None:
    built("projections", "rebuild", "orders", *SECOND)
    sql.execute("UPDATE eventstore_read.orders__v2 SET events = 9")
    done = built("projections", "rebuild", "orders", *SECOND, "--compare")
    assert "differs" in done.out
    done = built("projections", "rebuild", "orders", *SECOND, "--compare", "--switch", code=1)
    assert "differs, so it does not serve yet" in done.err
    assert done.err.endswith(": eventstore projections switch orders 2\n")
    assert rows(sql) == [("order-1", 3)]
    done = built("projections", "rebuild", "orders", *SECOND, "--restart", "--compare")
    assert "same" in done.out
    assert rows(sql, "orders__v2") == [("order-1", 3, "T")]
    restart = ("projections", "rebuild", "orders", *FIRST, "--restart")
    assert "give the definition a new version" in built(*restart, code=1).err


def test_what_workers_build_is_watched_and_missed_if_they_do_not(
    built: Cli, sync_store: SyncEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = ("projections", "rebuild", "orders")
    assert "version 1 is the newest, and serves" in built(*watch, code=1).err
    built(*watch, *SECOND)
    assert "at position 3 of 3" in built(*watch).out
    sync_store.append("order-1", EventData("T"))
    monkeypatch.setattr(building, "UNRUN", 0.1)
    done = built(*watch, "--version", 2, code=1)
    assert "no worker runs orders version 2 (at 3 of 4 events)" in done.err
    worker = subprocess.Popen(
        [*COMMAND, "worker", "tests.projections.shop:both"],
        cwd=ROOT,
        env={**os.environ, "EVENTSTORE_DSN": str(built.environ["EVENTSTORE_DSN"])},
        stderr=subprocess.DEVNULL,
    )
    try:
        monkeypatch.setattr(building, "UNRUN", DEADLINE)
        assert "at position 4 of 4" in built(*watch, "--switch").out
        dropped = built("projections", "drop", "orders", 1, "--yes")
        assert "a worker was running orders version 1: it leaves it alone" in dropped.err
    finally:
        worker.terminate()
    assert worker.wait(DEADLINE) == 0


def test_what_stands_in_the_way_is_told(built: Cli, sql: Psql, sync_store: SyncEventStore) -> None:
    rebuild = ("projections", "rebuild", "orders")
    done = built(*rebuild, "--app", "tests.projections.shop:both", "--version", 3, code=1)
    assert "no projection orders version 3; it has orders version 1, orders version 2" in done.err
    built(*rebuild, *SECOND)
    changed = ("--app", "tests.projections.shop:changed", "--restart", "--switch")
    assert "give the changed definition version 3" in built(*rebuild, *changed, code=1).err
    assert rows(sql, "orders__v2") == [("order-1", 3, "T")]
    sync_store.append("order-1", EventData("T"))
    sql.execute("SELECT eventstore.projection_stop_v1('orders', 2, 'no disk')")
    assert "(at 3 of 4 events) is stopped: no disk" in built(*rebuild, *SECOND, code=1).err
    assert "it is stopped: no disk" in built("projections", "switch", "orders", 2, code=1).err
    built("projections", "switch", "orders", 2, "--even-if-behind")
    assert rows(sql) == [("order-1", 3, "T")]
    for command in (("switch", "none", 1), ("drop", "none", 1), ("rebuild", "none")):
        assert "there is no projection" in built("projections", *command, code=1).err


def test_a_service_is_asked_as_the_database_is(built: Cli, dsn: str, sql: Psql) -> None:
    built("projections", "rebuild", "orders", *SECOND)
    with served(EventStore(dsn)) as (host, port):
        remote = Cli(EVENTSTORE_URL=f"http://{host}:{port}")
        done = remote("projections", "rebuild", "orders", "--compare", "--switch")
        assert "same" in done.out
        assert "version 1 goes on beside it" in done.out
        remote("projections", "switch", "orders", 1)
        remote("projections", "switch", "orders", 2)
        assert "serves" in remote("projections", "drop", "orders", 2, "--yes", code=1).err
        remote("projections", "drop", "orders", 1, "--yes")
        remote("projections", "rebuild", "orders", *SECOND, "--url", "http://x", code=2)
    assert tables(sql) == ["orders"]


def test_a_projection_goes_as_a_whole(built: Cli, sql: Psql) -> None:
    built("projections", "rebuild", "orders", *SECOND)
    asked = built("projections", "drop", "orders", stdin="n\n", code=1).err
    assert "Drop projection orders with orders, orders__v2?" in asked
    assert tables(sql) == ["orders", "orders__v2"]
    assert "projection orders is dropped" in built("projections", "drop", "orders", "--yes").out
    assert tables(sql) == []
    unknown = built("projections", "drop", "orders", "--yes", code=1).err
    assert "there is no projection 'orders'" in unknown


def test_a_workers_login_is_enough(built: Cli, dsn: str, login: Login, tmp_path: Path) -> None:
    """Of the local service it is taken, and not the administrator's."""
    facts = {"url": "http://127.0.0.1:1", "dsn": "postgresql://nobody@/none", "pid": os.getpid()}
    facts |= {"writer_dsn": facts["dsn"], "worker_dsn": login("eventstore_worker", dsn)}
    (tmp_path / "service.json").write_text(json.dumps(facts))
    here = ("--data-dir", tmp_path, "--restart", "--compare", "--switch")
    done = built("projections", "rebuild", "orders", *SECOND, *here)
    assert "same" in done.out
    assert "orders version 2 serves" in done.out


def test_a_terminal_gets_a_bar(built: Cli) -> None:
    built.environ["FORCE_COLOR"] = "1"
    done = built("projections", "rebuild", "orders", *SECOND)
    assert "100 %" in done.err
    assert "3 of 3 events" in done.err


def status(checkpoint: int, head: int) -> ProjectionStatus:
    none: Any = None
    lag = head - checkpoint
    return ProjectionStatus(
        "orders", 2, False, "running", None, checkpoint, head, lag, 0.0, 1, 1, 0, 0, none, []
    )


@pytest.mark.parametrize(
    ("checkpoint", "head", "rate", "line"),
    [
        (0, 0, 0.0, "x: 0 of 0 events, 100 %"),
        (0, 9, 0.0, "x: 0 of 9 events, 0 %"),
        (2_500, 10_000, 500.0, "x: 2,500 of 10,000 events, 25 %, 500/s, 15 s left"),
        (9, 9, 4.5, "x: 9 of 9 events, 100 %, 4/s"),
    ],
)
def test_a_line_says_how_far_how_fast_and_how_long(
    checkpoint: int, head: int, rate: float, line: str
) -> None:
    assert progress_line("x", status(checkpoint, head), rate) == line


@pytest.mark.one_postgres
def test_a_rebuild_that_is_killed_half_way_goes_on_while_appends_do(
    built: Cli, dsn: str, sync_store: SyncEventStore, sql: Psql
) -> None:
    for n in range(30):
        sync_store.append(f"order-{n % 7}", [EventData("T")] * 100)
    stopping = threading.Event()

    def append() -> None:
        with SyncEventStore(dsn) as store:
            n = 0
            while not stopping.is_set():
                store.append(f"order-{n % 7}", EventData("T"))
                n += 1

    def start(point: str, batch: int, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*REBUILDING, point, str(batch), *SECOND, "--dsn", dsn, *more],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    appending = threading.Thread(target=append)
    appending.start()
    try:
        reached = [0]
        for point, batch in (("after the commit", 3), ("before the checkpoint", 2)):
            with start(point, batch) as killed:
                said, _ = killed.communicate(timeout=DEADLINE)
            assert killed.returncode == -signal.SIGKILL, said
            [(at,)] = sql.execute(
                "SELECT checkpoint FROM eventstore.projection_status WHERE version = 2"
            ).fetchall()
            assert reached[-1] < at < sync_store.head().position  # it went on, and not to the end
            reached.append(at)
        with start("never", 0, "--switch") as done:
            said, _ = done.communicate(timeout=DEADLINE)
        assert done.returncode == 0, said
    finally:
        stopping.set()
        appending.join()
    assert "orders version 2 serves" in said
    built("projections", "rebuild", "orders", *SECOND)
    wanted = Counter(event.stream_name for event in sync_store.read())
    assert {row[0]: row[1] for row in rows(sql)} == wanted
