"""`after`: an event is delivered once the projections that are named have applied it."""

from __future__ import annotations

import asyncio

import pytest

from eventstore import EventData, EventStore
from tests.consumers.groups import ack, append, asked, counts, create, positions, receive
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE
from tests.projections.orders import Orders, reached, working
from tests.projections.orders import counts as rows

REGISTER = "SELECT eventstore.projection_register_v1($1, $2, '{}', '{t}', 'f', $3)"


async def apply(connection: Pg, name: str, position: int, partition: int = 0) -> None:
    await connection.execute(
        "UPDATE eventstore.projection_partitions SET checkpoint = $2"
        " WHERE projection = $1 AND partition = $3",
        name,
        position,
        partition,
    )


async def park(connection: Pg, stream: str, revision: int, position: int) -> None:
    await connection.execute(
        "SELECT eventstore.projection_fail_v1('one', 1, $1, $2, $3, 'parked', 'why')",
        stream,
        revision,
        position,
    )


async def test_what_a_projection_has_not_applied_waits(store: EventStore, connection: Pg) -> None:
    await append(store, "a", "b", "c", "d")
    await connection.execute(REGISTER, "one", 1, 2)
    await connection.execute(REGISTER, "two", 1, 1)
    await create(connection, after=["two", "one"])
    assert await positions(connection) == []
    await apply(connection, "one", 3)
    await apply(connection, "two", 2)
    assert await positions(connection) == []  # a partition of the first has applied nothing
    await apply(connection, "one", 4, partition=1)
    assert await positions(connection) == [1, 2]
    [idle] = await asked(connection)
    # Nobody tells of a projection that goes on but its own notification.
    assert (idle["more"], idle["position_seen"], idle["look_in"]) == (False, None, 1.0)
    await apply(connection, "two", 9)
    assert await positions(connection) == [3]
    await connection.execute(
        "SELECT eventstore.projection_register_v1('one', 2, '{}', '{t}', 'g', 1)"
    )
    await apply(connection, "one", 4)
    await connection.execute("DELETE FROM eventstore.projection_versions WHERE projection = 'two'")
    assert await positions(connection) == []
    await create(connection, after=["one"])
    assert await positions(connection) == [4]


@pytest.mark.parametrize(
    ("ordering", "freed"), [("stream", [[2], [4], [6]]), ("none", [[2, 4, 6]])]
)
async def test_a_stream_that_is_parked_in_the_projection_is_held_and_fills_no_buffer(
    store: EventStore, connection: Pg, ordering: str, freed: list[list[int]]
) -> None:
    await append(store, "bad", "bad", "good", "bad", "good", "bad")
    await connection.execute(REGISTER, "one", 1, 1)
    await apply(connection, "one", 6)
    await park(connection, "bad", 1, 2)
    await create(connection, after=["one"], ordering=ordering, buffer=2)
    seen = []
    while got := await receive(connection):
        seen += [one.position for one in got]
        await ack(connection, *got)
    # The event before the one at which the projection has stopped is applied.
    assert sorted(seen) == [1, 3, 5]
    assert await counts(connection) == {"held": 3}
    await connection.execute("SELECT eventstore.retry_parked('one')")
    assert await positions(connection) == []  # about to be tried again
    await connection.execute("SELECT eventstore.projection_unpark_v1('one', 1, 'bad')")
    for expected in freed:
        got = await receive(connection)
        assert [one.position for one in got] == expected
        await ack(connection, *got)
    assert await counts(connection) == {}


async def test_without_ordering_only_what_comes_after_the_failure_stays_held(
    store: EventStore, connection: Pg
) -> None:
    await append(store, *["bad"] * 4)
    await connection.execute(REGISTER, "one", 1, 1)
    await apply(connection, "one", 4)
    await park(connection, "bad", 0, 1)
    await create(connection, after=["one"], ordering="none")
    assert await positions(connection) == []
    await connection.execute("DELETE FROM eventstore.projection_failures")
    await park(connection, "bad", 2, 3)
    assert await positions(connection) == [1, 2]
    assert await counts(connection) == {"in_flight": 2, "held": 2}
    await connection.execute("DELETE FROM eventstore.projection_failures")
    assert await positions(connection) == [3, 4]


async def test_a_member_finds_in_the_read_table_what_the_event_tells_of(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders(partitions=2)
    made.broken = True
    async with working(store, dsn, made.projection):
        await reached(connection, 0)
        await store.consumers.create("emails", after=["orders"])
        for n in range(5):
            receiving = store.consumers.receive("emails", wait=DEADLINE)
            waiting = asyncio.create_task(receiving)
            await store.append(f"order-{n}", EventData("Fragile" if n == 2 else "T"))
            if n == 2:
                await store.append("order-2", EventData("T"))
                await store.append("order-3", EventData("T"))
            [got] = await waiting
            assert got.event.stream_name in await rows(connection)
            assert got.event.stream_name != "order-2"
            await store.consumers.ack("emails", [got])
        made.broken = False
        await store.projections.retry("orders", "order-2")
        [first] = await store.consumers.receive("emails", wait=DEADLINE)
        assert (first.event.stream_name, first.event.revision) == ("order-2", 0)
        assert (await rows(connection))["order-2"] == 2
