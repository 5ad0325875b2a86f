"""Workers that run a group: what counts as one, and what is refused while one does."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from eventstore import ConsumerRefused, EventStore
from tests.consumers.groups import EXPIRE, ack, append, create, nack, receive
from tests.fix_database import Pg
from tests.fix_faces import Face

GONE = "UPDATE eventstore.consumer_workers SET seen_until = 'epoch' WHERE member = $1"
WORKERS = "SELECT array_agg(member ORDER BY member) FROM eventstore.consumer_workers"


async def beat(connection: Pg, member: str = "one", *got: Any) -> Any:
    return await connection.fetchrow(
        "SELECT * FROM eventstore.consumer_beat_v1('emails', $1, $2, $3)",
        member,
        [one.position for one in got],
        [one.lease for one in got],
    )


async def test_who_runs_a_group_is_shown_and_protects_it(face: Face, connection: Pg) -> None:
    await face.consumers.create("emails", retries=3)
    assert (await face.consumers.get("emails")).workers == ()
    await beat(connection, "two")
    await beat(connection, "one")
    status = await face.consumers.get("emails")
    assert (status.workers, status.members) == (("one", "two"), {})
    assert await face.consumers.all() == [status]
    with pytest.raises(ConsumerRefused, match="run by 2 workers: end them first"):
        await face.consumers.delete("emails")
    with pytest.raises(ConsumerRefused, match="run by 2 workers: end them first"):
        await face.consumers.create("emails", retries=4)
    assert not await face.consumers.create("emails", retries=3)  # it changes nothing
    assert await face.consumers.get("emails") == status
    await connection.execute(GONE, "one")
    with pytest.raises(ConsumerRefused, match=r"run by 1 worker: end it first \(two;"):
        await face.consumers.delete("emails")
    await connection.execute("SELECT eventstore.consumer_leave_v1('emails', 'two')")
    assert (await face.consumers.get("emails")).workers == ()
    assert not await face.consumers.create("emails", retries=4)
    await face.consumers.delete("emails")
    assert await connection.fetchval(WORKERS) is None


async def test_a_worker_that_makes_or_changes_its_group_runs_it_from_then_on(
    connection: Pg,
) -> None:
    assert await create(connection, member="one", buffer=7)
    with pytest.raises(asyncpg.PostgresError, match="1 worker") as refused:
        await create(connection, buffer=8)
    assert refused.value.sqlstate == "ST011"
    assert not await create(connection, member="two", buffer=8)
    assert await connection.fetchval(WORKERS) == ["one", "two"]
    assert await connection.fetchval("SELECT buffer FROM eventstore.consumer_groups") == 8


async def test_a_worker_that_is_not_heard_of_is_removed_by_the_next_word(connection: Pg) -> None:
    await create(connection)
    await beat(connection, "one")
    await connection.execute(GONE, "one")
    await beat(connection, "two")
    assert await connection.fetchval(WORKERS) == ["two"]
    await connection.execute(GONE, "two")
    assert await connection.fetchval("SELECT eventstore.delete_consumer('emails')")
    with pytest.raises(asyncpg.PostgresError, match="no consumer group"):
        await beat(connection)


async def test_a_word_renews_leases_and_tells_of_those_that_are_lost(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "b")
    await create(connection)
    first, second = await receive(connection)
    await ack(connection, second)
    await connection.execute(EXPIRE)
    told = await beat(connection, "one", first, second)
    assert (told["settled"], told["lost"]) == (1, [f"2-{second.lease}"])
    assert await receive(connection) == []


async def test_a_word_gives_the_position_after_which_nothing_is_passed_over(
    store: EventStore, connection: Pg
) -> None:
    await append(store, *[f"s-{n}" for n in range(6)])
    await create(connection, buffer=5)
    assert (await beat(connection))["undone_after"] == 0
    one, two, three = await receive(connection, 3)
    for done, after in ((two, 0), (one, 2)):
        await ack(connection, done)
        assert (await beat(connection))["undone_after"] == after
    await nack(connection, three, delay=60)
    assert (await beat(connection))["undone_after"] == 2
    await connection.execute("UPDATE eventstore.deliveries SET available_at = 'epoch'")
    third, *others = await receive(connection)
    assert third.position == 3
    await ack(connection, *others)
    assert (await beat(connection))["undone_after"] == 2  # the third is with a member
    await connection.execute(EXPIRE)
    await nack(connection, *await receive(connection), action="park")
    status = await connection.fetchval("SELECT checkpoint FROM eventstore.consumer_groups")
    assert (await beat(connection))["undone_after"] == status == 6
