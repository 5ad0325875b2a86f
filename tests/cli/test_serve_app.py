"""`eventstore serve --app`: service and worker in one process, started and ended together."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.test_worker import MODULE
from tests.client.serving import COMMAND, environment
from tests.fix_database import Psql
from tests.fix_waiting import DEADLINE

pytestmark = pytest.mark.one_postgres


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a user's module in it."""
    (tmp_path / "shop.py").write_text(MODULE)
    return tmp_path


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Serve, with the folder's modules."""
    return subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *options],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_until(process: subprocess.Popen[str], *wanted: str) -> str:
    """Read the log until it has said all this."""
    assert process.stderr is not None
    log = ""
    for line in process.stderr:
        log += line
        if all(text in log for text in wanted):
            return log
    raise AssertionError(f"it ended:\n{log}")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_works_and_ends_in_order(
    folder: Path, dsn: str, sql: Psql, ending: signal.Signals
) -> None:
    with start(folder, "--app", "shop:app", "--dsn", dsn) as process:
        try:
            log = lines_until(process, " at http://", "now runs orders version 1")
            url = "http://" + log.partition(" at http://")[2].split()[0]
            prefer = {"prefer": f'wait={DEADLINE:.0f}; for="orders"'}
            for n in range(3):
                written = httpx.post(f"{url}/streams/order-1", json={"type": "T"}, headers=prefer)
                assert written.json()["wait"]["reached"], written.text
                rows = httpx.get(f"{url}/projections/orders/tables/orders").json()["rows"]
                assert rows == [{"order_id": "order-1", "events": n + 1}]
            process.send_signal(ending)
            _, rest = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 0, log + rest
    assert "stopped" in rest.splitlines()[-1]
    assert "Traceback" not in rest
    left = sql.execute("SELECT owner, crashes FROM eventstore.projection_partitions").fetchall()
    assert left == [(None, 0)]  # given back, not run out
    assert sql.execute("SELECT count(*) FROM eventstore.projection_workers").fetchone() == (0,)


def test_a_worker_that_cannot_work_ends_the_service_and_says_why(
    folder: Path, dsn: str, sql: Psql
) -> None:
    sql.execute(
        "SELECT eventstore.projection_register_v1('orders', 1, '{}', '{orders}', 'another', 1)"
    )
    sql.execute("UPDATE eventstore.projection_partitions SET checkpoint = 1")  # it has begun
    with start(folder, "--app", "shop:app", "--dsn", dsn) as process:
        try:
            _, log = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 1
    told = log.splitlines()[-1]
    assert told.startswith("eventstore: projection 'orders' version 1 is known with another query")
    assert "give the changed definition version 2" in told
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("reference", "told"),
    [("none:app", "there is no module 'none'"), ("shop:nothing", "nothing to run")],
)
def test_an_app_that_is_not_there_is_told_before_anything_starts(
    folder: Path, reference: str, told: str
) -> None:
    with start(folder, "--app", reference, "--data-dir", str(folder / "data")) as process:
        try:
            _, log = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 1
    assert told in log
    assert not (folder / "data").exists()


DECIDER = """
from dataclasses import dataclass
from eventstore import App, CommandRefused, Decider

@dataclass
class Open:
    by: str

@dataclass
class Opened:
    by: str

door = Decider("door", initial=False)

@door.command(Open)
def open_door(command, is_open):
    if is_open:
        raise CommandRefused("the door is open")
    return Opened(command.by)

@door.event(Opened)
def opened(is_open, event):
    return True

app = App(deciders=[door])
"""


def test_it_takes_the_commands_of_an_app_that_needs_no_worker(folder: Path, dsn: str) -> None:
    (folder / "doors.py").write_text(DECIDER)
    with start(folder, "--app", "doors:app", "--dsn", dsn) as process:
        try:
            url = (
                "http://"
                + lines_until(process, " at http://").partition(" at http://")[2].split()[0]
            )
            body = {"id": "1", "data": {"by": "ada"}}
            told = [httpx.post(f"{url}/commands/door/Open", json=body) for _ in range(2)]
            assert [answer.status_code for answer in told] == [200, 422], told[0].text
            assert told[1].json()["reason"] == "the door is open"
            described = httpx.get(f"{url}/openapi.json").json()
            assert "/commands/door/Open" in described["paths"]
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
