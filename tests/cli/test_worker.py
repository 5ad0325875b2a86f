"""`eventstore worker`: finds the app, runs its projections, and ends in order."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.client.serving import COMMAND, environment
from tests.fix_database import Psql
from tests.fix_waiting import DEADLINE, wait_until

pytestmark = pytest.mark.one_postgres

MODULE = """
import sqlalchemy as sa
from eventstore import App, Projection

orders_table = sa.Table(
    "orders", sa.MetaData(),
    sa.Column("order_id", sa.Text, primary_key=True), sa.Column("events", sa.Integer),
)
orders = Projection("orders", categories=["order"], tables=[orders_table])

@orders.fold(orders_table, key=lambda event: event.stream_name)
def order(row, event):
    return {"events": (row["events"] if row else 0) + 1}

app = App(projections=[orders])
nothing = App()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a user's module in it."""
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import module_that_is_not_there")
    (tmp_path / "typo.py").write_text("import shop\n\ndef f(:\n    pass\n")
    (tmp_path / "deep.py").write_text("import typo\n")
    return tmp_path


@contextmanager
def working(folder: Path, dsn: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker; kill it in the end."""
    with subprocess.Popen(
        [*COMMAND, "worker", "shop:app", "--dsn", dsn],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def known(sql: Psql) -> bool:
    return bool(sql.execute("SELECT 1 FROM eventstore.projection_versions").fetchall())


def wait_for_order(store: SyncEventStore, sql: Psql, revision: int) -> None:
    wait_until(lambda: known(sql), "the worker to register")
    store.wait_for("orders", stream="order-1", revision=revision, timeout=DEADLINE)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_runs_the_app_and_ends_in_order(
    folder: Path, dsn: str, sync_store: SyncEventStore, sql: Psql, ending: signal.Signals
) -> None:
    sync_store.append("order-1", [EventData("T")] * 2)
    with working(folder, dsn) as worker:
        wait_for_order(sync_store, sql, 1)
        sync_store.append("order-1", EventData("T"))
        wait_for_order(sync_store, sql, 2)
        rows = sql.execute("SELECT order_id, events FROM eventstore_read.orders").fetchall()
        assert rows == [("order-1", 3)]
        worker.send_signal(ending)
        _, log = worker.communicate(timeout=DEADLINE)
    assert worker.returncode == 0, log
    assert "now runs orders version 1" in log
    assert "stopped" in log.splitlines()[-1]
    owner = sql.execute("SELECT owner, crashes FROM eventstore.projection_partitions").fetchone()
    assert owner == (None, 0)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("shop", "like myapp:app"),
        ("shop.py:app", "not by the file: shop:app"),
        ("./pkg/shop.py", "not by the file: pkg.shop:app"),
        ("none:app", "there is no module 'none'"),
        ("shop:none", "none is not there; write: none = eventstore.App("),
        ("shop:orders", "orders is no App but Projection"),
        ("shop:nothing", "nothing to run"),
    ],
)
def test_what_is_wrong_with_an_app_is_told(
    folder: Path, dsn: str, reference: str, told: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "worker", reference, "--dsn", dsn],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "place", "told"),
    [
        ("broken", 'broken.py", line 1, in <module>', "No module named 'module_that_is_not_there'"),
        ("typo", 'typo.py", line 3', "SyntaxError: invalid syntax"),
        ("deep", 'deep.py", line 1, in <module>', "SyntaxError: invalid syntax"),
    ],
)
def test_what_is_wrong_within_a_module_is_told_with_its_own_frames(
    folder: Path, dsn: str, module: str, place: str, told: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "worker", f"{module}:app", "--dsn", dsn],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert f"eventstore: cannot import {module}:" in done.stderr
    assert place in done.stderr
    assert told in done.stderr.splitlines()[-1]
    assert "typer" not in done.stderr
    assert "importlib" not in done.stderr
    assert "loading.py" not in done.stderr
