"""Connections as a runner has them, and stores that have a real log already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from eventstore.projections.connection import read_json_as_values
from tests.fix_database import NewDatabase, Pg, janitor, new_pg
from tests.fix_server import Server
from tests.projections.receipt import import_receipt


@pytest.fixture
async def worker(dsn: str) -> AsyncIterator[Pg]:
    """A connection as a runner has it."""
    async with new_pg(dsn) as made:
        await read_json_as_values(made)
        yield made


@pytest.fixture(scope="session")
def receipt_template(server: Server, template: str) -> Iterator[str]:
    """Name of a database with the log of permits, to be cloned."""
    with janitor(server, "eventstore_receipt", template) as database:
        import_receipt(server.database(database.dbname))
        yield database.dbname


@pytest.fixture
def permits(new_database: NewDatabase, receipt_template: str) -> str:
    """A fresh database with the log of permits in its store."""
    return new_database(receipt_template)
