"""A real PostgreSQL server for the whole run: the wheel's, the system's, or a given one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from eventstore.postgres.embedded import EmbeddedPostgres

INSTALLATIONS: Final[dict[str, Path | None]] = {
    "18": None,  # the wheel's
    **{major: Path(f"/usr/lib/postgresql/{major}/bin") for major in ("17", "16", "15")},
}
"""PostgreSQL major versions that can be tested on, and where Debian's packages put them."""

QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
}
"""Settings of servers that are never killed."""


@dataclass(frozen=True)
class Server:
    """A running server. `dsn` is a superuser's, on the database `postgres`."""

    name: str
    dsn: str
    bin_dir: Path

    def database(self, dbname: str) -> str:
        """Give the DSN of one of its databases."""
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{dbname}"))

    def program(self, name: str) -> str:
        """Give the path of a client program that fits this server, e.g. `pg_dump`."""
        return str(self.bin_dir / name)

    @property
    def major(self) -> int:
        """Its major version."""
        with psycopg.connect(self.dsn) as connection:
            return connection.info.server_version // 10_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        default="18",
        choices=[*INSTALLATIONS],
        help="the PostgreSQL to test on: the wheel's (18, the default) or one of the system's; "
        "EVENTSTORE_TEST_DSN names a server of your own instead",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "one_postgres: uses a database, but would do the same on every version of PostgreSQL",
    )
    config.addinivalue_line(
        "markers",
        "postgres: depends on the version of PostgreSQL; set for what uses one and is not marked "
        "one_postgres",
    )
    bin_dir = INSTALLATIONS[config.getoption("--postgres")]
    if bin_dir is not None and not bin_dir.is_dir():
        raise pytest.UsageError(f"--postgres: no PostgreSQL in {bin_dir}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes for each core with `-n auto`: a test waits about half of its time."""
    return 2 * (os.cpu_count() or 1)


def pytest_itemcollected(item: pytest.Item) -> None:
    uses_one = {"server", "bin_dir"} & set(getattr(item, "fixturenames", ()))
    if uses_one and item.get_closest_marker("one_postgres") is None:
        item.add_marker("postgres")


_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - mkdtemp makes what is in it


def _has_room(directory: Path) -> bool:
    """Tell whether a directory of files in memory can hold a server: creating databases is many
    small files, on a slow disk most of the time of the tests."""
    if not os.access(directory, os.W_OK):
        return False
    status = os.statvfs(directory)
    executable = not status.f_flag & getattr(os, "ST_NOEXEC", 0)
    return executable and status.f_bavail * status.f_frsize > 2 << 30


@contextmanager
def new_room() -> Iterator[Path]:
    """Give a directory that every OS user can enter (tmp_path is private to its user)."""
    path = Path(tempfile.mkdtemp(prefix="es-", dir=_MEMORY if _has_room(_MEMORY) else None))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def running_server(name: str, settings: dict[str, str]) -> Iterator[Server]:
    """Start a server of its own and stop it in the end."""
    with (
        new_room() as room,
        EmbeddedPostgres(room / "data", bin_dir=INSTALLATIONS[name], settings=settings) as postgres,
    ):
        yield Server(name, postgres.dsn(), postgres.psql().parent)


@contextmanager
def given_server(dsn: str) -> Iterator[Server]:
    psql = shutil.which("psql")
    yield Server("given", dsn, Path(psql).parent if psql else Path("/usr/bin"))


@pytest.fixture(scope="session")
def bin_dir(pytestconfig: pytest.Config) -> Path | None:
    """The programs of the PostgreSQL to test on; None: those of the wheel."""
    return INSTALLATIONS[pytestconfig.getoption("--postgres")]


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The server to test on."""
    if given := os.environ.get("EVENTSTORE_TEST_DSN"):
        context = given_server(given)
    else:
        context = running_server(pytestconfig.getoption("--postgres"), QUICK)
    with context as running:
        yield running
