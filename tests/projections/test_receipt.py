"""Over a real log of 8,577 events read tables equal what a plain pass over its file computes."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate
from tests.fix_database import Psql
from tests.fix_server import QUICK, new_room
from tests.fix_waiting import DEADLINE, wait_until
from tests.projections.processes import ended, has_stopped, working
from tests.projections.receipt import (
    EVENTS,
    all_applied,
    checkpoints,
    import_receipt,
    needs_receipt,
    plain_pass,
    read_tables,
)

pytestmark = [pytest.mark.one_postgres, needs_receipt]

ALONE = "tests.projections.permits:alone"
REBUILT = "tests.projections.permits:rebuilt"
SHARED = "tests.projections.permits:shared"


def test_one_worker_comes_to_the_same_as_a_plain_pass(permits: str) -> None:
    with working(permits, ALONE) as worker:
        all_applied(permits)
        assert ended(worker) == 0
    assert read_tables(permits) == plain_pass()


def test_four_partitions_on_three_workers_come_to_the_same(dsn: str, sql: Psql) -> None:
    def all_share() -> bool:
        rows = sql.execute("SELECT owner FROM eventstore.projection_partitions").fetchall()
        return len({row[0] for row in rows} - {None}) == 3

    with ExitStack() as workers:
        started = [workers.enter_context(working(dsn, SHARED)) for _ in range(3)]
        wait_until(all_share, "each worker to have a partition")
        import_receipt(dsn)
        all_applied(dsn)
        # On a loaded machine a lease may have ended, and be had again a moment later.
        wait_until(all_share, "each worker to have a partition again")
        assert [ended(worker) for worker in started] == [0, 0, 0]
    assert read_tables(dsn) == plain_pass()


def test_a_rebuild_under_appends_that_is_killed_half_way_goes_on(dsn: str, sql: Psql) -> None:
    import_receipt(dsn, 5_000)
    with working(dsn, ALONE) as old, ThreadPoolExecutor(1) as importing:
        point = "before the checkpoint"
        with working(dsn, REBUILT, at=point, batch=3, most=500, version=2) as first:
            imported = importing.submit(import_receipt, dsn)  # beside it
            assert first.wait(DEADLINE) == -signal.SIGKILL
        reached = "SELECT max(checkpoint) FROM eventstore.projection_status WHERE version = 2"
        [half_way] = sql.execute(reached).fetchone() or [0]
        assert 0 < half_way < EVENTS
        with working(dsn, REBUILT) as second:
            imported.result()
            all_applied(dsn, versions=2)
            for projection in ("permits", "throughput"):
                sql.execute("SELECT eventstore.switch_projection(%s, 2)", [projection])
            assert read_tables(dsn) == plain_pass()
            assert [ended(second), ended(old)] == [0, 0]


@pytest.mark.parametrize("point", ["after the commit", "before the checkpoint"])
def test_a_worker_that_stood_still_for_longer_than_its_lease_writes_nothing(
    permits: str, tmp_path: Path, point: str
) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        psycopg.connect(permits, autocommit=True) as sql,
        working(permits, ALONE, at=point, batch=3, sign=signal.SIGSTOP, most=500, log=file) as late,
    ):
        wait_until(lambda: has_stopped(late), "it to stop itself")
        with working(permits, ALONE) as other:
            all_applied(permits)
            late.send_signal(signal.SIGCONT)
            wait_until(lambda: "has another runner now" in log.read_text(), "it to be refused")
            assert checkpoints(sql) == [EVENTS, EVENTS]
            assert [ended(late), ended(other)] == [0, 0]
    assert read_tables(permits) == plain_pass()


def test_a_restart_of_the_database_in_the_middle_of_a_batch_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        new_room() as room,
        EmbeddedPostgres(room / "data", settings=QUICK) as postgres,
        log.open("w") as file,
    ):
        dsn = postgres.dsn()
        migrate(dsn)
        import_receipt(dsn)
        at = "before the checkpoint"
        with working(dsn, ALONE, at=at, batch=3, sign=signal.SIGSTOP, most=500, log=file) as worker:
            wait_until(lambda: has_stopped(worker), "it to stop itself")
            postgres.stop()
            worker.send_signal(signal.SIGCONT)
            wait_until(lambda: "trying again" in log.read_text(), "it to miss the database")
            postgres.start()
            all_applied(dsn)
            assert ended(worker) == 0
        assert read_tables(dsn) == plain_pass()
