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
EVERY = "0.0.0.0"  # noqa: S104 - that it is refused is what is tested


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
    said = refusal(run("serve", "--insecure", "--host", "192.0.2.1", "--data-dir", room / "data"))
    assert "192.0.2.1" in said


@pytest.mark.parametrize("host", [EVERY, "::", "192.0.2.1", "2001:db8::1", "0"])
def test_an_address_that_others_reach(room: Path, host: str) -> None:
    said = refusal(run("serve", "--host", host, "--port", 0, "--data-dir", room / "data"))
    assert host in said
    assert "--insecure" in said
    assert not (room / "data").exists()


@pytest.mark.parametrize("value", ["*.example", "http://store.example", "store.example:2113"])
def test_a_host_name_that_is_none(value: str) -> None:
    done = run("serve", "--allow-host", value)
    assert done.returncode == 2
    assert "a host is a name" in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2", ""])
def test_loopback_is_known_by_loopback_names(dsn: str, host: str) -> None:
    with Service("--dsn", dsn, "--host", host) as service:
        url = f"{service.url}/health/live"
        assert httpx.get(url).status_code == 200
        for name in ("store.example", EVERY):
            answer = httpx.get(url, headers={"host": name})
            assert (answer.status_code, "--allow-host" in answer.text) == (421, True)


@pytest.mark.parametrize("setting", ["option", "environment"])
def test_what_is_in_front_is_trusted_by_name_or_wholly(dsn: str, setting: str) -> None:
    def answers(**env: str) -> list[int]:
        options = ["--host", EVERY]
        if setting == "option":
            options += ["--insecure"] if "EVENTSTORE_INSECURE" in env else []
            for name in env.get("EVENTSTORE_ALLOW_HOST", "").split():
                options += ["--allow-host", name]
            env = {}
        with Service("--dsn", dsn, *options, **env) as service:
            url = f"http://127.0.0.1:{service.port}/health/live"
            names = ("127.0.0.1", "store.example", "b.example", "evil.example")
            return [httpx.get(url, headers={"host": name}).status_code for name in names]

    assert answers(EVENTSTORE_INSECURE="1") == [200] * 4
    named = answers(EVENTSTORE_INSECURE="1", EVENTSTORE_ALLOW_HOST="store.example b.example")
    assert named == [200, 200, 200, 421]


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


def test_a_dsn_that_is_empty() -> None:
    refusal(run("serve", "--port", 0, "--dsn", ""))


def test_options_of_the_environment_that_no_server_takes(used_data_dir: Path, room: Path) -> None:
    data_dir = copied(used_data_dir, room / "data")
    said = refusal(run("serve", "--port", 0, "--data-dir", data_dir, PGOPTIONS="-c nonsense=1"))
    assert 'unrecognized configuration parameter "nonsense"' in said
    assert "PG* variables" in said


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
