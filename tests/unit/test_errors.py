"""The tree of errors: what each says, its facts, and the table from SQLSTATE."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore import (
    AppendRefused,
    ConditionFailed,
    DuplicateEventId,
    EventStoreError,
    IdempotencyConflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaMismatch,
    Unavailable,
)
from eventstore.core.errors import REFUSAL_BY_SQLSTATE, refusal_from

ID = "0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42"


@pytest.mark.parametrize(
    ("error", "facts", "says"),
    [
        (InvalidInput("wrong"), {}, "wrong"),
        (InvalidInput("wrong", path="$[3].data"), {"path": "$[3].data"}, "$[3].data: wrong"),
        (LimitExceeded("large", path="$"), {"path": "$"}, "$: large"),
        (
            RevisionConflict("order-1", 3, 5),
            {"stream": "order-1", "expected_revision": 3, "current_revision": 5},
            "stream 'order-1' is at revision 5, but the append expected 3",
        ),
        (
            RevisionConflict("order-1", "stream_exists", None),
            {"stream": "order-1", "expected_revision": "stream_exists", "current_revision": None},
            "stream 'order-1' does not exist, but the append expected stream_exists",
        ),
        (
            DuplicateEventId(ID, "order-1", 7),
            {"event_id": ID, "stream": "order-1", "position": 7},
            f"event id {ID} is already used by another append: stream 'order-1', position 7",
        ),
        (
            IdempotencyConflict(ID, "order-1", 7),
            {"event_id": ID, "stream": "order-1", "position": 7},
            f"the same event ids or idempotency key were used for another append: event {ID} is at "
            "position 7, in stream 'order-1', and not as it is sent now; what was sent now is not "
            "stored",
        ),
        (
            ConditionFailed(12),
            {"position": 12},
            "the append condition failed: the event at position 12 matches it; "
            "read again up to there and decide anew",
        ),
        (
            OutcomeUnknown((ID,)),
            {"event_ids": [ID]},
            "the append may be stored or not: the line to the database broke; "
            "retry with the same event ids or the same idempotency key",
        ),
        (Unavailable("not stored"), {}, "not stored"),
    ],
)
def test_an_error_says_what_happened_and_carries_it_as_facts(
    error: EventStoreError, facts: dict[str, Any], says: str
) -> None:
    assert error.facts == facts
    assert str(error) == says


@pytest.mark.parametrize(
    ("cls", "bases"),
    [
        (RevisionConflict, (AppendRefused,)),
        (DuplicateEventId, (AppendRefused,)),
        (IdempotencyConflict, (DuplicateEventId,)),
        (ConditionFailed, (AppendRefused,)),
        (LimitExceeded, (InvalidInput,)),
        (InvalidInput, (EventStoreError, ValueError)),
        (NotFound, (EventStoreError, LookupError)),
        (Unavailable, (EventStoreError,)),
        (OutcomeUnknown, (EventStoreError,)),
        (SchemaMismatch, (EventStoreError,)),
    ],
)
def test_errors_form_one_tree(cls: type[Exception], bases: tuple[type, ...]) -> None:
    assert all(issubclass(cls, base) for base in (EventStoreError, *bases))


def test_an_unknown_outcome_is_neither_a_refusal_nor_unavailable() -> None:
    assert not issubclass(OutcomeUnknown, (AppendRefused, Unavailable))


@pytest.mark.parametrize(
    ("sqlstate", "facts", "expected"),
    [
        (
            "ST001",
            {"stream": "a", "expected": -1, "current_revision": 4},
            RevisionConflict("a", "no_stream", 4),
        ),
        (
            "ST001",
            {"stream": "a", "expected": 7, "current_revision": None},
            RevisionConflict("a", 7, None),
        ),
        (
            "ST002",
            {"event_id": ID, "stream": "a", "position": 3},
            DuplicateEventId(ID, "a", 3),
        ),
        ("ST003", {"position": 3}, ConditionFailed(3)),
        (
            "ST013",
            {"event_id": ID, "stream": "a", "position": 3},
            IdempotencyConflict(ID, "a", 3),
        ),
        ("ST004", {"problem": "wrong"}, InvalidInput("wrong")),
    ],
)
def test_a_sqlstate_of_ours_is_one_class(
    sqlstate: str, facts: dict[str, Any], expected: EventStoreError
) -> None:
    error = refusal_from(sqlstate, facts)
    assert type(error) is type(expected) is REFUSAL_BY_SQLSTATE[sqlstate]
    assert str(error) == str(expected)
    assert error.facts == expected.facts
