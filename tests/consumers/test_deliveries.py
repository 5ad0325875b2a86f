"""Deliveries in SQL: order, buffer, leases, retries, parking and replay."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from eventstore import EventData, EventStore
from tests.consumers.groups import (
    EXPIRE,
    Got,
    ack,
    append,
    asked,
    counts,
    create,
    nack,
    positions,
    receive,
)
from tests.fix_database import Pg


async def test_another_query_holds_for_what_comes_after_the_checkpoint(
    connection: Pg, store: EventStore
) -> None:
    """As when a reactor gets a handler for another type."""
    for event_type in ("A", "B", "A", "B"):
        await store.append(f"{event_type}-1", EventData(event_type))
    await create(connection, query=json.dumps({"any_of": [{"types": ["A"]}]}), buffer=1)
    [first] = await receive(connection)
    assert first.position == 1
    assert not await create(connection, query=json.dumps({"any_of": [{}]}))
    await ack(connection, first)
    assert await positions(connection) == [2, 3]


async def test_a_group_is_made_once_and_keeps_its_ordering(connection: Pg) -> None:
    query = json.dumps({"any_of": [{"types": ["A"]}]})
    assert await create(connection, query=query)
    assert not await create(connection, query=query)
    assert not await create(connection, query=query, buffer=7, retries=0)
    row = await connection.fetchrow("SELECT * FROM eventstore.consumer_status")
    assert row is not None
    assert (row["buffer"], row["retries"], row["lease_seconds"]) == (7, 0, 30)
    with pytest.raises(asyncpg.PostgresError, match="another ordering"):
        await create(connection, query=query, ordering="none")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"query": "{}"}, "any_of"),
        ({"start": 1}, "0 to its head 0"),
        ({"after": ["none"]}, "there is no projection"),
        ({"ordering": "any"}, "ordering"),
        ({"buffer": 0}, "buffer"),
        ({"lease": 0}, "lease"),
        ({"retries": -1}, "retries"),
        ({"backoff": -1}, "backoff"),
    ],
    ids=str,
)
async def test_a_group_that_cannot_be_is_refused(
    connection: Pg, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(asyncpg.PostgresError, match=problem):
        await create(connection, **options)


async def test_events_of_the_query_are_delivered_whole_and_the_rest_is_passed_over(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a-1", "b-1", "a-2")
    await store.append("a-1", EventData("Other", [1], {"by": "me"}, tags=["x"]))
    await create(connection, query='{"any_of": [{"categories": ["a"]}]}')
    rows = await asked(connection, 2)
    assert [row["position"] for row in rows] == [1, 3]
    await ack(connection, *await receive(connection))
    assert await connection.fetchval("SELECT checkpoint FROM eventstore.consumer_groups") == 4
    await connection.execute(EXPIRE)
    for got in await receive(connection):
        await ack(connection, got)
    [row] = await asked(connection)
    [event] = [event async for event in store.read(after=3)]
    assert row["position"] == event.position
    assert (row["revision"], row["event_id"], row["event_type"]) == event[2:5]
    assert (row["data"], row["metadata"], row["tags"]) == ("[1]", '{"by": "me"}', ["x"])
    assert row["recorded_at"] == event.recorded_at


@pytest.mark.parametrize(("start", "first"), [(0, 1), (2, 3), (None, None)])
async def test_a_group_starts_where_it_is_told(
    store: EventStore, connection: Pg, start: int | None, first: int | None
) -> None:
    await append(store, "a", "b", "c")
    await create(connection, start=start)
    assert (await positions(connection, 1)) == ([] if first is None else [first])
    await append(store, "d")
    assert 4 in await positions(connection)


async def test_an_event_waits_for_the_earlier_ones_of_its_stream(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a", "b", "a")
    await create(connection)
    one, other = await receive(connection)
    assert (one.position, other.position) == (1, 3)
    assert await positions(connection) == []
    await ack(connection, other)
    assert await positions(connection) == []
    await append(store, "a", "b")
    assert await positions(connection) == [6]
    for position in (2, 4, 5):
        assert await ack(connection, one) == (1, [])
        [one] = await receive(connection)
        assert one.position == position
    await ack(connection, one)
    assert await counts(connection) == {"in_flight": 1}


async def test_without_ordering_everything_is_delivered_at_once(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a", "b", "a")
    await create(connection, ordering="none")
    got = await receive(connection)
    assert [one.position for one in got] == [1, 2, 3, 4]
    assert await ack(connection, *got) == (4, [])
    assert await counts(connection) == {}


async def test_never_more_wait_than_the_buffer_takes(store: EventStore, connection: Pg) -> None:
    await append(store, *[f"s-{n}" for n in range(12)])
    await create(connection, buffer=3)
    first = await receive(connection, 1)
    assert await counts(connection) == {"in_flight": 1, "buffered": 2}
    more = await receive(connection, 10)
    assert len(more) == 3
    assert await receive(connection, 2) != []
    assert await counts(connection) == {"in_flight": 6, "buffered": 1}
    # What comes back takes no place of its own, and nothing new is taken while it is there.
    await nack(connection, *first, *more)
    assert await counts(connection) == {"in_flight": 2, "buffered": 1, "returned": 4}
    assert [one.position for one in await receive(connection, 5)] == [1, 2, 3, 4, 7]
    assert await connection.fetchval("SELECT checkpoint FROM eventstore.consumer_groups") == 7


async def test_a_lease_that_ran_out_frees_the_event_and_the_late_ack_is_lost(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a")
    await create(connection)
    [late] = await receive(connection, member="stopped")
    await connection.execute(EXPIRE)
    [again] = await receive(connection, member="other")
    assert (again.position, again.attempt) == (1, 2)
    assert await ack(connection, late) == (0, [f"1-{late.lease}"])
    assert await nack(connection, late) == (0, 0, [f"1-{late.lease}"])
    assert await positions(connection) == []
    assert await ack(connection, again, late) == (1, [f"1-{late.lease}"])
    assert await ack(connection, again) == (0, [f"1-{again.lease}"])
    assert await positions(connection) == [2]


async def test_what_a_member_has_not_settled_in_time_is_not_with_it_any_more(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "b", "c")
    await create(connection)
    await receive(connection, 2, member="dead")
    await connection.execute(EXPIRE)
    assert await counts(connection) == {"returned": 2, "buffered": 1}
    members = "SELECT members FROM eventstore.consumer_status"
    assert await connection.fetchval(members) == "{}"
    await receive(connection, 1, member="other")
    assert await counts(connection) == {"in_flight": 1, "returned": 1, "buffered": 1}
    assert json.loads(await connection.fetchval(members)) == {"other": 1}


async def test_a_lease_of_a_group_that_was_made_anew_is_nobodys(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a")
    await create(connection)
    [late] = await receive(connection, member="of the group before")
    assert await connection.fetchval("SELECT eventstore.delete_consumer('emails')")
    await create(connection)
    [got] = await receive(connection)
    assert await ack(connection, late) == (0, [f"1-{late.lease}"])
    assert await nack(connection, late, action="skip") == (0, 0, [f"1-{late.lease}"])
    assert await ack(connection, got) == (1, [])


@pytest.mark.parametrize("action", ["retry", "park", "skip", "release"])
async def test_what_no_member_has_cannot_be_settled(
    store: EventStore, connection: Pg, action: str
) -> None:
    """Whatever number is given for its lease."""
    await append(store, "a", "b", "c")
    await create(connection)
    parked, returned = await receive(connection, 2)
    await nack(connection, parked, action="park")
    await nack(connection, returned, delay=60)
    before = await connection.fetch("SELECT * FROM eventstore.deliveries ORDER BY position")
    found = [Got(one["position"], one["lease"], 0, "") for one in before]
    assert len(found) == 3
    lost = sorted(f"{one.position}-{one.lease}" for one in found)
    settled, of_them_parked, told = await nack(connection, *found, action=action)
    assert (settled, of_them_parked, sorted(told)) == (0, 0, lost)
    settled, told = await ack(connection, *found)
    assert (settled, sorted(told)) == (0, lost)
    assert await connection.fetch("SELECT * FROM eventstore.deliveries ORDER BY position") == before


async def test_a_delivery_that_is_named_twice_is_settled_once(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a")
    await create(connection)
    [got] = await receive(connection)
    assert await nack(connection, got, got, action="park") == (1, 1, [])


async def test_an_ack_after_the_end_of_a_lease_counts_if_nobody_else_came(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a")
    await create(connection)
    got = await receive(connection)
    await connection.execute(EXPIRE)
    assert await ack(connection, *got) == (1, [])


@pytest.mark.parametrize(("ordering", "holds"), [("stream", True), ("none", False)])
async def test_an_event_that_ends_its_members_is_parked(
    store: EventStore, connection: Pg, ordering: str, holds: bool
) -> None:
    await append(store, "a", "b")
    await create(connection, retries=2, ordering=ordering)
    for attempt in (1, 2, 3):
        got = await receive(connection, 1)
        assert [(one.position, one.attempt) for one in got] == [(1, attempt)]
        await connection.execute(EXPIRE)
    assert await positions(connection) == [2]
    parked = await connection.fetchrow("SELECT * FROM eventstore.parked")
    assert parked is not None
    assert (parked["position"], parked["attempts"], parked["holds_stream"]) == (1, 3, holds)
    assert parked["reason"] == "its lease ran out at attempt 3 of 3"
    assert parked["member"] == "m"


async def test_a_retry_waits_longer_each_time_and_then_the_stream_is_parked(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "b", "a")
    await create(connection, retries=3, backoff=10.0)
    delays = []
    for attempt in (1, 2, 3):
        [got] = [one for one in await receive(connection) if one.position == 1]
        assert got.attempt == attempt
        assert await nack(connection, got, delay=None, reason="no line") == (1, 0, [])
        assert await positions(connection) == []
        delays.append(
            await connection.fetchval(
                "WITH due AS (UPDATE eventstore.deliveries AS d SET available_at = 'epoch'"
                "  FROM eventstore.deliveries AS o WHERE d.position = 1 AND o.position = 1"
                "  RETURNING o.available_at)"
                " SELECT extract(epoch FROM available_at - now())::float FROM due"
            )
        )
    assert delays == [pytest.approx(seconds, abs=5) for seconds in (10, 20, 40)]
    [got] = await receive(connection)
    assert await nack(connection, got, delay=None, reason="no line") == (1, 1, [])
    assert await counts(connection) == {"in_flight": 1, "parked": 1, "held": 1}
    assert await connection.fetchval("SELECT reason FROM eventstore.parked") == "no line"


async def test_a_parked_stream_is_held_back_outside_of_the_buffer(
    store: EventStore, connection: Pg
) -> None:
    await append(store, *["hot"] * 6, "cold")
    await create(connection, buffer=3)
    [got] = await receive(connection)
    assert await nack(connection, got, action="park") == (1, 1, [])
    assert await positions(connection) == [7]
    assert await counts(connection) == {"parked": 1, "held": 5, "in_flight": 1}
    await append(store, "hot")
    assert await positions(connection) == []
    assert await connection.fetchval("SELECT held FROM eventstore.parked") == 6

    assert await connection.fetchval("SELECT eventstore.replay_parked('emails', 'cold')") == 0
    assert await connection.fetchval("SELECT eventstore.replay_parked('emails', 'hot')") == 1
    await append(store, "hot")
    for position in (1, 2, 3, 4, 5, 6, 8, 9):
        [got] = await receive(connection)
        assert (got.position, got.attempt) == (position, 1)
        await ack(connection, got)
    assert await counts(connection) == {"in_flight": 1}


async def test_what_is_dropped_lets_its_stream_go_on(store: EventStore, connection: Pg) -> None:
    await append(store, "a", "a", "b", "b")
    await create(connection)
    await nack(connection, *await receive(connection), action="park")
    with pytest.raises(asyncpg.PostgresError, match="named"):
        await connection.execute("SELECT eventstore.drop_parked('emails')")
    drop = "SELECT eventstore.drop_parked('emails', positions => $1)"
    assert await connection.fetchval(drop, [2, 4]) == 0
    assert await connection.fetchval(drop, [1]) == 1
    assert await positions(connection) == [2]
    assert await connection.fetchval("SELECT eventstore.drop_parked('emails', 'b')") == 1
    assert await positions(connection) == [4]
    assert await counts(connection) == {"in_flight": 2}


async def test_an_event_parked_alone_lets_its_stream_go_on_and_is_replayed_in_its_place(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a", "a")
    await create(connection)
    await nack(connection, *await receive(connection), action="park_event")
    [second] = await receive(connection)
    assert second.position == 2
    assert await connection.fetchval("SELECT holds_stream FROM eventstore.parked") is False
    await ack(connection, second)
    # The third is free now, but the first comes before it again.
    assert await connection.fetchval("SELECT eventstore.replay_parked('emails')") == 1
    for position in (1, 3):
        [got] = await receive(connection)
        assert (got.position, got.attempt) == (position, 1)
        await ack(connection, got)


@pytest.mark.parametrize("given_back", [True, False])
async def test_what_is_in_flight_when_an_earlier_event_is_replayed_comes_again_after_it(
    store: EventStore, connection: Pg, given_back: bool
) -> None:
    await append(store, "a", "a")
    await create(connection)
    await nack(connection, *await receive(connection), action="park_event")
    [second] = await receive(connection)
    assert await connection.fetchval("SELECT eventstore.replay_parked('emails')") == 1
    [first] = await receive(connection)
    assert first.position == 1
    if given_back:
        await nack(connection, second)
    else:
        await connection.execute(EXPIRE + " AND position = 2")
    assert await positions(connection) == []  # the first is not settled
    await ack(connection, first)
    assert await positions(connection) == [2]


async def test_without_ordering_a_stream_can_be_parked_too(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "b", "a", "a")
    await create(connection, ordering="none")
    first, _ = await receive(connection, 2)
    await nack(connection, first, action="park_stream")
    await append(store, "a")
    assert await positions(connection) == []
    assert await counts(connection) == {"parked": 1, "in_flight": 1, "held": 3}
    await connection.execute("SELECT eventstore.replay_parked('emails')")
    assert await positions(connection) == [1, 3, 4, 5]
    await connection.execute(EXPIRE)
    got = await receive(connection)
    assert [one.position for one in got] == [1, 2, 3, 4, 5]
    assert await ack(connection, *got) == (5, [])


async def test_skip_leaves_out_and_release_gives_back_uncounted(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a")
    await create(connection, retries=0)
    [got] = await receive(connection)
    for _ in range(3):
        assert await nack(connection, got, action="release", reason=None) == (1, 0, [])
        assert await nack(connection, got, action="release") == (0, 0, [f"1-{got.lease}"])
        [got] = await receive(connection)
        assert (got.position, got.attempt) == (1, 1)
    assert await nack(connection, got, action="skip") == (1, 0, [])
    assert await positions(connection) == [2]
    with pytest.raises(asyncpg.PostgresError, match="unknown action"):
        await nack(connection, got, action="throw")


async def test_what_is_left_to_do_is_told_with_an_empty_answer(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a", "a")
    await create(connection, buffer=2, lease=50.0)
    got = await receive(connection)
    [idle] = await asked(connection)
    assert (idle["more"], idle["position_seen"]) == (False, None)  # no new event would be taken
    assert idle["look_in"] == 1.0  # somebody else's ack may free what is behind
    await nack(connection, *got, delay=20)
    [idle] = await asked(connection)
    assert idle["look_in"] == pytest.approx(20, abs=5)
    await create(connection, "head", start=None)
    [idle] = await asked(connection, name="head")
    assert tuple(idle)[:3] == (False, None, 3)


async def test_a_receive_with_nothing_to_do_writes_nothing(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "a")
    await create(connection)
    for _ in range(2):  # with something in flight and behind it, and with nothing at all
        got = await receive(connection)
        async with connection.transaction():
            assert await receive(connection) == []
            assigned = await connection.fetchval("SELECT pg_current_xact_id_if_assigned()")
        assert assigned is None
        await ack(connection, *got)


async def test_a_large_gap_is_passed_over_in_steps(store: EventStore, connection: Pg) -> None:
    await store.append("noise", [EventData("N")] * 10_000)
    await store.append("noise", [EventData("N")] * 500)
    await append(store, "a")
    await create(connection, query='{"any_of": [{"types": ["T"]}]}')
    [first] = await asked(connection)
    assert (first["position"], first["more"]) == (None, True)
    assert await positions(connection) == [10_501]


@pytest.mark.parametrize(
    "text",
    ["".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(300_000)), "x" * 900_000],
    ids=["as it is", "compressed"],
)
async def test_a_receive_takes_some_megabytes_at_most(
    store: EventStore, connection: Pg, text: str
) -> None:
    for n in range(9):
        await store.append(f"s-{n}", EventData("Large", {"text": text}))
    await create(connection)
    sizes = []
    while got := await receive(connection):
        sizes.append(len(got))
    assert sizes == [5, 4]


async def test_a_rewound_log_is_refused_until_the_group_is_made_anew(
    store: EventStore, connection: Pg
) -> None:
    await append(store, "a", "b")
    await create(connection)
    await create(connection, "ahead")
    got = await receive(connection, 1)
    await receive(connection, name="ahead")
    await connection.execute(
        "UPDATE eventstore.consumer_groups SET checkpoint = 9 WHERE consumer_group = 'ahead'"
    )
    assert await connection.fetchval("SELECT eventstore.begin_epoch()") == 2
    assert await ack(connection, *got) == (1, [])
    assert await positions(connection) == [2]
    with pytest.raises(asyncpg.PostgresError, match="position 9 of epoch 1") as refused:
        await receive(connection, name="ahead")
    assert refused.value.sqlstate == "ST012"
    assert json.loads(refused.value.detail or "") == {
        "position": 9,
        "epoch": 1,
        "head": 2,
        "current_epoch": 2,
    }
    assert await connection.fetchval("SELECT eventstore.delete_consumer('ahead')")
    await create(connection, "ahead")
    assert await positions(connection, name="ahead") == [1, 2]


async def test_what_is_not_there_is_said(connection: Pg) -> None:
    for statement in (
        "SELECT eventstore.consumer_receive_v1('none', 1, 'm')",
        "SELECT eventstore.consumer_ack_v1('none', '{1}', '{1}')",
        "SELECT eventstore.consumer_nack_v1('none', '{1}', '{1}')",
        "SELECT eventstore.replay_parked('none')",
        "SELECT eventstore.drop_parked('none', 'a')",
    ):
        with pytest.raises(asyncpg.PostgresError, match="there is no consumer group") as refused:
            await connection.execute(statement)
        assert refused.value.sqlstate == "ST008"
    assert await connection.fetchval("SELECT eventstore.delete_consumer('none')") is False
