"""Which store a command goes to: one rule, whatever the command."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import typer

from eventstore import EventData, EventStore, EventStoreError, InvalidInput
from eventstore.cli.target import DEFAULT_URL, Target
from eventstore.cli.where import Database, Role, resolve, resolve_database, resolve_service
from eventstore.postgres import embedded
from eventstore.sync import SyncEventStore
from tests.cli.conftest import Cli
from tests.cli.test_worker import MODULE
from tests.client.serving import COMMAND, environment
from tests.fix_service import served
from tests.fix_waiting import DEADLINE

pytestmark = pytest.mark.one_postgres

DSN = "postgresql://u@127.0.0.1:9/db"
OTHER = "postgresql://u@127.0.0.1:9/other"
URL = "http://127.0.0.1:9"
LOCAL = "http://127.0.0.1:10"
ADMIN = "postgresql://postgres@/eventstore?host=/x"
WRITER = "postgresql://eventstore_service@/eventstore?host=/x"
WORKER = "postgresql://eventstore_runner@/eventstore?host=/x"


@pytest.fixture(autouse=True)
def default_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default data directory, in which nothing runs yet."""
    folder = tmp_path / "default"
    folder.mkdir()
    monkeypatch.setattr(embedded, "default_data_dir", lambda: folder)
    return folder


def run_service(folder: Path, url: str = LOCAL, dsn: str = ADMIN, worker: str = WORKER) -> None:
    """Write what a running service writes."""
    folder.mkdir(exist_ok=True)
    facts = {"url": url, "dsn": dsn, "writer_dsn": WRITER, "worker_dsn": worker, "pid": os.getpid()}
    (folder / "service.json").write_text(json.dumps(facts))


def of_service(url: str) -> Target:
    return Target(None, url, "eventstore")


@pytest.mark.parametrize(
    ("dsn", "url", "schema", "environ", "expected"),
    [
        (None, None, None, {}, of_service(DEFAULT_URL)),
        (None, URL, None, {}, of_service(URL)),
        (DSN, None, None, {}, Target(DSN, None, "eventstore")),
        (DSN, None, "shop", {"EVENTSTORE_SCHEMA": "x"}, Target(DSN, None, "shop")),
        (DSN, None, None, {"EVENTSTORE_SCHEMA": "shop"}, Target(DSN, None, "shop")),
        (None, None, None, {"EVENTSTORE_URL": URL}, of_service(URL)),
        (None, None, None, {"EVENTSTORE_DSN": DSN}, Target(DSN, None, "eventstore")),
        (
            None,
            None,
            None,
            {"EVENTSTORE_DSN": DSN, "EVENTSTORE_URL": URL},
            Target(DSN, None, "eventstore"),
        ),
        (None, URL, None, {"EVENTSTORE_DSN": DSN}, of_service(URL)),
        (OTHER, None, None, {"EVENTSTORE_DSN": DSN}, Target(OTHER, None, "eventstore")),
        (None, None, None, {"EVENTSTORE_DSN": ""}, of_service(DEFAULT_URL)),
        (None, None, None, {"EVENTSTORE_SCHEMA": "x"}, of_service(DEFAULT_URL)),
    ],
)
def test_options_win_over_the_environment_and_a_dsn_over_a_url(
    dsn: str | None, url: str | None, schema: str | None, environ: dict[str, str], expected: Target
) -> None:
    assert resolve(dsn, url, schema, None, environ) == expected


