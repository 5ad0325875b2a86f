"""The append lock: who holds it is seen, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_waiting import dense, until_waiting


@pytest.fixture
async def impatient(connection: Pg) -> None:
    """Let appends wait for the lock for 100 ms, not 5 s."""
    await connection.execute("ALTER FUNCTION eventstore.append_v1 SET lock_timeout = '100ms'")


async def test_an_append_waits_five_seconds_at_most(connection: Pg) -> None:
    settings = await connection.fetchval(
        "SELECT proconfig FROM pg_proc WHERE oid = 'eventstore.append_v1'::regproc"
    )
    assert "lock_timeout=5s" in settings


@pytest.mark.usefixtures("impatient")
async def test_a_lock_that_is_held_too_long_makes_an_append_unavailable_and_stores_nothing(
    store: EventStore, sync_store: SyncEventStore, dsn: str, connection: Pg
) -> None:
    async with new_pg(dsn) as holder, holder.transaction():
        await store.append("held", EventData("T"), connection=holder)
        for append in (
            store.append("a", EventData("T"), idempotency_key="k"),
            asyncio.to_thread(sync_store.append, "a", EventData("T"), idempotency_key="k"),
        ):
            with pytest.raises(Unavailable, match="held the append lock"):
                await append
    assert await dense(connection) == 1
    after = await store.append("a", EventData("T"), idempotency_key="k")
    assert (after.replayed, after.position) == (False, 2)


@pytest.mark.usefixtures("impatient")
async def test_reads_do_not_wait_for_the_append_lock(store: EventStore, dsn: str) -> None:
    await store.append("a", EventData("T"))
    async with new_pg(dsn) as holder, holder.transaction():
        await store.append("a", EventData("T"), connection=holder)
        assert [e.position async for e in store.read()] == [1]
        assert (await store.head()).position == 1


async def test_an_append_that_waited_goes_on_when_the_holder_ends(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with new_pg(dsn) as holder, holder.transaction():
        await store.append("held", EventData("T"), connection=holder)
        waiting = asyncio.create_task(store.append("a", EventData("T")))
        await until_waiting(connection)
    assert (await waiting).position == 2


async def test_the_holder_is_seen_in_the_health_view(
    store: EventStore, dsn: str, connection: Pg, sql: Psql
) -> None:
    health = (
        "SELECT append_lock_pid, append_lock_application, append_lock_state,"
        " append_lock_held > interval '0', append_lock_waiters, head FROM eventstore.health"
    )
    async with new_pg(dsn) as holder, holder.transaction():
        await store.append("held", EventData("T"), connection=holder)
        pid = holder.get_server_pid()
        waiting = [asyncio.create_task(store.append("a", EventData("T")))]
        await until_waiting(connection)
        seen = sql.execute(health.encode()).fetchone()
        assert seen == (pid, "test", "idle in transaction", True, 1, 0)
    await asyncio.gather(*waiting)
    assert sql.execute(health.encode()).fetchone() == (None, None, None, None, 0, 2)
