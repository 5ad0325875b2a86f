"""What keeps the service from starting: one line that says what to do, and no secret in it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest

from tests.service.conftest import copied, new_room
from tests.service.running import Service, facts, run, serving

SECRET = "s3cr3t-p4ss"


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Expect that the service said in one line why it ends; give the line."""
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output
    assert SECRET not in output
    [said] = [line for line in done.stderr.splitlines() if line.startswith("eventstore: ")]
    others = [line for line in done.stderr.splitlines() if line != said]
    assert not [line for line in others if " INFO " not in line], output
    return said


@pytest.fixture(scope="module")
def occupied(used_data_dir: Path) -> Iterator[Path]:
    """A data directory on which a service runs."""
    with new_room() as room:
        data_dir = copied(used_data_dir, room / "data")
        with serving("--data-dir", data_dir):
            yield data_dir


@pytest.fixture
def dsn(occupied: Path) -> str:
    """A superuser's DSN of a database with a store in it."""
    found: str = facts(occupied)["dsn"]
    return found


def test_a_port_that_is_taken(room: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(run("serve", "--port", port, "--data-dir", room / "data"))
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert "--port" in said
    assert not (room / "data").exists()


def test_a_host_that_is_not_this_one(room: Path) -> None:
    said = refusal(run("serve", "--host", "192.0.2.1", "--data-dir", room / "data"))
    assert "192.0.2.1" in said


def test_a_second_start_on_the_same_directory(occupied: Path) -> None:
    before = facts(occupied)
    said = refusal(run("serve", "--port", 0, "--data-dir", occupied))
    assert str(occupied) in said
    assert str(before["pid"]) in said
    assert httpx.get(f"{before['url']}/health/ready").status_code == 200
    assert facts(occupied) == before


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{SECRET}@127.0.0.1:{{port}}/shop",
        f"postgresql://app@127.0.0.1:{{port}}/shop?password={SECRET}",
        f"postgresql://app:{SECRET}@/shop?host=/nowhere",
        f"postgresql://app:{quote(SECRET + '@:/#', safe='')}@127.0.0.1:{{port}}/shop",
    ],
)
def test_a_database_that_is_out_of_reach(dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = refusal(run("serve", "--port", 0, "--dsn", dsn.format(port=port)))
    assert "cannot be reached" in said


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{SECRET}@127.0.0.1:port/shop",
        f"postgresql://app:{SECRET}@[::1/shop",
        f"mysql://app:{SECRET}@127.0.0.1/shop",
        f"host=127.0.0.1 user=app password={SECRET}",
        f"postgresql://app:{SECRET}@127.0.0.1:1/shop?sslmode=perhaps",
        f"postgresql://app:{SECRET}/x@127.0.0.1:1/shop",
        f"postgresql://app:{SECRET}#x@127.0.0.1:1/shop",
        SECRET,
    ],
)
def test_a_dsn_that_is_none(dsn: str) -> None:
    refusal(run("serve", "--port", 0, EVENTSTORE_DSN=dsn))


def test_a_database_without_a_store(dsn: str) -> None:
    said = refusal(run("serve", "--port", 0, "--dsn", dsn.replace("/eventstore?", "/postgres?")))
    assert "eventstore migrate" in said


def test_a_database_that_is_not_there(dsn: str) -> None:
    said = refusal(run("serve", "--port", 0, "--dsn", dsn.replace("/eventstore?", "/nothing?")))
    assert "nothing" in said


def test_a_schema_without_a_store(dsn: str) -> None:
    said = refusal(run("serve", "--port", 0, "--dsn", dsn, "--schema", "shop"))
    assert "'shop'" in said
    assert "eventstore migrate --schema shop" in said


def test_a_schema_name_that_is_none(dsn: str) -> None:
    refusal(run("serve", "--port", 0, "--dsn", dsn, "--schema", 'a"; DROP'))


@pytest.mark.parametrize(
    ("revision", "what", "command"),
    [
        ("0000", "older", "eventstore migrate"),
        ("9999", "newer", "pip install --upgrade eventstore"),
    ],
)
def test_a_store_of_another_age(dsn: str, revision: str, what: str, command: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        [installed] = admin.execute("SELECT version_num FROM eventstore.alembic_version")
        admin.execute("UPDATE eventstore.alembic_version SET version_num = %s", [revision])
        said = refusal(run("serve", "--port", 0, "--dsn", dsn))
        admin.execute("UPDATE eventstore.alembic_version SET version_num = %s", installed)
    assert f"revision {revision}, {what} than this eventstore" in said
    assert command in said


def test_an_embedded_store_that_is_newer(service: Service, data_dir: Path) -> None:
    with psycopg.connect(facts(data_dir)["dsn"], autocommit=True) as admin:
        admin.execute("UPDATE eventstore.alembic_version SET version_num = '9999'")
    assert service.stop() == 0
    said = refusal(run("serve", "--port", 0, "--data-dir", data_dir))
    assert "pip install --upgrade eventstore" in said


def test_a_user_without_the_right(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("CREATE ROLE nobody LOGIN")
    said = refusal(run("serve", "--port", 0, "--dsn", dsn.replace("postgres@", "nobody@")))
    assert "refuses this user" in said


def test_a_directory_that_cannot_be_made() -> None:
    said = refusal(run("serve", "--port", 0, "--data-dir", "/proc/data"))
    assert "/proc" in said


def test_a_file_in_place_of_the_directory(room: Path) -> None:
    (room / "data").write_text("")
    said = refusal(run("serve", "--port", 0, "--data-dir", room / "data"))
    assert str(room / "data") in said


@pytest.mark.parametrize(
    "options", [["--port", "70000"], ["--port", "x"], ["--colour", "red"], ["surplus"]]
)
def test_options_that_are_none(options: list[str]) -> None:
    done = run("serve", *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