def test_else_the_service_of_the_data_directory_is_meant(tmp_path: Path, default_dir: Path) -> None:
    named = tmp_path / "named"
    run_service(named, "http://127.0.0.1:11")
    for find in (lambda environ: resolve(None, None, None, None, environ), service_of):
        assert find({}) == of_service(DEFAULT_URL)
    run_service(default_dir)
    at_named = of_service("http://127.0.0.1:11")
    for find in (lambda environ: resolve(None, None, None, None, environ), service_of):
        assert find({}) == of_service(LOCAL)
        assert find({"EVENTSTORE_DATA_DIR": str(named)}) == at_named
        assert find({"EVENTSTORE_URL": URL}) == of_service(URL)
    assert resolve(None, None, None, named, {"EVENTSTORE_DSN": DSN}) == at_named
    assert resolve_service(None, named, {"EVENTSTORE_URL": URL}) == at_named
    with pytest.raises(EventStoreError, match=r"no service runs on .*nothing"):
        resolve(None, None, None, tmp_path / "nothing", {})


def service_of(environ: dict[str, str]) -> Target:
    return resolve_service(None, None, environ)


@pytest.mark.parametrize(
    ("dsn", "has_folder", "environ", "expected"),
    [
        (OTHER, True, {}, None),
        (OTHER, False, {"EVENTSTORE_DSN": DSN}, OTHER),
        (None, True, {"EVENTSTORE_DSN": OTHER, "EVENTSTORE_URL": URL}, ADMIN),
        (None, False, {"EVENTSTORE_DSN": OTHER}, OTHER),
        (None, False, {}, ADMIN),
        (None, False, {"EVENTSTORE_URL": f"{LOCAL}/"}, ADMIN),
    ],
)
def test_a_command_that_needs_the_database_goes_by_the_same_rule(
    default_dir: Path,
    dsn: str | None,
    has_folder: bool,
    environ: dict[str, str],
    expected: str | None,
) -> None:
    run_service(default_dir)
    folder = default_dir if has_folder else None
    if expected is None:
        with pytest.raises(typer.BadParameter, match="only one of them"):
            resolve_database(dsn, None, folder, environ)
        return
    is_local = expected == ADMIN
    title = LOCAL if is_local else "other at 127.0.0.1:9"
    found = resolve_database(dsn, None, folder, environ)
    assert found == Database(expected, title, is_local)
    logins: dict[Role, str] = {"writer": WRITER, "worker": WORKER}
    for role, login in logins.items():
        found = resolve_database(dsn, None, folder, environ, role=role)
        assert found == Database(login if is_local else expected, title, is_local)


@pytest.mark.parametrize(("dsn", "url", "schema"), [(DSN, URL, None), (None, URL, "shop")])
def test_options_that_contradict_each_other_are_refused(
    dsn: str | None, url: str | None, schema: str | None
) -> None:
    with pytest.raises(typer.BadParameter):
        resolve(dsn, url, schema, None, {})


def test_a_schema_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="schema name"):
        resolve(DSN, None, 'x"; DROP', None, {})


def test_a_url_and_the_database_of_another_service_are_refused(default_dir: Path) -> None:
    run_service(default_dir)
    with pytest.raises(EventStoreError) as refused:
        resolve_database(None, None, None, {"EVENTSTORE_URL": URL})
    told = f"EVENTSTORE_URL names {URL}, and the data directory {default_dir} {LOCAL}"
    assert str(refused.value).startswith(f"{told}, which is another store: ")
    named = {"EVENTSTORE_URL": URL, "EVENTSTORE_DATA_DIR": str(default_dir)}
    for find in (
        lambda: resolve(None, None, None, None, named),
        lambda: resolve_service(None, None, named),
        lambda: resolve_database(None, None, None, named),
    ):
        with pytest.raises(EventStoreError, match="which is another store"):
            find()
    assert resolve(None, URL, None, None, named) == of_service(URL)


def test_a_command_that_needs_a_service_does_not_guess_that_of_a_dsn(default_dir: Path) -> None:
    environ = {"EVENTSTORE_DSN": "postgresql://u:hidden@127.0.0.1:9/db"}
    with pytest.raises(EventStoreError, match=r"db at 127\.0\.0\.1:9.*--url") as refused:
        resolve_service(None, None, environ)
    assert "hidden" not in str(refused.value)
    run_service(default_dir, dsn=environ["EVENTSTORE_DSN"])
    assert resolve_service(None, None, environ) == of_service(LOCAL)


