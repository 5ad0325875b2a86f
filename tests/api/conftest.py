"""The service on the test's database: in process, and over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from eventstore import EventStore
from eventstore_api.dispatch import Dispatcher
from tests.api.described import APP
from tests.fix_database import janitor
from tests.fix_server import Server
from tests.fix_service import application, served


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Making up that many requests takes seconds, of every process that only looks for tests."""
    deep = collection_path.name == "test_schemathesis_deep.py"
    return True if deep and config.option.markexpr == "not slow" else None


@pytest.fixture
def app(store: EventStore) -> Iterator[Dispatcher]:
    """The application, on an empty store."""
    with application(store) as made:
        yield made


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """Give a client in process, to which the application's own exceptions are raised."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.fixture
async def http(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in process, on an empty store."""
    async with client_of(app) as client:
        yield client


@pytest.fixture(scope="session")
def shared_dsn(server: Server, template: str) -> Iterator[str]:
    """A database for tests that do not mind what others have stored."""
    with janitor(server, "api_shared", template) as database:
        yield server.database(database.dbname)


@pytest.fixture(scope="module")
async def shared_app(shared_dsn: str) -> AsyncIterator[Dispatcher]:
    """The application, on a store that has other tests' events."""
    async with EventStore(shared_dsn) as store:
        with application(store) as made:
            yield made


@pytest.fixture
async def shared_http(shared_app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in process, on a store that has other tests' events."""
    async with client_of(shared_app) as client:
        yield client


@pytest.fixture
def address(dsn: str) -> Iterator[tuple[str, int]]:
    """Host and port of the service on an empty store, behind a real HTTP server."""
    with served(EventStore(dsn)) as found:
        yield found


@pytest.fixture(scope="session")
def random_address(server: Server, template: str) -> Iterator[tuple[str, int]]:
    """Host and port of a service on a store of its own, for what hypothesis makes up."""
    with (
        janitor(server, "api_random", template) as database,
        served(EventStore(server.database(database.dbname))) as found,
    ):
        yield found


@pytest.fixture(scope="session")
def wallet_address(server: Server, template: str) -> Iterator[tuple[str, int]]:
    """Host and port of a service that takes commands, for what hypothesis makes up."""
    with (
        janitor(server, "api_commands", template) as database,
        served(EventStore(server.database(database.dbname)), APP) as found,
    ):
        yield found


@pytest.fixture(scope="session")
def shared_address(shared_dsn: str) -> Iterator[tuple[str, int]]:
    """Host and port of a service on a store that has other tests' events."""
    with served(EventStore(shared_dsn)) as found:
        yield found
