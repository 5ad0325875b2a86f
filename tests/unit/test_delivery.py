"""Consumer groups and deliveries as values: what is checked before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore import ConsumerGroup, EventQuery, InvalidInput
from eventstore.core.delivery import LONGEST_REASON, Idle, check_action, leases_of, received


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"name": ""}, ""),
        ({"name": "Emails"}, ""),
        ({"name": "e" * 42}, ""),
        ({"ordering": "any"}, "$.ordering"),
        ({"start": -1}, "$.start"),
        ({"start": "tail"}, "$.start"),
        ({"start": True}, "$.start"),
        ({"start": 2**63}, "$.start"),
        ({"buffer": 0}, "$.buffer"),
        ({"buffer": 1.5}, "$.buffer"),
        ({"buffer": 100_001}, "$.buffer"),
        ({"lease": 0}, "$.lease"),
        ({"lease": float("nan")}, "$.lease"),
        ({"lease": "30"}, "$.lease"),
        ({"retries": -1}, "$.retries"),
        ({"backoff": float("inf")}, "$.backoff"),
        ({"after": ("No",)}, "$.after"),
    ],
    ids=str,
)
def test_a_group_that_cannot_be_is_refused_with_the_path(
    options: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        ConsumerGroup(**{"name": "emails", **options})
    assert refused.value.path == path


def test_a_group_has_defaults() -> None:
    group = ConsumerGroup("emails")
    assert (group.query, group.start, group.ordering) == (EventQuery(), 0, "stream")
    assert (group.buffer, group.lease, group.retries, group.backoff) == (200, 30, 5, 1)


def test_ids_are_positions_and_leases() -> None:
    last = 2**63 - 1
    assert leases_of(["17-1", f"{last}-{last}"]) == ([17, last], [1, last])
    assert leases_of("17-1") == ([17], [1])


@pytest.mark.parametrize(
    "bad",
    ["", "17", "17-", "0-1", "1-0", "01-1", "1-1 ", "-1-1", "\u0661-1", f"{2**63}-1", 17],
)
def test_what_is_no_id_is_refused_with_its_place(bad: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        leases_of(["1-1", bad])
    assert refused.value.path == "$.deliveries[1]"


@pytest.mark.parametrize("count", [0, 1_001])
def test_too_few_or_too_many_are_refused(count: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 1000"):
        leases_of(["1-1"] * count)


def test_a_reason_is_kept_as_far_as_it_can_be() -> None:
    assert check_action("park", None, None) is None
    assert check_action("park", None, "a\0b\ud800") == "ab?"
    assert check_action("retry", 5, "x" * 9_999) == "x" * LONGEST_REASON


@pytest.mark.parametrize(
    ("action", "delay"), [("throw", None), ("retry", -1), ("retry", float("nan")), ("retry", "5")]
)
def test_what_nack_cannot_do_is_refused(action: str, delay: Any) -> None:
    with pytest.raises(InvalidInput):
        check_action(action, delay, None)


def test_rows_are_deliveries_or_tell_when_to_look_again() -> None:
    now = datetime.now(UTC)
    event: tuple[Any, ...] = (7, "a", 0, None, "T", "{}", "{}", [], now)
    [delivery], _ = received([(True, 0.0, None, 3, 1, now, *event)])
    assert (delivery.id, delivery.attempt, delivery.event.position) == ("7-3", 1, 7)
    none, idle = received([(False, 1.5, 9, None, None, None, *[None] * 9)])
    assert (none, idle) == ([], Idle(more=False, look_in=1.5, position_seen=9))
