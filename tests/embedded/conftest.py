"""Real servers: the wheel's PostgreSQL, and the system's where there is one."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from eventstore.postgres.embedded import EmbeddedPostgres
from tests.embedded.service import Service

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
"""Settings for servers that only have to live for one test."""


def _system_bin_dirs() -> list[Path]:
    found = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
    return sorted(p for p in found if re.fullmatch(r"1[5-7]", p.parent.name))[:1]


_INSTALLATIONS: list[Path | None] = [None, *_system_bin_dirs()]


@pytest.fixture(scope="session", params=_INSTALLATIONS, ids=lambda p: "system" if p else "wheel")
def bin_dir(request: pytest.FixtureRequest) -> Path | None:
    """The programs to test with; None: those of the wheel."""
    path: Path | None = request.param
    return path


def _rooms() -> Path:
    """Where to make directories: in memory if there is enough of it (a cluster is 1,000 files)."""
    memory = Path("/dev/shm")  # noqa: S108 - the name of a file system, not of a file
    if memory.is_dir():
        status = os.statvfs(memory)
        executable = not status.f_flag & getattr(os, "ST_NOEXEC", 0)
        if executable and status.f_bavail * status.f_frsize > 2**30:
            return memory
    return Path("/tmp")  # noqa: S108 - mkdtemp makes the name


@contextmanager
def new_room() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="es-", dir=_rooms()))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


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


wheel_only = pytest.mark.parametrize("bin_dir", [None], ids=["wheel"], indirect=True)
"""For what does not depend on the version of PostgreSQL."""

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
