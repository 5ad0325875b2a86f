"""One service at a time has a data directory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.postgres.embedded import EmbeddedPostgresError
from eventstore.postgres.embedded.lock import (
    DirectoryLock,
    Owner,
    describe_command,
    format_owner,
    in_use,
    parse_owner,
)
from tests.embedded.conftest import Make, query
from tests.embedded.service import Service


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["/usr/bin/eventstore", "serve"], "eventstore serve"),
        (["/usr/bin/eventstore", "--dsn=postgresql://u:secret@h/db", "serve"], "eventstore"),
        (["/lib/python3/eventstore/__main__.py", "serve", "--port", "1"], "eventstore serve"),
        (["eventstore", "postgresql://u:secret@h/db"], "eventstore"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_command_is_named_without_its_options(argv: list[str], text: str) -> None:
    assert describe_command(argv) == text


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        (format_owner(Owner(12, "eventstore serve", "h")), Owner(12, "eventstore serve", "h")),
        ("", None),
        ("12\n", None),
        ("twelve\neventstore\nh\n", None),
    ],
)
def test_the_lock_file_says_who_holds_it(text: str, owner: Owner | None) -> None:
    assert parse_owner(text) == owner


@pytest.mark.parametrize(
    ("owner", "who"),
    [
        (Owner(12, "eventstore serve", "here"), "process 12 (eventstore serve)"),
        (Owner(12, "eventstore serve", "box"), "process 12 (eventstore serve) on host box"),
        (None, "another process"),
    ],
)
def test_the_message_names_the_owner_and_what_to_do(owner: Owner | None, who: str) -> None:
    expected = f"/data is in use by {who}; stop it or choose another --data-dir"
    assert in_use(Path("/data"), owner, "here") == expected


@pytest.mark.one_postgres
def test_a_second_service_on_the_directory_is_refused_by_name(
    make: Make, launch: Callable[..., Service]
) -> None:
    with make() as server:
        word, text = launch().outcome()
        assert word == "error"
        assert text.startswith(f"{server.data_dir} is in use by process {os.getpid()} (")
        assert query(server, "SELECT 1") == "1"


def test_a_service_in_another_process_is_named_and_its_end_frees_the_directory(
    make: Make, launch: Callable[..., Service]
) -> None:
    server = make()
    service = launch()
    service.ready()
    with pytest.raises(EmbeddedPostgresError) as raised:
        server.start()
    assert str(raised.value) == (
        f"{server.data_dir} is in use by process {service.process.pid} (service.py serve);"
        " stop it or choose another --data-dir"
    )
    service.stop()
    with server:
        assert query(server, "SELECT 1") == "1"


def test_a_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    lock, other = DirectoryLock(tmp_path / "lock"), DirectoryLock(tmp_path / "lock")
    lock.acquire()
    read, write = os.pipe()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.write(there, b"!")
        os.read(read, 1)  # Ends when the parent closes its side.
        os._exit(0 if not lock.held else 1)
    assert os.read(here, 1) == b"!"
    for descriptor in (read, here, there):
        os.close(descriptor)
    with pytest.raises(EmbeddedPostgresError, match="in use by process"):
        other.acquire()
    lock.release()
    other.acquire()
    other.release()
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        DirectoryLock(tmp_path / "lock").acquire()
    assert victim.read_text() == "precious"
