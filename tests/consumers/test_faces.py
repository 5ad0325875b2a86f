"""Consumer groups through every face: the same groups, deliveries, answers and errors."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from eventstore import (
    ConsumerRefused,
    Delivery,
    EventData,
    EventQuery,
    EventStore,
    HistoryRewound,
    InvalidInput,
    NotFound,
    Settled,
)
from tests.consumers.groups import EXPIRE
from tests.fix_database import Pg
from tests.fix_faces import Face
from tests.fix_waiting import DEADLINE


async def test_a_group_is_made_changed_listed_and_deleted(face: Face) -> None:
    query = EventQuery(types=["A"]) | EventQuery(tags=["ü"])
    assert await face.consumers.create("emails", query, ordering="none", lease=2.5)
    assert not await face.consumers.create("emails", query, ordering="none", buffer=7)
    await face.consumers.create("audit", start="head")
    status = await face.consumers.get("emails")
    assert (status.query, status.ordering, status.buffer) == (query, "none", 7)
    assert (status.lease, status.checkpoint, status.after) == (30, 0, ())
    assert [one.name for one in await face.consumers.all()] == ["audit", "emails"]
    assert status in await face.consumers.all()
    with pytest.raises(ConsumerRefused, match="another ordering"):
        await face.consumers.create("emails", query)
    await face.consumers.delete("emails")
    with pytest.raises(NotFound):
        await face.consumers.delete("emails")
    assert [one.name for one in await face.consumers.all()] == ["audit"]


async def test_what_is_received_is_the_event_and_its_lease(
    face: Face, store: EventStore, connection: Pg
) -> None:
    big = 10**29 + 1
    await store.append("a/ü", [EventData("T", {"n": big}, {"by": "me"}, tags=["x"])] * 2)
    await store.append("b", EventData("T"))
    await face.consumers.create("emails")
    first, second = await face.consumers.receive("emails", 2, member="one")
    assert isinstance(first, Delivery)
    events = [event async for event in store.read()]
    assert (first.event, second.event) == (events[0], events[2])
    assert first.event.data["n"] == big
    assert first.attempt == 1
    assert first.leased_until == await connection.fetchval(
        "SELECT available_at FROM eventstore.deliveries WHERE position = 1"
    )
    status = await face.consumers.get("emails")
    assert (status.in_flight, status.buffered, status.members) == (2, 1, {"one": 2})
    assert await face.consumers.receive("emails") == []
    assert await face.consumers.ack("emails", [first, second]) == Settled(2, 0, ())
    assert await face.consumers.ack("emails", [first.id]) == Settled(0, 0, (first.id,))
    [third] = await face.consumers.receive("emails")
    assert third.event == events[1]


async def test_what_is_not_done_is_retried_parked_skipped_or_released(
    face: Face, store: EventStore
) -> None:
    await store.append("a", [EventData("T")] * 2)
    await store.append("b", EventData("T"))
    await face.consumers.create("emails", retries=1, backoff=0)
    for attempt in (1, 2):
        first, second = await face.consumers.receive("emails")
        assert (first.attempt, second.attempt) == (attempt, 1)
        told = await face.consumers.nack("emails", [first], reason="no ü line")
        assert told == Settled(1, attempt - 1, ())
        assert await face.consumers.nack("emails", [second], "release") == Settled(1, 0, ())
    [second] = await face.consumers.receive("emails")
    await face.consumers.nack("emails", [second], "park_event", reason="odd")
    one, other = await face.consumers.parked("emails")
    assert (one.position, one.stream_name, one.revision, one.event_type) == (1, "a", 0, "T")
    assert (one.reason, one.attempts, one.held) == ("no ü line", 2, 1)
    assert (other.reason, other.held) == ("odd", None)
    assert await face.consumers.parked("emails", limit=1) == [one]

    assert await face.consumers.replay("emails", positions=[3]) == 1
    [second] = await face.consumers.receive("emails")
    assert await face.consumers.nack("emails", [second], "skip") == Settled(1, 0, ())
    assert await face.consumers.drop("emails", "a") == 1
    [behind] = await face.consumers.receive("emails")
    assert behind.event.position == 2
    await face.consumers.nack("emails", [behind], "park")
    assert await face.consumers.replay("emails") == 1
    assert await face.consumers.replay("emails", "a") == 0
    [behind] = await face.consumers.receive("emails")
    await face.consumers.nack("emails", [behind], delay=60)
    assert await face.consumers.receive("emails") == []
    assert (await face.consumers.get("emails")).returned == 1


async def test_a_receive_that_waits_is_woken_by_an_append(face: Face, store: EventStore) -> None:
    await face.consumers.create("emails", EventQuery(types=["A"]))
    waiting = asyncio.create_task(face.consumers.receive("emails", wait=DEADLINE))
    await store.append("a", [EventData("B"), EventData("A")])
    [got] = await waiting
    assert got.event.position == 2


async def test_a_receive_that_waits_in_vain_gives_nothing(face: Face) -> None:
    await face.consumers.create("emails")
    assert await face.consumers.receive("emails", wait=0.05) == []


async def test_what_cannot_be_is_refused(face: Face) -> None:
    await face.consumers.create("emails")
    refused: list[Any] = [
        face.consumers.create("Emails!"),
        face.consumers.create("x", start=7),
        face.consumers.create("x", start=-1),
        face.consumers.create("x", after=["none"]),
        face.consumers.create("x", after=["No"]),
        face.consumers.create("x", after="orders"),
        face.consumers.create("x", ordering="any"),  # type: ignore[arg-type]
        face.consumers.create("x", buffer=0),
        face.consumers.create("x", lease=0),
        face.consumers.create("x", retries=-1),
        face.consumers.create("x", backoff=-1),
        face.consumers.receive("emails", 0),
        face.consumers.receive("emails", 1_001),
        face.consumers.ack("emails", []),
        face.consumers.ack("emails", ["1"]),
        face.consumers.ack("emails", ["9" * 19 + "-1"]),
        face.consumers.nack("emails", ["1-1"], "throw"),  # type: ignore[arg-type]
        face.consumers.nack("emails", ["1-1"], delay=-1),
        face.consumers.parked("emails", limit=0),
        face.consumers.drop("emails"),
    ]
    for ask in refused:
        with pytest.raises(InvalidInput):
            await ask
    assert [one.name for one in await face.consumers.all()] == ["emails"]


async def test_what_is_not_there_is_not_found(face: Face) -> None:
    for name in ("none", "No one/ü"):
        for ask in (
            face.consumers.get(name),
            face.consumers.delete(name),
            face.consumers.receive(name),
            face.consumers.ack(name, ["1-1"]),
            face.consumers.nack(name, ["1-1"]),
            face.consumers.parked(name),
            face.consumers.replay(name),
            face.consumers.drop(name, "a"),
        ):
            with pytest.raises(NotFound, match="there is no consumer group"):
                await ask


async def test_a_rewound_log_is_told(face: Face, store: EventStore, connection: Pg) -> None:
    await face.consumers.create("emails")
    await connection.execute("UPDATE eventstore.consumer_groups SET checkpoint = 9")
    await connection.execute("SELECT eventstore.begin_epoch()")
    with pytest.raises(HistoryRewound) as told:
        await face.consumers.receive("emails")
    assert (told.value.position, told.value.epoch) == (9, 1)
    assert (told.value.head, told.value.current_epoch) == (0, 2)


async def test_a_member_loops_over_deliveries_and_gives_back_what_it_has_not_settled(
    face: Face, store: EventStore, connection: Pg
) -> None:
    for stream in "abcd":
        await store.append(stream, EventData("T"))
    await face.consumers.create("emails", retries=0)
    async with face.consume("emails", max=3, member="one") as deliveries:
        async for delivery in deliveries:
            if delivery.event.stream_name == "a":
                assert await delivery.ack()
                assert not await delivery.ack()
            elif delivery.event.stream_name == "b":
                assert await delivery.nack("park", reason="why")
                break
        assert (await face.consumers.get("emails")).members == {"one": 1}
    status = await face.consumers.get("emails")
    assert (status.in_flight, status.returned, status.parked) == (0, 1, 1)
    third, fourth = await face.consumers.receive("emails")
    assert (third.event.stream_name, third.attempt) == ("c", 1)
    assert fourth.event.stream_name == "d"

    await connection.execute(EXPIRE)
    async with face.consume("emails") as deliveries:
        await store.append("e", EventData("T"))
        async for delivery in deliveries:
            assert delivery.event.stream_name == "e"
            break
    assert {one.stream_name for one in await face.consumers.parked("emails")} == {"b", "c", "d"}
    with pytest.raises(NotFound):
        async with face.consume("none"):
            pass


async def test_a_member_does_not_come_to_what_others_have_by_now(
    face: Face, store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], sleep=time.sleep)
    monkeypatch.setattr("eventstore.member.time", clock)
    for stream in "abcd":
        await store.append(stream, EventData("T"))
    await face.consumers.create("emails", lease=30)
    async with face.consume("emails", max=3) as deliveries:
        seen = []
        async for delivery in deliveries:
            seen.append((delivery.event.stream_name, delivery.attempt))
            if len(seen) == 1:  # takes as long as the lease: another member is given the second
                passed[0] += 30
                await connection.execute(EXPIRE + " AND position = 2")
                [taken] = await store.consumers.receive("emails", 1)
                assert taken.event.stream_name == "b"
            assert await delivery.ack()
            if len(seen) == 3:
                break
    assert seen == [("a", 1), ("c", 1), ("d", 1)]


async def test_a_lease_that_is_renewed_begins_anew(
    face: Face, store: EventStore, connection: Pg
) -> None:
    await store.append("a", EventData("T"))
    await store.append("b", EventData("T"))
    await face.consumers.create("emails", lease=30)
    first, second = await face.consumers.receive("emails")
    await connection.execute(EXPIRE)
    assert await face.consumers.renew("emails", [first]) == Settled(1, 0, ())
    [again] = await face.consumers.receive("emails")
    assert again.event == second.event
    assert await face.consumers.renew("emails", [first, second.id]) == Settled(1, 0, (second.id,))
    assert (await face.consumers.ack("emails", [first])).settled == 1
