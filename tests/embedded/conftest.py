"""Servers that a test starts, stops and breaks itself, of the PostgreSQL to test on."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventstore.postgres.embedded import EmbeddedPostgres
from tests.embedded.service import Service
from tests.fix_server import new_room

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
"""Settings for servers that only have to live for one test."""


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory that every OS user can enter (tmp_path is private to its user)."""
    with new_room() as path:
        yield path


@pytest.fixture(scope="session")
def template(bin_dir: Path | None) -> Iterator[Path]:
    """A data directory with a cluster in it, to be copied: initdb takes a second."""
    with new_room() as path:
        with EmbeddedPostgres(path / "data", bin_dir=bin_dir, settings=QUICK):
            pass
        shutil.rmtree(path / "data" / "log")
        yield path / "data"


Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def make(bin_dir: Path | None, room: Path, template: Path) -> Iterator[Make]:
    """Make embedded servers with quick settings; stop them in the end.

    By default on `room / "data"`, which has a cluster in it already.
    """
    with ExitStack() as servers:

        def build(
            data_dir: Path = room / "data",
            *,
            settings: dict[str, str] | None = None,
            os_user: str | None = None,
            on_progress: Callable[[str], None] | None = None,
        ) -> EmbeddedPostgres:
            if data_dir == room / "data" and not data_dir.exists():
                subprocess.run(["cp", "-a", template, data_dir], check=True)
            server = EmbeddedPostgres(
                data_dir,
                bin_dir=bin_dir,
                os_user=os_user,
                settings=QUICK | (settings or {}),
                on_progress=on_progress,
            )
            servers.callback(server.stop)
            return server

        yield build


@pytest.fixture
def launch(bin_dir: Path | None, room: Path) -> Iterator[Callable[..., Service]]:
    """Start services (processes of their own that own a server); kill them in the end."""
    with ExitStack() as services:

        def build(data_dir: Path = room / "data", *, uid: int | None = None) -> Service:
            return services.enter_context(Service(data_dir, bin_dir, QUICK, uid))

        yield build


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to other users")


def query(server: EmbeddedPostgres, sql: str) -> str:
    """Run SQL by psql, as a user would; return its output."""
    done = subprocess.run(
        [server.psql(), server.dsn(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
