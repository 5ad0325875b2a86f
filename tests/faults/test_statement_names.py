"""Names of prepared statements: a pooler that lends a connection to several cannot mix them up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore

pytestmark = pytest.mark.one_postgres

NAMES = "SELECT name FROM pg_prepared_statements"
PREPARE = f"""
import asyncio, asyncpg, sys
from eventstore.postgres.connection import Connection

async def main():
    connection = await asyncpg.connect(sys.argv[1], connection_class=Connection)
    await connection.fetch("SELECT $1::int", 1)
    print(*[row[0] for row in await connection.fetch("{NAMES}")])
    await connection.close()

asyncio.run(main())
"""


def test_two_processes_never_use_the_same_name(dsn: str) -> None:
    names = [
        set(
            subprocess.run(
                [sys.executable, "-c", PREPARE, dsn], check=True, capture_output=True, text=True
            ).stdout.split()
        )
        for _ in range(2)
    ]
    assert all(names)
    assert not names[0] & names[1]
    assert max(map(len, names[0] | names[1])) < 64  # PostgreSQL would cut off the rest


def test_the_synchronous_store_prepares_nothing(dsn: str) -> None:
    with SyncEventStore(dsn) as store:
        for _ in range(20):
            store.append("a", EventData("T"))
        assert store._connection is not None
        assert store._connection.execute(NAMES).fetchall() == []
