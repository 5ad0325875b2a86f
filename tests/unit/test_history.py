"""The checker finds every way in which a log, its writers and its readers can disagree."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore import Appended, EventQuery, RecordedEvent
from eventstore.core.history import (
    ACKNOWLEDGED,
    EVENT_IDS,
    KEPT_VIOLATIONS,
    POSITIONS,
    RECORDED_AT,
    REVISIONS,
    SEEN,
    TAGS,
    History,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def event(
    position: int, stream: str = "a-1", revision: int | None = None, **facts: Any
) -> RecordedEvent:
    """Make an event whose id follows from its position."""
    return RecordedEvent(
        position,
        stream,
        position - 1 if revision is None else revision,
        facts.get("event_id", uuid.UUID(int=position)),
        facts.get("event_type", "Counted"),
        facts.get("data_json", "{}"),
        "{}",
        facts.get("tags", []),
        facts.get("recorded_at", NOW),
    )


def history(events: Sequence[RecordedEvent], **options: Any) -> History:
    """Feed events to a new history."""
    made = History(**options)
    for one in events:
        made.feed(one)
    return made


def told(first: int, last: int, position: int, *ids: int, replayed: bool = False) -> Appended:
    """Make an answer to an append of `a-1`."""
    texts = tuple(str(uuid.UUID(int=number)) for number in ids)
    return Appended("a-1", first, last, position, texts, replayed)


THREE = [event(1), event(2), event(3)]


def test_a_sound_log_has_no_violations() -> None:
    log = [event(1), event(2, "b-1", 0), event(3, "a-1", 1, tags=["a", "b"]), event(4, "b-1", 1)]
    found = history(log)
    found.end(4)
    assert found.violations == []
    assert (found.events, found.streams) == (4, 2)


@pytest.mark.parametrize(
    ("log", "check", "problem"),
    [
        ([event(2, revision=0)], POSITIONS, "position 2 follows 0"),
        ([event(1), event(3, revision=1)], POSITIONS, "position 3 follows 1"),
        ([event(1), event(1, "b-1", 0, event_id=uuid.UUID(int=9))], POSITIONS, "1 follows 1"),
        ([event(1, revision=1)], REVISIONS, "revision 1 of stream 'a-1' follows no event"),
        ([event(1), event(2, revision=2)], REVISIONS, "revision 2 of stream 'a-1' follows 0"),
        ([event(1), event(2, revision=0)], REVISIONS, "revision 0 of stream 'a-1' follows 0"),
        ([event(1), event(2, event_id=uuid.UUID(int=1))], EVENT_IDS, "came before"),
        ([event(1, recorded_at=None)], RECORDED_AT, "position 1 has no time"),
        ([event(1, recorded_at=datetime(2026, 1, 2))], RECORDED_AT, "no time"),  # noqa: DTZ001
        ([event(1, tags=["b", "a"])], TAGS, "['b', 'a']"),
        ([event(1, tags=["a", "a"])], TAGS, "['a', 'a']"),
    ],
)
def test_one_fault_is_one_violation(log: list[RecordedEvent], check: str, problem: str) -> None:
    [violation] = history(log).violations
    assert violation.check == check
    assert problem in violation.problem


def test_a_log_that_ends_before_its_head_is_a_violation() -> None:
    found = history(THREE)
    found.end(4)
    assert [violation.check for violation in found.violations] == [POSITIONS]


def test_every_violation_is_counted_and_the_first_ones_are_kept() -> None:
    found = history([event(n, f"a-{n}", 0, tags=["b", "a"]) for n in range(1, 51)])
    assert found.counts[TAGS] == 50
    assert len(found.violations) == KEPT_VIOLATIONS


@pytest.mark.parametrize(
    ("newest_ids", "distance", "is_found"), [(5, 5, True), (5, 6, False), (0, 1, False)]
)
def test_a_live_history_remembers_only_the_newest_ids(
    newest_ids: int, distance: int, is_found: bool
) -> None:
    log = [event(n) for n in range(1, 11)]
    log.append(event(11, event_id=uuid.UUID(int=11 - distance)))
    found = history(log, newest_ids=newest_ids)
    assert found.counts[EVENT_IDS] == is_found


def test_a_live_history_keeps_no_events_to_compare_with() -> None:
    live = history(THREE, newest_ids=10)
    with pytest.raises(ValueError, match="keeps no events"):
        live.seen([])
    with pytest.raises(ValueError, match="keeps no events"):
        live.acknowledged(told(0, 0, 1, 1))


@pytest.mark.parametrize(
    "appended", [told(0, 0, 1, 1), told(1, 2, 3, 2, 3), told(0, 2, 3, 1, 2, 3, replayed=True)]
)
def test_what_a_writer_was_told_is_in_the_log(appended: Appended) -> None:
    found = history(THREE)
    found.acknowledged(appended)
    assert found.violations == []


@pytest.mark.parametrize(
    ("appended", "problem"),
    [
        (told(3, 3, 4, 4), "1 of 1 events are not there"),
        (told(2, 3, 4, 3, 4), "1 of 2 events are not there"),
        (told(0, 0, 2, 1), "it is at 1"),
        (told(1, 1, 1, 1), "told revisions 1 to 1, stored [0]"),
        (told(0, 1, 2, 2, 1), "stored [1, 0]"),
        (told(0, 0, 1, 1)._replace(stream_name="b-1"), "in another stream"),
    ],
)
def test_what_a_writer_was_told_wrongly_is_a_violation(appended: Appended, problem: str) -> None:
    found = history(THREE)
    found.acknowledged(appended)
    [violation] = found.violations
    assert violation.check == ACKNOWLEDGED
    assert problem in violation.problem


def test_events_of_others_between_those_of_an_append_are_a_violation() -> None:
    log = [event(1), event(2, "b-1", 0), event(3, revision=1)]
    found = history(log)
    found.acknowledged(told(0, 1, 3, 1, 3))
    [violation] = found.violations
    assert "other events lie between its own" in violation.problem


def test_a_replay_of_events_that_several_appends_stored_is_sound() -> None:
    found = history([event(1), event(2, "b-1", 0), event(3, revision=1)])
    found.acknowledged(told(0, 1, 3, 1, 3, replayed=True))
    assert found.violations == []


MIXED = [event(1), event(2, "b-1", 0), event(3, "a-1", 1), event(4, "b-1", 1, tags=["t"])]


@pytest.mark.parametrize(
    ("positions", "options"),
    [
        ([], {}),
        ([1, 2], {}),
        ([1, 2, 3, 4], {}),
        ([3, 4], {"after": 2}),
        ([2, 4], {"query": EventQuery(categories=["b"])}),
        ([4], {"query": EventQuery(tags=["t"]), "after": 1}),
    ],
)
def test_a_reader_that_saw_a_prefix_saw_the_log(
    positions: list[int], options: dict[str, Any]
) -> None:
    found = history(MIXED)
    found.seen([MIXED[position - 1] for position in positions], **options)
    assert found.violations == []


@pytest.mark.parametrize(
    ("positions", "options", "problem"),
    [
        ([2], {}, "event 1 was position 2, position 1 was due"),
        ([1, 3], {}, "event 2 was position 3, position 2 was due"),
        ([1, 1], {}, "event 2 was position 1, position 2 was due"),
        ([2, 1], {}, "event 1 was position 2"),
        ([2], {"after": 2}, "position 3 was due"),
        ([2, 3], {"query": EventQuery(categories=["b"])}, "position 4 was due"),
        ([4, 4], {"after": 3}, "nothing was due"),
    ],
)
def test_a_gap_a_repeat_or_a_wrong_order_is_a_violation(
    positions: list[int], options: dict[str, Any], problem: str
) -> None:
    found = history(MIXED)
    found.seen([MIXED[position - 1] for position in positions], reader="r", **options)
    [violation] = found.violations
    assert violation.check == SEEN
    assert problem in violation.problem


def test_an_event_that_was_seen_with_other_data_is_a_violation() -> None:
    found = history(THREE)
    found.seen([event(1, data_json='{"a": 1}')])
    assert found.counts[SEEN] == 1
