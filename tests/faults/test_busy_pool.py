"""Every connection of a store in use: who waits for one is told, and nobody waits for good."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import EventData, EventStore, Unavailable, reader
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until_waiting


async def test_a_read_that_finds_no_connection_is_told_so_and_appends_go_on(
    dsn: str, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "ACQUIRE_WITHIN", 0.2)
    async with EventStore(dsn, max_connections=1) as store:
        async with connection.transaction():
            await connection.execute("LOCK TABLE eventstore.alembic_version")
            slow = asyncio.create_task(store.installed_revision())
            await until_waiting(connection)
            async with asyncio.timeout(DEADLINE):
                with pytest.raises(Unavailable, match="all 1 database connections were in use"):
                    await store.categories()
            assert (await store.append("a", EventData("T"))).position == 1
        assert await slow is not None
        assert [count.name for count in await store.categories()] == ["a"]
