"""Real PostgreSQL servers, one for the whole run: the wheel's, the system's, or a given one."""

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
    "15": Path("/usr/lib/postgresql/15/bin"),
}
"""PostgreSQL major versions under test, and where their programs are."""

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
        default="all",
        choices=["all", *INSTALLATIONS],
        help="which PostgreSQL to test on: the wheel's (18), the system's (15), or all that "
        "are there (default); EVENTSTORE_TEST_DSN names a server of your own instead",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "one_postgres: what does not depend on the version: on the first server only"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        names = chosen_servers(metafunc.config.getoption("--postgres"))
        metafunc.parametrize("server", names, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not in pytest_generate_tests: a parameter of a fixture may have the mark, too.
    others = chosen_servers(config.getoption("--postgres"))[1:]
    again = [item for item in items if _server_of(item) in others and _is_for_one(item)]
    if again:
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in set(again)]


def _is_for_one(item: pytest.Item) -> bool:
    return item.get_closest_marker("one_postgres") is not None


def _server_of(item: pytest.Item) -> str | None:
    return item.callspec.params.get("server") if hasattr(item, "callspec") else None


def chosen_servers(option: str) -> list[str]:
    """Give the names of the servers to test on."""
    if os.environ.get("EVENTSTORE_TEST_DSN"):
        return ["given"]
    if option != "all":
        return [option]
    return [name for name, path in INSTALLATIONS.items() if path is None or path.is_dir()]


_MEMORY: Final = "/dev/shm"  # noqa: S108 - mkdtemp makes what is in it


def _has_room(directory: str) -> bool:
    """Tell whether a directory of files in memory can hold a server: creating databases is many
    small files, on a slow disk most of the time of the tests."""
    return os.access(directory, os.W_OK) and shutil.disk_usage(directory).free > 2 << 30


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
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server to test on; the option --postgres chooses which."""
    name: str = request.param
    if name == "given":
        context = given_server(os.environ["EVENTSTORE_TEST_DSN"])
    else:
        context = running_server(name, QUICK)
    with context as running:
        yield running
