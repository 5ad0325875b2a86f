"""The ring of the newest events: without gaps, bounded, and honest about where it begins."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from eventstore import EventQuery, RecordedEvent
from eventstore.core.interest import EVERY_EVENT, keys_of_event, keys_of_query
from eventstore.core.query import QueryItem
from eventstore.core.tail import Tail


def event(
    position: int,
    *,
    stream: str = "a-1",
    kind: str = "T",
    tags: tuple[str, ...] = (),
    size: int = 2,
) -> RecordedEvent:
    return RecordedEvent(
        position,
        stream,
        0,
        UUID(int=position),
        kind,
        "x" * size,
        "{}",
        list(tags),
        datetime(2026, 1, 1, tzinfo=UTC),
    )


def events(first: int, last: int, *, size: int = 2) -> list[RecordedEvent]:
    return [event(position, size=size) for position in range(first, last + 1)]


def positions(found: list[RecordedEvent] | None) -> list[int] | None:
    return None if found is None else [one.position for one in found]


def test_gives_what_comes_after_a_position() -> None:
    tail = Tail()
    tail.reset(10)
    tail.extend(events(11, 15))
    assert (tail.start, tail.head) == (10, 15)
    assert positions(tail.after(10, 100)) == [11, 12, 13, 14, 15]
    assert positions(tail.after(12, 2)) == [13, 14]
    assert positions(tail.after(15, 100)) == []
    assert positions(tail.after(20, 100)) == []  # a reader that is ahead of the tail
    assert tail.after(9, 100) is None  # to be read from the log


def test_refuses_a_gap_and_a_repeat() -> None:
    tail = Tail()
    tail.extend(events(1, 3))
    with pytest.raises(ValueError, match="position 5 comes where 4 should"):
        tail.extend(events(5, 6))
    with pytest.raises(ValueError, match="position 3 comes where 4 should"):
        tail.extend(events(3, 4))
    assert tail.head == 3


def test_is_bounded_in_events() -> None:
    tail = Tail(events=80)
    for first in range(1, 1_001, 10):
        tail.extend(events(first, first + 9))
        assert tail.head - tail.start <= 80
    assert tail.head == 1_000
    assert tail.after(tail.start - 1, 1) is None
    assert positions(tail.after(tail.start, 1)) == [tail.start + 1]


def test_is_bounded_in_bytes_and_keeps_the_newest_event() -> None:
    tail = Tail(size=100_000)
    tail.extend(events(1, 50, size=10_000))
    assert 0 < tail.head - tail.start <= 10
    tail.extend([event(51, size=1_000_000)])
    assert (tail.start, tail.head) == (50, 51)


QUERIES = [
    (EventQuery(), {EVERY_EVENT}),
    (EventQuery(streams=["a-1", "b-1"], types=["T"]), {("stream", "a-1"), ("stream", "b-1")}),
    (EventQuery(tags=["x", "y"], types=["T"]), {("tag", "x")}),
    (EventQuery(types=["T", "U"], categories=["a"]), {("type", "T"), ("type", "U")}),
    (EventQuery(categories=["a", "b"]), {("category", "a"), ("category", "b")}),
    (EventQuery(types=["T"]) | EventQuery(tags=["x"]), {("type", "T"), ("tag", "x")}),
    (EventQuery(any_of=[QueryItem(types=("T",)), QueryItem()]), {EVERY_EVENT}),
]


@pytest.mark.parametrize(("query", "keys"), QUERIES)
def test_a_query_has_the_keys_of_what_leaves_out_most(
    query: EventQuery, keys: set[tuple[str, str]]
) -> None:
    assert keys_of_query(query) == keys


@pytest.mark.parametrize("query", [query for query, _ in QUERIES])
@pytest.mark.parametrize("stream", ["a-1", "b-1", "c"])
@pytest.mark.parametrize("kind", ["T", "U", "V"])
@pytest.mark.parametrize("tags", [(), ("x",), ("x", "y"), ("y",)])
def test_every_event_that_a_query_means_shares_a_key_with_it(
    query: EventQuery, stream: str, kind: str, tags: tuple[str, ...]
) -> None:
    one = event(1, stream=stream, kind=kind, tags=tags)
    if query.matches(one):
        assert keys_of_query(query) & set(keys_of_event(one))
