"""Appends: expected revisions, several events, several streams, all or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    Appended,
    EventData,
    ExpectedRevision,
    InvalidInput,
    RevisionConflict,
)
from tests.fix_faces import Face

ONE = EventData("Placed", {"total": 12})


async def test_the_first_append_has_revision_0_and_position_1(face: Face) -> None:
    appended = await face.append("order-1", ONE)
    assert appended == Appended("order-1", 0, 0, 1, appended.event_ids)
    [event] = [e async for e in face.read_stream("order-1")]
    assert (event.position, event.stream_name, event.revision) == (1, "order-1", 0)
    assert str(event.event_id) == appended.event_ids[0]
    assert (event.event_type, event.data, event.metadata) == ("Placed", {"total": 12}, {})
    assert event.tags == []
    assert abs(datetime.now(UTC) - event.recorded_at) < timedelta(minutes=1)


async def test_several_events_are_stored_in_order_as_one(face: Face) -> None:
    await face.append("other", ONE)
    appended = await face.append("order-1", [EventData(f"E{n}", n) for n in range(100)])
    assert (appended.first_revision, appended.revision, appended.position) == (0, 99, 101)
    events = [e async for e in face.read_stream("order-1")]
    assert [(e.position, e.revision, e.data) for e in events] == [(n + 2, n, n) for n in range(100)]
    assert tuple(str(e.event_id) for e in events) == appended.event_ids
    assert len({e.recorded_at for e in events}) == 1


EXPECTATIONS: list[tuple[int, ExpectedRevision, bool]] = [
    (0, ANY, True),
    (0, NO_STREAM, True),
    (0, STREAM_EXISTS, False),
    (0, 0, False),
    (2, ANY, True),
    (2, NO_STREAM, False),
    (2, STREAM_EXISTS, True),
    (2, 0, False),
    (2, 1, True),
    (2, 2, False),
    (2, 2**63 - 1, False),
]


async def test_an_append_goes_ahead_if_the_stream_is_as_expected(
    face: Face, subtests: pytest.Subtests
) -> None:
    for n, (stored, expected, goes) in enumerate(EXPECTATIONS):
        with subtests.test(f"{stored} stored, expected {expected}"):
            stream = f"order-{n}"
            for _ in range(stored):
                await face.append(stream, ONE)
            head = (await face.head()).position
            if goes:
                appended = await face.append(stream, ONE, expected_revision=expected)
                assert appended.revision == stored
                continue
            with pytest.raises(RevisionConflict) as conflict:
                await face.append(stream, ONE, expected_revision=expected)
            assert conflict.value.facts == {
                "stream": stream,
                "expected_revision": expected if isinstance(expected, int) else expected.value,
                "current_revision": stored - 1 if stored else None,
            }
            assert (await face.head()).position == head


async def test_a_refused_append_leaves_no_gap(face: Face) -> None:
    await face.append("a", ONE)
    for _ in range(3):
        with pytest.raises(RevisionConflict):
            await face.append("a", [ONE] * 5, expected_revision=NO_STREAM)
    appended = await face.append("a", ONE)
    assert (appended.revision, appended.position) == (1, 2)


async def test_several_streams_are_stored_as_one(face: Face) -> None:
    await face.append("b", ONE)
    answers = await face.append_many(
        [
            Append("a", [EventData("A1"), EventData("A2")], NO_STREAM),
            Append("b", [EventData("B")], 0),
            Append("c", [EventData("C")]),
        ]
    )
    assert [tuple(a)[:4] for a in answers] == [("a", 0, 1, 3), ("b", 1, 1, 4), ("c", 0, 0, 5)]
    events = [e async for e in face.read(after=1)]
    assert [(e.stream_name, e.event_type) for e in events] == [
        ("a", "A1"), ("a", "A2"), ("b", "B"), ("c", "C")
    ]  # fmt: skip
    assert [str(e.event_id) for e in events] == [i for a in answers for i in a.event_ids]


async def test_one_wrong_expectation_refuses_all_streams(
    face: Face, subtests: pytest.Subtests
) -> None:
    for wrong in range(3):
        with subtests.test(str(wrong)):
            expectations: list[ExpectedRevision] = [ANY, ANY, ANY]
            expectations[wrong] = 7
            with pytest.raises(RevisionConflict) as conflict:
                await face.append_many(
                    [Append(f"s-{n}", [ONE], expected) for n, expected in enumerate(expectations)]
                )
            assert conflict.value.stream_name == f"s-{wrong}"
            assert (await face.head()).position == 0


async def test_of_several_wrong_expectations_the_first_is_reported(face: Face) -> None:
    with pytest.raises(RevisionConflict) as conflict:
        await face.append_many([Append("a", [ONE]), Append("b", [ONE], 1), Append("c", [ONE], 2)])
    assert (conflict.value.stream_name, conflict.value.expected_revision) == ("b", 1)


async def test_a_stream_may_be_named_again(face: Face) -> None:
    await face.append("a", ONE)
    answers = await face.append_many(
        [
            Append("a", [EventData("1"), EventData("2")], 0),
            Append("b", [EventData("3")], NO_STREAM),
            Append("a", [EventData("4")]),
            Append("b", [EventData("5")]),
            Append("a", [EventData("6")]),
        ]
    )
    assert [tuple(a)[:4] for a in answers] == [
        ("a", 1, 2, 3), ("b", 0, 0, 4), ("a", 3, 3, 5), ("b", 1, 1, 6), ("a", 4, 4, 7)
    ]  # fmt: skip
    events = [e async for e in face.read_stream("a", after=0)]
    assert [e.event_type for e in events] == ["1", "2", "4", "6"]


async def test_a_stream_named_again_must_expect_any(face: Face) -> None:
    with pytest.raises(InvalidInput, match="named twice"):
        await face.append_many([Append("a", [ONE], NO_STREAM), Append("a", [ONE], 0)])
    assert (await face.head()).position == 0


async def test_an_append_without_events_is_refused(face: Face) -> None:
    with pytest.raises(InvalidInput, match="at least one event"):
        await face.append("a", [])
    with pytest.raises(InvalidInput, match="at least one event"):
        await face.append_many([])


async def test_an_append_larger_than_a_batch_is_still_one(face: Face) -> None:
    appended = await face.append("a", [EventData("E", n) for n in range(2_500)])
    assert (appended.revision, appended.position) == (2_499, 2_500)
    assert [e.data async for e in face.read()] == list(range(2_500))
