"""A worker that dies at any point of a batch: every event is applied once all the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.fix_database import Psql
from tests.fix_waiting import DEADLINE, wait_until
from tests.projections.crashing import POINTS

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("EVENTSTORE_CRASH_ROUNDS", "2"))
"""Rounds of each point; 50 in full."""


def start(point: str, batch: int, dsn: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "api"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.projections.crashing", point, str(batch), dsn],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.one_postgres
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_is_killed_applies_nothing_twice_and_leaves_nothing_out(
    dsn: str, sync_store: SyncEventStore, sql: Psql, point: str
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    wanted: Counter[str] = Counter()
    for _ in range(ROUNDS):
        # From the second batch on, so that each round moves the checkpoint: a worker that never
        # does is one whose event kills it, and that event is parked.
        crashing = start(point, chance.randint(2, 4), dsn)
        try:

            def crashed(crashing: subprocess.Popen[bytes] = crashing) -> bool:
                stream = f"order-{chance.randrange(9)}"
                sync_store.append(stream, [EventData("T")] * chance.randint(1, 20))
                return crashing.poll() is not None

            wait_until(crashed, "the worker to end")
        finally:
            crashing.kill()
        assert crashing.wait() == -signal.SIGKILL
    for event in sync_store.read():
        wanted[event.stream_name] += 1
    with start("never", 0, dsn) as healthy:
        try:
            head = sync_store.head().position
            sync_store.wait_for("orders", position=head, timeout=DEADLINE)
        finally:
            healthy.terminate()
    assert healthy.returncode == 0
    rows = sql.execute("SELECT order_id, events FROM eventstore_read.orders").fetchall()
    assert dict(rows) == wanted