@pytest.fixture
def services(
    dsn: str, new_database: Callable[..., str], template: str
) -> Iterator[tuple[str, str, str]]:
    """The URLs of two services, and the DSN of the second one's store."""
    other = new_database(template)
    with psycopg.connect(other) as connection:  # they are copies of one
        connection.execute("UPDATE eventstore.log SET store_id = gen_random_uuid()")
    with (
        served(EventStore(dsn)) as (host, port),
        served(EventStore(other)) as (second_host, second_port),
    ):
        yield f"http://{host}:{port}", f"http://{second_host}:{second_port}", other


def test_two_services_that_run_are_never_mixed_up(
    services: tuple[str, str, str], dsn: str, tmp_path: Path
) -> None:
    first, second, other = services
    httpx.post(f"{second}/streams/b-1", json={"type": "T"}).raise_for_status()
    run_service(tmp_path / "data", second, other, other)
    here = {"EVENTSTORE_DATA_DIR": str(tmp_path / "data")}
    both = Cli(**here, EVENTSTORE_URL=first)
    for command in ("streams", "doctor", "psql", "verify"):
        refused = both(command, code=1).err
        assert first in refused, command
        assert second in refused, command
    assert both("streams", "--url", first).out == ""
    assert "b-1" in both("streams", "--data-dir", tmp_path / "data").out
    for environ in (here, {"EVENTSTORE_URL": second}, {"EVENTSTORE_DSN": other}):
        assert "b-1" in Cli(**environ)("streams").out
    named = second.replace("127.0.0.1", "localhost")  # the same store by another name
    assert "b-1" in Cli(**here, EVENTSTORE_URL=named)("streams").out
    assert "b-1" in Cli(EVENTSTORE_DSN=other, EVENTSTORE_URL=named)("streams").out
    refused = Cli(EVENTSTORE_DSN=dsn, EVENTSTORE_URL=second)("streams", code=1).err
    assert "EVENTSTORE_DSN names" in refused
    assert "which is another store" in refused


def test_a_workers_first_line_names_its_store(
    dsn: str, sync_store: SyncEventStore, tmp_path: Path
) -> None:
    sync_store.append("order-1", EventData("T"))
    (tmp_path / "shop.py").write_text(MODULE)
    run_service(tmp_path / "data", LOCAL, dsn, dsn)
    with subprocess.Popen(
        [*COMMAND, "worker", "shop:app", "--data-dir", str(tmp_path / "data")],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stderr is not None
        line = worker.stderr.readline()
        worker.terminate()
        worker.communicate(timeout=DEADLINE)
    assert f"a worker of shop:app (store eventstore at {LOCAL})" in line


def test_serve_takes_the_data_directory_that_is_named_now(tmp_path: Path) -> None:
    both = Cli(EVENTSTORE_DSN=DSN)("serve", "--dsn", DSN, "--data-dir", tmp_path, code=2)
    assert "--dsn (your PostgreSQL) or --data-dir" in both.err


def test_a_dsn_for_programs_is_a_workers(default_dir: Path) -> None:
    run_service(default_dir)
    assert Cli()("psql", "--print-dsn").out == f"{WORKER}\n"
    assert Cli()("psql", "--print-dsn", "--admin").out == f"{ADMIN}\n"
    assert Cli()("psql", "--print-dsn", "--dsn", DSN).out == f"{DSN}\n"


def test_psql_logs_in_as_a_writer_unless_an_administrator_is_asked_for(
    default_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_service(default_dir)
    run: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _program, arguments, _environ: run.append(arguments))
    Cli()("psql", "-c", "SELECT 1")
    Cli()("psql", "--admin", "-c", "SELECT 1")
    assert [arguments[1:] for arguments in run] == [
        [WRITER, "-c", "SELECT 1"],
        [ADMIN, "-c", "SELECT 1"],
    ]
