"""A real log of 8,577 events: imported, checked, killed half way, exported, imported again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eventstore import EventStore
from tests.cli.conftest import Cli
from tests.client.serving import COMMAND, environment, serving
from tests.fix_database import Psql
from tests.fix_service import served
from tests.fix_waiting import wait_until

RECEIPT = Path(__file__).parents[3] / "shared" / "data" / "receipt.csv"
MAPPING = [
    *("--stream", "permit-{case:concept:name}"),
    *("--type", "concept:name"),
    *("--time", "time:timestamp"),
]
EVENTS, STREAMS = 8_577, 1_434

pytestmark = [
    pytest.mark.one_postgres,
    pytest.mark.skipif(not RECEIPT.exists(), reason=f"the data set is not at {RECEIPT}"),
]


def assert_whole(cli: Cli) -> None:
    """Assert that the store has the file: every event once, in its order, and nothing else."""
    report = cli("verify", "--json").json()
    assert (report["ok"], report["events"], report["streams"]) == (True, EVENTS, STREAMS)


def head(sql: Psql) -> int:
    """Give the log's last position."""
    row = sql.execute("SELECT coalesce(max(position), 0) FROM eventstore.events").fetchone()
    assert row is not None
    return int(row[0])


def order_of(sql: Psql) -> list[Any]:
    """Give ids, streams and types in the order of the log."""
    rows = sql.execute(
        "SELECT event_id, stream_name, event_type FROM eventstore.events ORDER BY position"
    )
    return rows.fetchall()


@pytest.fixture(params=["dsn", "url"])
def where(request: pytest.FixtureRequest, dsn: str) -> Iterator[dict[str, str]]:
    """The database, and a service on it, each in turn."""
    if request.param == "dsn":
        yield {"EVENTSTORE_DSN": dsn}
    else:
        with served(EventStore(dsn)) as (host, port):
            yield {"EVENTSTORE_URL": f"http://{host}:{port}"}


def test_the_file_is_imported_once_however_often(where: dict[str, str]) -> None:
    cli = Cli(**where)
    told = cli("import", RECEIPT, *MAPPING, "--json").json()
    assert told == {"stored": EVENTS, "already_there": 0}
    assert_whole(cli)
    told = cli("import", RECEIPT, *MAPPING, "--batch", 333, "--json").json()
    assert told == {"stored": 0, "already_there": EVENTS}
    assert_whole(cli)
    types = cli("read", "--type", "T02 Check confirmation of receipt", "--json").out
    assert types.count("\n") == 1_368


def wait_for(importing: subprocess.Popen[Any], is_under_way: Callable[[], bool]) -> None:
    """Wait until an import is as far as that, while it runs."""

    def looked() -> bool:
        assert importing.poll() is None
        return is_under_way()

    wait_until(looked, "the import to be under way")


def half_an_import(environ: dict[str, str], is_under_way: Callable[[], bool]) -> None:
    """Start an import, and kill it when some of the first half of the file is stored."""
    lines = RECEIPT.read_bytes().splitlines(keepends=True)
    source = ["--format", "csv", "--source", RECEIPT.name]
    importing = subprocess.Popen(
        [*COMMAND, "import", "-", *MAPPING, *source, "--batch", "50"],
        stdin=subprocess.PIPE,
        env={**environment(), **environ},
    )
    assert importing.stdin is not None
    with importing.stdin:  # the rest never comes, so it cannot be done before it is killed
        importing.stdin.write(b"".join(lines[:4_000]))
        importing.stdin.flush()
        wait_for(importing, is_under_way)
        importing.kill()
        assert importing.wait() == -signal.SIGKILL


def test_an_import_that_is_killed_half_way_is_simply_run_again(
    where: dict[str, str], sql: Psql, new_database: Any, template: str
) -> None:
    half_an_import(where, lambda: head(sql) > 500)
    stored = head(sql)
    assert 500 < stored < EVENTS
    cli = Cli(**where)
    told = cli("import", RECEIPT, *MAPPING, "--json").json()
    # The batch that was under way may have been stored after the import was dead.
    assert told["already_there"] in (stored, stored + 50)
    assert told["stored"] == EVENTS - told["already_there"]
    assert_whole(cli)
    reference = new_database(template)
    Cli(EVENTSTORE_DSN=reference)("import", RECEIPT, *MAPPING)
    with psycopg.connect(reference) as connection:
        assert order_of(sql) == order_of(connection)


def test_an_import_goes_on_when_a_killed_service_is_back(dsn: str, sql: Psql) -> None:
    with serving(dsn) as first:
        port = int(first.url.rpartition(":")[2])
        importing = subprocess.Popen(
            [*COMMAND, "import", RECEIPT, *MAPPING, "--batch", "20", "--url", first.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        wait_for(importing, lambda: head(sql) >= 200)
        first.kill()
    assert head(sql) < EVENTS
    with serving(dsn, port=port):
        out, err = importing.communicate(timeout=120)
    assert importing.returncode == 0, err
    assert "trying again for 60 s" in err
    assert "going on after" in err
    # The batch that the service had stored without being able to say so is there already.
    assert out.startswith("stored 8,5")
    assert_whole(Cli(EVENTSTORE_DSN=dsn))


def test_an_import_gives_up_on_a_service_that_stays_away(dsn: str, sql: Psql) -> None:
    with serving(dsn) as service:
        options = ["--batch", "20", "--retry-for", "0.2", "--url", service.url]
        importing = subprocess.Popen(
            [*COMMAND, "import", str(RECEIPT), *MAPPING, *options],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        wait_for(importing, lambda: head(sql) >= 200)
        service.kill()
    _, err = importing.communicate(timeout=60)
    assert importing.returncode == 1
    assert "gave up after 0.2 s" in err
    assert "and perhaps one batch more is stored: run the same command again to go on" in err


def test_an_export_of_the_file_comes_back_equal(
    dsn: str, sql: Psql, new_database: Any, template: str, tmp_path: Path
) -> None:
    cli = Cli(EVENTSTORE_DSN=dsn)
    cli("import", RECEIPT, *MAPPING)
    file = tmp_path / "receipt.ndjson"
    cli("export", "-o", file)
    second = new_database(template)
    other = Cli(EVENTSTORE_DSN=second)
    assert other("import", file).out == "stored 8,577 events, 0 were there already\n"
    assert_whole(other)
    everything = (
        "SELECT position, stream_name, revision, event_id, event_type, data::text, metadata::text,"
        " tags FROM eventstore.events ORDER BY position"
    )
    with psycopg.connect(second) as connection:
        assert connection.execute(everything).fetchall() == sql.execute(everything).fetchall()
