"""Data directories with a cluster in them, and services on them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.running import Service, processes_in, serving, until


@contextmanager
def new_room() -> Iterator[Path]:
    """Give a directory on disk that every OS user can enter (tmp_path is private to its user)."""
    path = Path(tempfile.mkdtemp(prefix="es-service-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        # After kill -9 of a service its PostgreSQL ends by itself, a moment later.
        until(lambda: not processes_in(path), "everything in the directory ends")
        shutil.rmtree(path)


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory of the test's own."""
    with new_room() as path:
        yield path


@pytest.fixture(scope="session")
def used_data_dir() -> Iterator[Path]:
    """A data directory in which a service has run: making one takes seconds, copying it not."""
    with new_room() as path:
        with serving("--data-dir", path / "data") as service:
            assert service.stop() == 0
        yield path / "data"


def copied(source: Path, target: Path) -> Path:
    """Copy a data directory with its owners and modes."""
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


@pytest.fixture
def data_dir(room: Path, used_data_dir: Path) -> Path:
    """A data directory with an empty store."""
    return copied(used_data_dir, room / "data")


@pytest.fixture
def service(data_dir: Path) -> Iterator[Service]:
    """A running service on an embedded PostgreSQL with an empty store."""
    with serving("--data-dir", data_dir) as running:
        yield running


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
