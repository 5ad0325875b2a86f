"""The lock of a consumer group: nobody waits for it for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, new_pg

LOCKING = ("consumer_lock_v1", "consumer_create_v1", "delete_consumer")


@pytest.mark.parametrize("function", LOCKING)
async def test_five_seconds_are_waited_at_most(connection: Pg, function: str) -> None:
    settings = await connection.fetchval(
        "SELECT proconfig FROM pg_proc WHERE oid = $1::regproc", f"eventstore.{function}"
    )
    assert "lock_timeout=5s" in settings


async def test_a_group_that_is_held_too_long_is_unavailable_and_stays_as_it_is(
    store: EventStore, sync_store: SyncEventStore, connection: Pg, dsn: str
) -> None:
    for function in LOCKING:
        await connection.execute(f"ALTER FUNCTION eventstore.{function} SET lock_timeout = '50ms'")
    await store.append("a", EventData("T"))
    groups = store.consumers
    await groups.create("emails")
    async with new_pg(dsn) as holder, holder.transaction():
        await holder.execute("SELECT eventstore.receive('emails', 1)")
        act: Awaitable[Any]
        for act in (
            groups.ack("emails", ["1-1"]),
            groups.nack("emails", ["1-1"]),
            groups.renew("emails", ["1-1"]),
            groups.replay("emails"),
            groups.drop("emails", "a"),
            groups.create("emails", buffer=7),
            groups.delete("emails"),
            asyncio.to_thread(sync_store.consumers.ack, "emails", ["1-1"]),
        ):
            with pytest.raises(Unavailable, match="held the consumer group"):
                await act
    assert (await groups.get("emails")).in_flight == 1
