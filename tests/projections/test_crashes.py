"""A worker that dies at any point of a batch: every event is applied once all the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter

import psycopg
import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.fix_database import Psql
from tests.fix_waiting import DEADLINE, wait_until
from tests.projections.crashing import POINTS
from tests.projections.processes import ended, working
from tests.projections.receipt import EVENTS, all_applied, needs_receipt, plain_pass, read_tables

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("EVENTSTORE_CRASH_ROUNDS", "1"))
"""Rounds of each point; 50 in full."""
ORDERS = "tests.projections.orders:app"
ALONE = "tests.projections.permits:alone"
# One at a time is killed: of two in a process, the slower one would not move its checkpoint, and an
# event of it be blamed for that and parked.
EACH = "tests.projections.permits:only_permits", "tests.projections.permits:only_throughput"


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
        with working(dsn, ORDERS, at=point, batch=chance.randint(2, 4)) as crashing:

            def crashed(crashing: subprocess.Popen[bytes] = crashing) -> bool:
                stream = f"order-{chance.randrange(9)}"
                sync_store.append(stream, [EventData("T")] * chance.randint(1, 20))
                return crashing.poll() is not None

            wait_until(crashed, "the worker to end")
            assert crashing.returncode == -signal.SIGKILL
    for event in sync_store.read():
        wanted[event.stream_name] += 1
    with working(dsn, ORDERS) as healthy:
        head = sync_store.head().position
        sync_store.wait_for("orders", position=head, timeout=DEADLINE)
        assert ended(healthy) == 0
    rows = sql.execute("SELECT order_id, events FROM eventstore_read.orders").fetchall()
    assert dict(rows) == wanted


@pytest.mark.one_postgres
@pytest.mark.timeout(60 + 20 * ROUNDS)
@needs_receipt
def test_a_worker_that_is_killed_over_a_real_log_comes_to_the_same(permits: str) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    # There are to be enough batches for all: each worker writes some before it ends.
    most = EVENTS // (ROUNDS * len(POINTS) * 6)
    for _ in range(ROUNDS):
        for point in chance.sample(list(POINTS), len(POINTS)):
            batch = chance.randint(2, 4)
            for one in EACH:
                with working(permits, one, at=point, batch=batch, most=most) as crashing:
                    assert crashing.wait(DEADLINE) == -signal.SIGKILL, point
    print(f"{ROUNDS} rounds of {len(POINTS)} kills of each, {most} events a batch, seed {seed}")
    with working(permits, ALONE) as healthy:
        all_applied(permits)
        assert ended(healthy) == 0
    with psycopg.connect(permits) as sql:
        assert sql.execute("SELECT * FROM eventstore.projection_failures").fetchall() == []
    assert read_tables(permits) == plain_pass()
