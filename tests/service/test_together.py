"""Service and worker on the embedded PostgreSQL: each with a login of its own, ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import httpx
import psycopg

from tests.cli.test_worker import MODULE
from tests.client.serving import COMMAND
from tests.service.conftest import needs_proc
from tests.service.running import DEADLINE, environment, facts, processes_in, serving, until

LOGINS = """
SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'eventstore%' ORDER BY 1
"""


@needs_proc
def test_workers_have_the_rights_of_workers_only(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    with serving("--app", "shop:app", "--data-dir", data_dir, PYTHONPATH=path) as service:
        prefer = {"prefer": f'wait={DEADLINE:.0f}; for="orders"'}
        until(lambda: "now runs orders" in service.output, "the worker has registered")
        stream = f"{service.url}/streams/order-1"
        written = httpx.post(stream, json={"type": "T"}, headers=prefer, timeout=DEADLINE)
        assert written.json()["wait"]["reached"], written.text
        with (
            psycopg.connect(facts(data_dir)["dsn"], autocommit=True) as admin,
            subprocess.Popen(
                [*COMMAND, "worker", "shop:app", "--data-dir", str(data_dir)],
                env=environment(PYTHONPATH=path),
            ) as other,
        ):
            try:
                workers = "SELECT count(*) FROM eventstore.projection_workers"
                until(lambda: admin.execute(workers).fetchone() == (2,), "two workers")
                logins = admin.execute(LOGINS).fetchall()
                assert logins == [("eventstore_runner",), ("eventstore_service",)]
                other.send_signal(signal.SIGTERM)
                assert other.wait(DEADLINE) == 0
            finally:
                other.kill()
        assert service.stop() == 0, service.output
    assert processes_in(data_dir) == set()
    assert "Traceback" not in service.output
    assert service.lines[-1].endswith("stopped\n")
