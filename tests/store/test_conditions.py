"""Append conditions: nothing matching this query after this position."""

from __future__ import annotations

import pytest

from eventstore import (
    NO_STREAM,
    Append,
    AppendCondition,
    ConditionFailed,
    EventData,
    EventQuery,
    EventStore,
    RevisionConflict,
)
from tests.fix_faces import Face

SEAT = EventData("SeatBooked", tags=["flight:7", "seat:12A"])


async def seed(face: Face) -> None:
    """Positions 1 to 4."""
    await face.append("flight-7", SEAT)
    await face.append("flight-7", EventData("SeatBooked", tags=["flight:7", "seat:12B"]))
    await face.append("passenger-1", EventData("Registered", tags=["passenger:1"]))
    await face.append("flight-7", EventData("SeatFreed", tags=["flight:7", "seat:12A"]))


@pytest.mark.parametrize(
    ("query", "after", "failing_at"),
    [
        (EventQuery(types=["SeatBooked"]), 0, 1),
        (EventQuery(types=["SeatBooked"]), 1, 2),
        (EventQuery(types=["SeatBooked"]), 2, None),
        (EventQuery(types=["Other", "SeatFreed"]), 0, 4),
        (EventQuery(types=["Other"]), 0, None),
        (EventQuery(tags=["seat:12A"]), 0, 1),
        (EventQuery(tags=["seat:12A"]), 1, 4),
        (EventQuery(tags=["seat:12A"]), 4, None),
        (EventQuery(tags=["flight:7", "seat:12B"]), 0, 2),
        (EventQuery(tags=["flight:8", "seat:12B"]), 0, None),
        (EventQuery(tags=["seat:12A"], types=["SeatFreed"]), 0, 4),
        (EventQuery(tags=["seat:12B"], types=["SeatFreed"]), 0, None),
        (EventQuery(categories=["passenger"]), 0, 3),
        (EventQuery(categories=["flight"]), 3, 4),
        (EventQuery(categories=["flight-7"]), 0, None),
        (EventQuery(streams=["passenger-1"]), 0, 3),
        (EventQuery(streams=["passenger-2"]), 0, None),
        (EventQuery(streams=["flight-7"], types=["SeatFreed"]), 0, 4),
        (EventQuery(), 0, 1),
        (EventQuery(), 3, 4),
        (EventQuery(), 4, None),
        (EventQuery(types=["Other"]) | EventQuery(tags=["passenger:1"]), 0, 3),
        (EventQuery(types=["Other"]) | EventQuery(tags=["passenger:2"]), 0, None),
        (EventQuery(types=["Other"]) | EventQuery(), 0, 1),
        (EventQuery(types=["SeatBooked"]), 2**63 - 1, None),
    ],
    ids=lambda value: value.to_json() if isinstance(value, EventQuery) else str(value),
)
async def test_a_condition_is_compared_with_what_was_stored_after_it(
    store: EventStore, query: EventQuery, after: int, failing_at: int | None
) -> None:
    await seed(store)
    append = Append("flight-7", [SEAT])
    if failing_at is None:
        [appended] = await store.append_many([append], condition=AppendCondition(query, after))
        assert appended.position == 5
    else:
        with pytest.raises(ConditionFailed) as failed:
            await store.append_many([append], condition=AppendCondition(query, after))
        assert failed.value.facts == {"position": failing_at}
        assert (await store.head()).position == 4


async def test_a_failed_condition_refuses_every_stream(face: Face) -> None:
    await seed(face)
    with pytest.raises(ConditionFailed):
        await face.append_many(
            [Append("a", [SEAT]), Append("b", [SEAT])],
            condition=AppendCondition(EventQuery(tags=["passenger:1"])),
        )
    assert (await face.head()).position == 4


async def test_an_append_does_not_fail_its_own_condition(face: Face) -> None:
    condition = AppendCondition(EventQuery(tags=["seat:12A"]))
    answers = await face.append_many(
        [Append("a", [SEAT, SEAT]), Append("b", [SEAT])], condition=condition
    )
    assert answers[-1].position == 3
    with pytest.raises(ConditionFailed):
        await face.append_many([Append("a", [SEAT])], condition=condition)


async def test_a_condition_and_an_expected_revision_must_both_hold(face: Face) -> None:
    await seed(face)
    holds = AppendCondition(EventQuery(tags=["seat:1A"]))
    fails = AppendCondition(EventQuery(tags=["seat:12A"]))
    with pytest.raises(RevisionConflict):
        await face.append_many([Append("flight-7", [SEAT], NO_STREAM)], condition=holds)
    with pytest.raises(ConditionFailed):
        await face.append_many([Append("flight-7", [SEAT], 2)], condition=fails)
    [appended] = await face.append_many([Append("flight-7", [SEAT], 2)], condition=holds)
    assert (appended.revision, appended.position) == (3, 5)


async def test_a_decision_is_made_again_on_what_its_condition_missed(face: Face) -> None:
    await seed(face)
    query = EventQuery(tags=["flight:7"])
    seen = [event.position async for event in face.read(query)][-1]
    await face.append("flight-7", SEAT)
    with pytest.raises(ConditionFailed) as failed:
        await face.append_many([Append("f", [SEAT])], condition=AppendCondition(query, seen))
    [missed] = [event.position async for event in face.read(query, after=seen)]
    assert failed.value.position == missed
    await face.append_many([Append("f", [SEAT])], condition=AppendCondition(query, missed))
