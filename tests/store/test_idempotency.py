"""Exact retries: the same ids or key give the first answer again, and store nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import product

import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    AppendCondition,
    Appended,
    DuplicateEventId,
    EventData,
    EventQuery,
    ExpectedRevision,
    IdempotencyConflict,
)
from tests.fix_faces import Face

Appending = Awaitable[Appended]


def with_ids(*ids: uuid.UUID) -> list[EventData]:
    return [EventData("Placed", {"n": n}, event_id=i) for n, i in enumerate(ids)]


def new_ids(count: int) -> list[uuid.UUID]:
    return [uuid.uuid4() for _ in range(count)]


def replay(first: Appended) -> Appended:
    return first._replace(replayed=True)


EXPECTATIONS: list[tuple[ExpectedRevision, int]] = [
    (ANY, 0), (ANY, 2), (NO_STREAM, 0), (STREAM_EXISTS, 2), (1, 2)
]  # fmt: skip


async def assert_exact_retry(
    face: Face, stream: str, events: int, before: int, later: int, append: Callable[[], Appending]
) -> None:
    """Append between other appends to the same stream and another one, and once more."""
    for _ in range(before):
        await face.append(stream, EventData("Earlier"))
    head = (await face.head()).position
    first = await append()
    assert not first.replayed
    for n in range(later):
        await face.append([stream, "other"][n % 2], EventData("Later"))
    assert await append() == replay(first)
    assert (await face.head()).position == head + events + later


async def test_a_retry_by_ids_gives_the_first_answer(face: Face, subtests: pytest.Subtests) -> None:
    for (expected, before), later in product(EXPECTATIONS, (0, 3)):
        stream = f"{expected}-{before}-{later}"
        with subtests.test(stream):
            events = with_ids(*new_ids(3))
            append = partial(face.append, stream, events, expected_revision=expected)
            await assert_exact_retry(face, stream, 3, before, later, append)


async def test_a_retry_by_key_gives_the_first_answer(face: Face, subtests: pytest.Subtests) -> None:
    events = [EventData("A"), EventData("B")]
    for (expected, before), later in product(EXPECTATIONS, (0, 3)):
        stream = f"{expected}-{before}-{later}"
        with subtests.test(stream):
            append = partial(
                face.append, stream, events, expected_revision=expected, idempotency_key="key"
            )
            await assert_exact_retry(face, stream, 2, before, later, append)


async def test_a_key_is_for_one_stream(face: Face) -> None:
    first = await face.append("order-1", EventData("A"), idempotency_key="key")
    second = await face.append("order-2", EventData("A"), idempotency_key="key")
    assert not second.replayed
    assert first.event_ids != second.event_ids


async def test_a_retry_of_several_streams_gives_every_first_answer(face: Face) -> None:
    ids = new_ids(4)
    appends = [
        Append("a", with_ids(*ids[:2]), NO_STREAM),
        Append("b", with_ids(ids[2]), NO_STREAM),
        Append("a", with_ids(ids[3])),
    ]
    first = await face.append_many(appends)
    await face.append("a", EventData("Later"))
    assert await face.append_many(appends) == tuple(map(replay, first))
    assert (await face.head()).position == 5


async def test_a_retry_does_not_ask_its_condition_again(face: Face) -> None:
    condition = AppendCondition(EventQuery(types=["Placed"]))
    appends = [Append("a", with_ids(*new_ids(1)))]
    [first] = await face.append_many(appends, condition=condition)
    await face.append("b", EventData("Placed"))
    assert await face.append_many(appends, condition=condition) == (replay(first),)


async def test_twenty_copies_at_once_store_one(face: Face) -> None:
    events = with_ids(*new_ids(2))
    answers = await asyncio.gather(*[face.append("order-1", events) for _ in range(20)])
    [stored] = [answer for answer in answers if not answer.replayed]
    assert [a for a in answers if a.replayed] == [replay(stored)] * 19
    assert (await face.head()).position == 2


async def test_twenty_copies_at_once_among_others_store_one(face: Face) -> None:
    copies = [face.append("order-1", EventData("A"), idempotency_key="k") for _ in range(20)]
    others = [face.append("order-1", EventData("B")) for _ in range(20)]
    answers = await asyncio.gather(*copies, *others)
    assert len({answer[:5] for answer in answers}) == 21
    assert sum(answer.replayed for answer in answers) == 19
    assert (await face.head()).position == 21


async def test_ids_that_are_partly_stored_are_refused(face: Face) -> None:
    stored, new, *_ = ids = new_ids(4)
    await face.append("order-0", EventData("Earlier"))
    await face.append("order-1", with_ids(stored, ids[2]))
    for events in (with_ids(stored, new), with_ids(new, stored), with_ids(*ids)):
        with pytest.raises(DuplicateEventId) as refused:
            await face.append("order-1", events)
        assert refused.value.facts == {
            "event_id": str(stored), "stream": "order-1", "position": 2
        }  # fmt: skip
    assert (await face.head()).position == 3


async def test_ids_stored_in_another_stream_or_order_are_refused(face: Face) -> None:
    a, b, c = ids = new_ids(3)
    await face.append("order-1", with_ids(*ids))
    for stream, events in [
        ("order-2", with_ids(*ids)),
        ("order-1", with_ids(b, a)),
        ("order-1", with_ids(a, c)),
        ("order-1", with_ids(c, b, a)),
    ]:
        with pytest.raises(DuplicateEventId):
            await face.append(stream, events)
    assert (await face.head()).position == 3


PLACED = EventData("Placed", {"n": 1}, tags=["a", "b"])
OTHER: dict[str, list[EventData]] = {
    "another type": [replace(PLACED, event_type="Paid")],
    "other data": [replace(PLACED, data={"n": 2})],
    "other tags": [replace(PLACED, tags=["a"])],
    "more events": [PLACED, PLACED],
}


async def test_a_retry_with_other_content_is_told_so_and_stores_nothing(
    face: Face, subtests: pytest.Subtests
) -> None:
    [event_id] = new_ids(1)
    await face.append("by-key", PLACED, idempotency_key="k")
    await face.append("by-id", replace(PLACED, event_id=event_id))
    for name, events in OTHER.items():
        with subtests.test(name, by="key"):
            with pytest.raises(IdempotencyConflict) as refused:
                await face.append("by-key", events, idempotency_key="k")
            assert (refused.value.stream_name, refused.value.position) == ("by-key", 1)
        if len(events) == 1:
            with subtests.test(name, by="id"):
                with pytest.raises(IdempotencyConflict) as refused:
                    await face.append("by-id", replace(events[0], event_id=event_id))
                assert refused.value.facts == {
                    "event_id": str(event_id), "stream": "by-id", "position": 2
                }  # fmt: skip
    assert (await face.head()).position == 2


async def test_a_retry_with_fewer_events_under_its_key_is_told_so(face: Face) -> None:
    await face.append("a", [PLACED, PLACED], idempotency_key="k")
    with pytest.raises(IdempotencyConflict) as refused:
        await face.append("a", PLACED, idempotency_key="k")
    assert refused.value.position == 2
    assert (await face.head()).position == 2


async def test_a_retry_may_carry_other_metadata_and_its_tags_in_another_order(face: Face) -> None:
    first = await face.append("a", PLACED, idempotency_key="k")
    again = replace(PLACED, metadata={"trace": 2}, tags=["b", "a", "b"])
    assert await face.append("a", again, idempotency_key="k") == replay(first)


async def test_streams_in_another_order_are_the_same_append(face: Face) -> None:
    appends = [Append("a", [PLACED, PLACED]), Append("b", PLACED), Append("c", PLACED)]
    first = await face.append_many(appends, idempotency_key="k")
    again = await face.append_many(appends[::-1], idempotency_key="k")
    assert again == tuple(map(replay, first[::-1]))
    assert (await face.head()).position == 4


async def test_one_stored_id_refuses_every_stream_of_an_append(face: Face) -> None:
    stored, new = new_ids(2)
    await face.append("a", with_ids(stored))
    with pytest.raises(DuplicateEventId) as refused:
        await face.append_many([Append("b", with_ids(new)), Append("a", with_ids(stored))])
    assert refused.value.stream_name == "a"
    assert await face.stream_head("b") is None


async def test_a_duplicate_id_is_reported_before_a_wrong_expectation(face: Face) -> None:
    stored, new = new_ids(2)
    await face.append("a", with_ids(stored))
    with pytest.raises(DuplicateEventId):
        await face.append("a", with_ids(stored, new), expected_revision=NO_STREAM)


async def test_a_longer_append_with_the_same_key_is_refused(face: Face) -> None:
    await face.append("a", EventData("A"), idempotency_key="k")
    with pytest.raises(DuplicateEventId):
        await face.append("a", [EventData("A"), EventData("B")], idempotency_key="k")
