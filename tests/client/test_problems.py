"""Every problem of the service becomes the error that the library raises, with the same facts."""

from __future__ import annotations

import json

import pytest

from eventstore import (
    AppendRefused,
    ConditionFailed,
    DeciderFailed,
    DefinitionChanged,
    DuplicateEventId,
    EventStoreError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    ProjectionBehind,
    ProjectionRefused,
    ProjectionStopped,
    RevisionConflict,
    SchemaMismatch,
    StreamParked,
    Unavailable,
)
from eventstore.client.problems import refusal
from eventstore_api.problems import KINDS, problem

ERRORS = [
    RevisionConflict("order-1", 5, 7),
    RevisionConflict("order-1", "stream_exists", None),
    ConditionFailed(12),
    DuplicateEventId("0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42", "order-1", 3),
    AppendRefused("no"),
    DeciderFailed("order", "Pay", "order-1", "decide raised KeyError (shop.py:4 in pay)"),
    InvalidInput("bad", path="$[3].data"),
    InvalidInput("bad"),
    LimitExceeded("too large", path="$"),
    NotFound("no such stream"),
    OutcomeUnknown(("a", "b")),
    Unavailable("busy", retry_after=7),
    SchemaMismatch("run: eventstore migrate"),
    DefinitionChanged("orders", 1),
    DefinitionChanged("orders", 1, "another query"),
    ProjectionRefused("it serves (let another version serve first)"),
    ProjectionStopped("orders", "stopped", "no disk"),
    ProjectionStopped("orders", "paused", None),
    StreamParked("orders", "a", 3, "why"),
    ProjectionBehind(
        "orders", "position 9", checkpoint=4, events_per_second=1.5, is_run=True, is_stored=True
    ),
    ProjectionBehind(
        "orders", "position 9", checkpoint=4, events_per_second=0, is_run=False, is_stored=False
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_the_service_is_the_same_error_at_the_client(error: EventStoreError) -> None:
    status, headers, body = problem(error)
    found = refusal(status, json.loads(body), retry_after=headers.get("retry-after"))
    assert type(found.error) is type(error)
    assert str(found.error) == str(error)
    assert found.error.facts == error.facts
    if isinstance(error, Unavailable):
        assert found.wait == 7


def test_every_kind_of_problem_is_an_error() -> None:
    for kind in KINDS.values():
        body = {"type": f"urn:eventstore:problem:{kind.slug}", "detail": "why"}
        assert isinstance(refusal(kind.status, body).error, EventStoreError)


@pytest.mark.parametrize(
    ("status", "slug", "is_passing", "nothing_stored"),
    [
        (503, "unavailable", True, True),
        (503, "outcome-unknown", True, False),
        (503, "schema-mismatch", False, True),
        (412, "condition-failed", False, True),
        (500, "internal-error", False, False),
        (502, "", True, False),
        (503, "", True, False),
        (504, "", True, False),
        (500, "", False, False),
        (301, "", False, True),
        (404, "", False, True),
        (401, "", False, True),
        (403, "", False, True),
        (408, "", True, False),
        (429, "", True, True),
        (200, "", False, False),
    ],
)
def test_what_may_be_tried_again_is_known(
    status: int, slug: str, is_passing: bool, nothing_stored: bool
) -> None:
    body = {"type": f"urn:eventstore:problem:{slug}", "event_ids": ["a"], "position": 1}
    found = refusal(status, body if slug else {})
    assert (found.is_passing, found.nothing_stored) == (is_passing, nothing_stored)
