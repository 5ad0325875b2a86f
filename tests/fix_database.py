"""Databases: a template that is migrated once a run, and for each test one that is just like it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Composed
from pytest_postgresql.janitor import DatabaseJanitor

from eventstore.postgres.schema import migrate
from tests.fix_server import Server
from tests.recycling import Recycler

if TYPE_CHECKING:
    Pg = asyncpg.Connection[asyncpg.Record]
else:
    Pg = asyncpg.Connection

Psql = psycopg.Connection[tuple[Any, ...]]

# Processes that test side by side may share a server that was given.
_process = os.environ.get("PYTEST_XDIST_WORKER", "")
_numbers = count(1)


class CopyingJanitor(DatabaseJanitor):
    """Clones by copying files: ten times as fast as the default, which writes everything to WAL."""

    def _build_create_database_sql(self) -> Composed:
        return super()._build_create_database_sql() + SQL(" STRATEGY file_copy")


def janitor(server: Server, dbname: str, template: str | None = None) -> DatabaseJanitor:
    """Give what creates and drops a database."""
    parts = conninfo_to_dict(server.dsn)
    password = parts.get("password")
    return CopyingJanitor(
        user=str(parts["user"]),
        password=None if password is None else str(password),
        host=str(parts["host"]),
        port=str(parts.get("port") or 5432),
        dbname=dbname,
        template_dbname=template,
    )


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """Name of a database at the newest revision, to be cloned."""
    with janitor(server, f"eventstore_template_{_process}") as database:
        migrate(server.database(database.dbname))
        yield database.dbname


NewDatabase = Callable[..., str]


@pytest.fixture
def new_database(server: Server) -> Iterator[NewDatabase]:
    """Make databases (`template=None`: empty ones) and give their DSN; drop them in the end."""
    with ExitStack() as databases:

        def build(template: str | None = None) -> str:
            name = f"test_{_process}_{next(_numbers)}"
            made = databases.enter_context(janitor(server, name, template))
            return server.database(made.dbname)

        yield build


@pytest.fixture(scope="session")
def recycler(server: Server, template: str) -> Iterator[Recycler]:
    """Lends clones of the template, again and again."""

    def clone() -> tuple[str, Callable[[], None]]:
        made = janitor(server, f"test_{_process}_{next(_numbers)}", template)
        made.init()
        return server.database(made.dbname), made.drop

    with closing(Recycler(clone)) as made:
        yield made


@pytest.fixture
def dsn(recycler: Recycler) -> Iterator[str]:
    """A database with an empty store, for asyncpg, psycopg and psql alike."""
    with recycler.lent() as lent:
        yield lent


@asynccontextmanager
async def new_pg(dsn: str) -> AsyncIterator[Pg]:
    """Open an asyncpg connection."""
    made = await asyncpg.connect(dsn, server_settings={"application_name": "test"})
    try:
        yield made
    finally:
        await made.close(timeout=10)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Pg]:
    """A superuser's connection to the test's database."""
    async with new_pg(dsn) as made:
        yield made


@pytest.fixture
def sql(dsn: str) -> Iterator[Psql]:
    """A superuser's psycopg connection to the test's database, in autocommit."""
    with psycopg.connect(dsn, autocommit=True, application_name="test") as made:
        yield made
