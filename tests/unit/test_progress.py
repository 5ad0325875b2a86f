"""Verdicts on waits: reached, in vain, or to go on."""

from __future__ import annotations

import pytest

from eventstore import NotFound
from eventstore.core.errors import (
    EventStoreError,
    ProjectionBehind,
    ProjectionStopped,
    StreamParked,
)
from eventstore.core.progress import Parked, Standing, Wait, too_late, verdict
from eventstore.core.streams import partition_of


def standing(*checkpoints: int, state: str = "running") -> Standing:
    return Standing("orders", state, "no disk" if state == "stopped" else None, checkpoints, True)


LOG = Wait("orders", 5, "a", 3)
STREAM = Wait("orders", 5, "a", 3, of_stream=True)
PARKED = Parked("a", 3, "why", is_retried=False)


@pytest.mark.parametrize(
    ("wait", "at", "parked", "expected"),
    [
        (LOG, standing(4), None, None),
        (LOG, standing(5), None, 5),
        (LOG, standing(9, 4), None, None),
        (LOG, standing(9, 6), None, 6),
        (LOG, None, None, NotFound),
        (LOG, standing(4, state="paused"), None, ProjectionStopped),
        (LOG, standing(4, state="stopped"), None, ProjectionStopped),
        (LOG, standing(5, state="stopped"), None, 5),
        (LOG, standing(5), PARKED, StreamParked),
        (LOG, standing(4), PARKED, StreamParked),
        (LOG, standing(5), PARKED._replace(revision=4), 5),
        (LOG, standing(5), PARKED._replace(is_retried=True), None),
        # Not known to be stored when it was looked for: so neither whether its stream is parked.
        (Wait("orders", 5), standing(5), None, None),
        (Wait("orders", 0), standing(0), None, 0),
        (STREAM, standing(4), None, None),
        (STREAM, standing(5), None, 5),
        (STREAM._replace(position=None), standing(9), None, None),
        (STREAM, standing(9), PARKED, StreamParked),
        (STREAM, standing(9), PARKED._replace(revision=2), StreamParked),
        (STREAM, standing(9), PARKED._replace(revision=4), 9),
        (STREAM, standing(9), PARKED._replace(is_retried=True), None),
        (STREAM, standing(4, state="stopped"), PARKED, StreamParked),
    ],
)
def test_a_wait_is_judged_by_what_is_applied(
    wait: Wait,
    at: Standing | None,
    parked: Parked | None,
    expected: int | type[EventStoreError] | None,
) -> None:
    told = verdict(wait, at, parked)
    if isinstance(expected, type):
        assert type(told) is expected
    else:
        assert told == expected


def test_a_stream_waits_for_its_own_partition_only() -> None:
    checkpoints = [4, 4, 4, 4]
    checkpoints[partition_of("a", 4)] = 5
    assert verdict(STREAM, standing(*checkpoints), None) == 5
    checkpoints[partition_of("a", 4)] = 4
    checkpoints[(partition_of("a", 4) + 1) % 4] = 9
    assert verdict(STREAM, standing(*checkpoints), None) is None


def test_a_wait_that_took_too_long_says_how_far_it_is() -> None:
    told = too_late(STREAM, standing(4), seconds=2, moved=100)
    assert isinstance(told, TimeoutError)
    assert "revision 3 of stream 'a'" in str(told)
    assert told.facts == {
        "projection": "orders",
        "wanted": "revision 3 of stream 'a'",
        "checkpoint": 4,
        "events_per_second": 50.0,
        "is_run": True,
        "is_stored": True,
    }
    alone = too_late(LOG, standing(4)._replace(is_run=False), seconds=0, moved=0)
    assert "no worker runs it" in str(alone)
    assert isinstance(alone, ProjectionBehind)
