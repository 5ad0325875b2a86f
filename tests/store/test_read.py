"""Reads: both directions, bounds, limits, pages, one event, heads."""

from __future__ import annotations

import uuid
from itertools import product
from typing import Any

import pytest

from eventstore import EventData, EventQuery, EventStore, InvalidInput, NotFound
from eventstore.core.reads import Direction, log_scan
from tests.fix_faces import Face


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every face read ten events a page."""
    monkeypatch.setattr("eventstore.reader.PAGE", 10)
    monkeypatch.setattr("eventstore.sync.PAGE", 10)


async def revisions(face: Face, **options: Any) -> list[int]:
    return [event.revision async for event in face.read_stream("a-1", **options)]


async def positions(face: Face, query: EventQuery | None = None, **options: Any) -> list[int]:
    return [event.position async for event in face.read(query, **options)]


def expected(
    numbers: range, after: int | None, before: int | None, direction: str, limit: int | None
) -> list[int]:
    """What a read is to give, by Python."""
    inside = [n for n in numbers if (after is None or n > after) and (before is None or n < before)]
    return (inside[::-1] if direction == "backward" else inside)[:limit]


BOUNDS = [(None, None), (0, None), (4, None), (None, 3), (1, 5), (3, 4), (5, 1), (9, None), (0, 0)]


async def test_a_read_keeps_its_bounds_and_limit(face: Face, subtests: pytest.Subtests) -> None:
    await face.append("a-1", [EventData("T")] * 6)
    for (after, before), direction, limit in product(
        BOUNDS, ("forward", "backward"), (None, 0, 1, 3, 100)
    ):
        options = {"after": after, "before": before, "direction": direction, "limit": limit}
        with subtests.test(str(options)):
            given = (after, before, direction, limit)
            assert await revisions(face, **options) == expected(range(6), *given)
            for query in (None, EventQuery(categories=["a"]), EventQuery(types=["T"])):
                assert await positions(face, query, **options) == expected(range(1, 7), *given)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_a_read_of_many_pages_is_complete_and_in_order(
    face: Face, direction: Direction
) -> None:
    for _ in range(2):
        await face.append("a-1", [EventData("T", tags=["t"])] * 25)
        await face.append("b-1", [EventData("T")] * 10)
    ordered = slice(None, None, -1 if direction == "backward" else 1)
    of_a = [*range(1, 26), *range(36, 61)][ordered]
    assert await revisions(face, direction=direction) == list(range(50))[ordered]
    assert await positions(face, direction=direction) == list(range(1, 71))[ordered]
    for query in (
        EventQuery(categories=["a"]),
        EventQuery(tags=["t"]),
        EventQuery(streams=["a-1"]),
    ):
        assert await positions(face, query, direction=direction) == of_a
    for limit in (9, 10, 11, 20, 49, 50, 51):
        assert (
            await revisions(face, direction=direction, limit=limit)
            == (list(range(50))[ordered][:limit])
        )


async def test_a_read_of_thousands_is_complete_and_in_order(store: EventStore) -> None:
    await store.append("a-1", [EventData("T")] * 3_000)
    assert await revisions(store) == list(range(3_000))
    assert await positions(store, direction="backward", limit=2_500) == list(range(3_000, 500, -1))


async def test_a_read_ends_at_the_head_of_its_beginning(face: Face) -> None:
    await face.append("a-1", [EventData("T")] * 3)
    for query in (None, EventQuery(categories=["a"]), EventQuery(types=["T"])):
        seen = []
        head = (await face.head()).position
        async for event in face.read(query):
            seen.append(event.position)
            assert len(seen) <= head
            await face.append("a-1", EventData("T"))
        assert seen == list(range(1, head + 1))


@pytest.mark.usefixtures("small_pages")
async def test_a_read_over_pages_ends_at_the_head_of_its_beginning(face: Face) -> None:
    await face.append("a-1", [EventData("T")] * 30)
    seen = []
    async for event in face.read():
        seen.append(event.position)
        assert len(seen) <= 30
        await face.append("a-1", EventData("T"))
    assert seen == list(range(1, 31))


@pytest.mark.usefixtures("small_pages")
async def test_a_read_that_is_left_early_leaves_the_store_usable(face: Face) -> None:
    await face.append("a-1", [EventData("T")] * 30)
    for _ in range(20):  # more often than there are connections
        async for event in face.read():
            assert event.position == 1
            break
    assert (await face.append("a-1", EventData("T"))).position == 31


async def test_a_stream_without_events_gives_none(face: Face) -> None:
    await face.append("a-1", EventData("T"))
    assert [e async for e in face.read_stream("a")] == []
    assert [e async for e in face.read_stream("a-1-2")] == []
    assert [e async for e in face.read(EventQuery(categories=["a-1"]))] == []


async def test_an_empty_log_gives_none(face: Face) -> None:
    for direction in ("forward", "backward"):
        assert await positions(face, direction=direction) == []
    assert (await face.head()).position == 0
    assert await face.stream_head("a-1") is None


async def test_heads_are_of_the_last_event(face: Face) -> None:
    first = await face.head()
    await face.append("a-1", [EventData("T")] * 3)
    await face.append("b-1", EventData("T"))
    assert await face.head() == first._replace(position=4)
    assert (await face.stream_head("a-1"), await face.stream_head("b-1")) == (2, 0)
    assert first.epoch == 1
    assert isinstance(first.store_id, uuid.UUID)


async def test_an_event_is_found_by_its_id(face: Face) -> None:
    appended = await face.append("a-1", [EventData("T", n, {"n": n}, tags=["t"]) for n in range(3)])
    event = await face.event(appended.event_ids[1])
    assert (event.position, event.revision, event.data, event.metadata, event.tags) == (
        2, 1, 1, {"n": 1}, ["t"]
    )  # fmt: skip
    assert event == await face.event(uuid.UUID(appended.event_ids[1]))


async def test_an_unknown_id_is_not_found(face: Face) -> None:
    with pytest.raises(NotFound, match="no event with id"):
        await face.event(uuid.uuid4())
    with pytest.raises(InvalidInput, match="UUID"):
        await face.event("7")


BAD_ARGUMENTS: list[dict[str, Any]] = [
    {"after": -1},
    {"before": -1},
    {"after": 2**63},
    {"before": 10**40},
    {"direction": "up"},
]


async def test_a_bad_argument_is_refused_at_once(face: Face, subtests: pytest.Subtests) -> None:
    for options in BAD_ARGUMENTS:
        with subtests.test(str(options)), pytest.raises(InvalidInput):
            face.read(**options)


@pytest.mark.parametrize("limit", [-1, 2**80])
async def test_a_bad_limit_is_refused(face: Face, limit: int) -> None:
    await face.append("a-1", EventData("T"))
    if limit < 0:
        with pytest.raises(InvalidInput):
            await positions(face, limit=limit)
    else:
        assert await positions(face, limit=limit) == [1]


async def test_pages_are_bounded_in_bytes(store: EventStore) -> None:
    for _ in range(16):
        await store.append("a", [EventData("Large", "x" * 100_000)] * 10)
    scan = log_scan(EventQuery(), after=0, before=None, direction="forward")
    # Nothing is known of the first page's events; 4 MiB are 41 of them.
    assert [len(page) async for page in store.pages(scan)] == [100, 41, 19]
