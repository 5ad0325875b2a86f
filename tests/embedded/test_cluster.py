"""The cluster: complete or not there, and of the right version."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from eventstore.postgres.embedded.binaries import Binaries, find_binaries, parse_version
from eventstore.postgres.embedded.cluster import initdb_options, wrong_version
from eventstore.postgres.embedded.layout import remove_folder
from tests.embedded.conftest import Make, as_root, query
from tests.embedded.service import Service


@pytest.mark.parametrize(
    ("major", "sync", "included", "left_out"),
    [
        (15, True, "--no-locale", "--builtin-locale=C.UTF-8"),
        (16, False, "--no-sync", "--builtin-locale=C.UTF-8"),
        (17, True, "--builtin-locale=C.UTF-8", "--no-locale"),
        (18, True, "--locale-provider=builtin", "--no-sync"),
    ],
)
def test_initdb_gets_options_that_its_version_has(
    major: int, sync: bool, included: str, left_out: str
) -> None:
    options = initdb_options(major, sync=sync)
    assert included in options
    assert left_out not in options
    assert "--data-checksums" in options


class Fixed(Binaries):
    """Programs that need not exist to say their version."""

    version = "18.6"
    major = 18


@pytest.mark.parametrize(
    ("made_by", "from_wheel", "message"),
    [
        (
            "16",
            True,
            "/d was made by PostgreSQL 16, this eventstore carries 18: dump with 16 and restore,"
            " or pass --dsn to use a server of version 16",
        ),
        (
            "9.6",
            False,
            "/d was made by PostgreSQL 9.6, the programs in /b are 18: dump with 9.6 and restore,"
            " or pass --dsn to use a server of version 9.6",
        ),
        (
            "19",
            True,
            "/d was made by PostgreSQL 19, this eventstore carries 18: use PostgreSQL 19"
            " (a newer eventstore), or pass --dsn to use a server of it",
        ),
    ],
)
def test_another_version_is_refused_with_what_to_do(
    made_by: str, from_wheel: bool, message: str
) -> None:
    assert wrong_version(Path("/d"), made_by, Fixed(Path("/b"), from_wheel)) == message


@pytest.mark.one_postgres
@pytest.mark.parametrize("made_by", ["14", "99"])
def test_a_cluster_of_another_version_is_not_touched(make: Make, made_by: str) -> None:
    server = make()
    file = server.data_dir / "pgdata" / "PG_VERSION"
    original = file.read_text()
    file.write_text(f"{made_by}\n")
    with pytest.raises(EmbeddedPostgresError, match=f"was made by PostgreSQL {made_by},"):
        server.start()
    file.write_text(original)
    with server:
        assert query(server, "SELECT 1") == "1"


@pytest.mark.one_postgres
def test_a_directory_without_a_version_is_not_taken_for_an_empty_one(make: Make) -> None:
    server = make()
    file = server.data_dir / "pgdata" / "PG_VERSION"
    file.unlink()
    with pytest.raises(EmbeddedPostgresError, match="restore it from a backup, or move it away"):
        server.start()
    assert (server.data_dir / "pgdata" / "base").is_dir()


@pytest.mark.one_postgres
def test_an_empty_pgdata_is_a_first_use(make: Make, room: Path) -> None:
    (room / "new" / "pgdata").mkdir(parents=True)
    with make(room / "new") as server:
        assert query(server, "SELECT 1") == "1"


def test_what_a_killed_initialisation_left_is_removed(
    make: Make, room: Path, launch: Callable[..., Service]
) -> None:
    data_dir = room / "new"
    service = launch(data_dir)
    word, text = service.line()
    assert word == "progress"
    assert "creating a PostgreSQL" in text
    service.kill()
    assert not (data_dir / "pgdata").exists()
    (data_dir / "pgdata.new" / "base").mkdir(parents=True)
    said: list[str] = []
    with make(data_dir, on_progress=said.append) as server:
        assert query(server, "SELECT 1") == "1"
    assert any("pgdata.new, left by an initialisation" in text for text in said)
    assert not list(data_dir.glob("pgdata.new*"))


def test_a_folder_that_somebody_else_clears_too_or_still_fills_is_removed(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = room / "pgdata.new-1"
    (folder / "pg_wal").mkdir(parents=True)
    scandir = os.scandir

    def slow(path: Any) -> Any:
        """List a folder; before the list is used, the other one removes and makes files."""
        with scandir(path) as entries:
            listed = nullcontext(list(entries))
        if (folder / "pg_wal").exists():
            (folder / "pg_wal").rmdir()
            (folder / "late").mkdir()
        return listed

    monkeypatch.setattr(os, "scandir", slow)
    remove_folder(folder)
    assert list(room.iterdir()) == []


def test_an_initialisation_that_is_interrupted_by_hand_leaves_nothing(room: Path) -> None:
    real = find_binaries(None)
    (room / "bin").mkdir()
    (room / "bin" / "postgres").symlink_to(real.program("postgres"))
    os.mkfifo(room / "pipe")
    (room / "pipe").chmod(0o666)
    program(room / "bin" / "initdb", f"#!/bin/sh\necho $$ > {room}/pipe\nexec sleep 600\n")
    started: list[int] = []

    def interrupt() -> None:
        started.append(int((room / "pipe").read_text()))
        os.kill(os.getpid(), signal.SIGINT)

    ctrl_c = threading.Thread(target=interrupt)
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        EmbeddedPostgres(room / "data", bin_dir=room / "bin").start()
    ctrl_c.join()
    assert [path.name for path in (room / "data").iterdir()] == ["eventstore.lock"]
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


@as_root
@pytest.mark.one_postgres
def test_a_full_disk_is_told_in_the_words_of_initdb(make: Make, room: Path) -> None:
    disk = room / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", disk],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount a small file system")
    try:
        with pytest.raises(EmbeddedPostgresError, match="No space left on device") as raised:
            make(disk / "data").start()
        assert "initdb could not create a cluster" in str(raised.value)
        left = sorted(path.name for path in (disk / "data").iterdir())
        assert left == ["eventstore.lock"]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("postgres (PostgreSQL) 18.6", "18.6"),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15.18"),
        ("postgres (PostgreSQL) 19beta1", "19beta1"),
        ("cannot execute binary file", None),
    ],
)
def test_the_version_is_read_from_what_the_server_says(output: str, version: str | None) -> None:
    assert parse_version(output) == version


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_programs_that_are_missing_not_executable_broken_or_old_are_told(room: Path) -> None:
    def start() -> str:
        with pytest.raises(EmbeddedPostgresError) as raised:
            EmbeddedPostgres(room / "data", bin_dir=room).start()
        return str(raised.value)

    assert f"there is no PostgreSQL program {room}/postgres" in start()
    program(room / "initdb", "#!/bin/sh\n")
    (room / "postgres").write_text("#!/bin/sh\n")
    assert "postgres is not executable" in start()
    program(room / "postgres", "#!/no/such/interpreter\n")
    assert "do not run on this machine: [Errno 2] No such file" in start()
    program(room / "postgres", "#!/bin/sh\necho libc is too old >&2; exit 127\n")
    assert "do not run on this machine: libc is too old" in start()
    program(room / "postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
    assert "has PostgreSQL 14.9; version 15 or newer is needed" in start()
    assert not (room / "data").exists()


def test_a_platform_without_a_wheel_is_told_to_use_a_dsn(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedPostgresError, match=r"no PostgreSQL for this platform.*--dsn"):
        EmbeddedPostgres(room / "data").start()
