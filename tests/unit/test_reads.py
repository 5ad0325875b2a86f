"""How a read is planned: statement, arguments, next page."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore import EventQuery, InvalidInput, RecordedEvent
from eventstore.core.reads import END, Direction, Scan, log_scan, stream_scan

EVENT = RecordedEvent(70, "a-1", 7, uuid.uuid4(), "T", "{}", "{}", [], datetime.now(UTC))


def scan(query: EventQuery, direction: Direction = "forward") -> Scan:
    return log_scan(query, after=None, before=None, direction=direction)


@pytest.mark.parametrize(
    ("query", "statement", "key"),
    [
        (EventQuery(), "log_forward", ()),
        (EventQuery(categories=["a"]), "category_forward", ("a",)),
        (EventQuery(categories=["a", "b"]), "matching_forward", None),
        (EventQuery(categories=["a"], types=["T"]), "matching_forward", None),
        (EventQuery(tags=["t"]), "matching_forward", None),
        (EventQuery(types=["T"]), "matching_forward", None),
        (EventQuery(types=["T"]) | EventQuery(), "log_forward", ()),
        (EventQuery(categories=["a"]) | EventQuery(categories=["b"]), "matching_forward", None),
    ],
)
def test_plain_queries_have_statements_of_their_own(
    query: EventQuery, statement: str, key: tuple[str, ...] | None
) -> None:
    planned = scan(query)
    assert planned.statement == statement
    assert planned.key == ((query.to_json(),) if key is None else key)
    assert scan(query, "backward").statement == statement.replace("forward", "backward")


@pytest.mark.parametrize(
    ("after", "before", "low", "high", "is_empty"),
    [
        (None, None, 0, END, False),
        (5, None, 5, END, False),
        (None, 9, 0, 9, False),
        (5, 7, 5, 7, False),
        (5, 6, 5, 6, True),
        (9, 5, 9, 5, True),
        (0, 0, 0, 0, True),
        (END, END, END, END, True),
    ],
)
def test_bounds_are_exclusive(
    after: int | None, before: int | None, low: int, high: int, is_empty: bool
) -> None:
    planned = log_scan(EventQuery(), after=after, before=before, direction="forward")
    assert planned.args(10) == (low, high, 10)
    assert planned.is_empty is is_empty


@pytest.mark.parametrize("wrong", [-1, END + 1, True, 1.5, "1", 10**40])
@pytest.mark.parametrize("bound", ["after", "before"])
def test_a_bound_is_a_position(bound: str, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{bound} is a position"):
        log_scan(
            EventQuery(),
            **({"after": None, "before": None, "direction": "forward"} | {bound: wrong}),
        )


def test_a_bound_of_a_stream_is_a_revision_and_may_be_before_the_first() -> None:
    planned = stream_scan("a-1", after=-1, before=None, direction="forward")
    assert planned.args(10) == ("a-1", -1, END, 10)
    with pytest.raises(InvalidInput, match="after is a revision"):
        stream_scan("a-1", after=-2, before=None, direction="forward")


def test_a_direction_is_one_of_two_words() -> None:
    with pytest.raises(InvalidInput, match="'forward' or 'backward'"):
        stream_scan("a-1", after=None, before=None, direction="down")  # type: ignore[arg-type]


def test_the_next_page_begins_behind_the_last_event() -> None:
    assert scan(EventQuery()).behind(EVENT).args(5) == (70, END, 5)
    assert scan(EventQuery(), "backward").behind(EVENT).args(5) == (0, 70, 5)
    forward = stream_scan("a-1", after=None, before=9, direction="forward")
    assert forward.behind(EVENT).args(5) == ("a-1", 7, 9, 5)
    backward = stream_scan("a-1", after=2, before=None, direction="backward")
    assert backward.behind(EVENT).args(5) == ("a-1", 2, 7, 5)


def test_a_read_of_the_moment_ends_at_its_head_or_before() -> None:
    assert scan(EventQuery()).up_to(50).args(5) == (0, 51, 5)
    bounded = log_scan(EventQuery(), after=None, before=20, direction="forward")
    assert bounded.up_to(50).args(5) == (0, 20, 5)
