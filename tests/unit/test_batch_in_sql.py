"""A batch as the arguments of `append_v1`, and its result read back."""

from __future__ import annotations

import json

import pytest

from eventstore import (
    NO_STREAM,
    Append,
    AppendCondition,
    Appended,
    ConditionFailed,
    DuplicateEventId,
    EventData,
    EventQuery,
    RevisionConflict,
)
from eventstore.core.append import AppendRequest, encode_append, make_request
from eventstore.core.batching import array_literal, columns, outcomes

IDS = [f"00000000-0000-7000-8000-{n:012}" for n in range(9)]


def request(
    *appends: Append, condition: AppendCondition | None = None, key: str | None = None
) -> AppendRequest:
    encoded = [encode_append(a.stream_name, a.events, a.expected_revision) for a in appends]
    return make_request(encoded, new_ids=IDS, condition=condition, idempotency_key=key)


def test_a_batch_is_arrays_for_its_appends_and_its_events() -> None:
    first = request(
        Append("a", [EventData("A", 1), EventData("B", 2, {"m": 1})], NO_STREAM),
        Append("b", [EventData("C", tags=["y", "x"])], 7),
        condition=AppendCondition(EventQuery(types=["X"]), after=5),
    )._replace(event_ids=IDS[:3])
    second = request(Append("c", [EventData("D")]))._replace(event_ids=IDS[3:4])
    assert columns([first, second]) == (
        [1, 1, 2],
        ["a", "b", "c"],
        [-1, 7, -2],
        [1, 1, 2, 3],
        IDS[:4],
        ["A", "B", "C", "D"],
        ["1", "2", "{}", "{}"],
        ["{}", '{"m":1}', "{}", "{}"],
        [None, None, '{"x","y"}', None],
        False,
        [1],
        ['{"any_of":[{"types":["X"]}]}'],
        [5],
    )


def test_what_a_batch_does_not_have_is_null() -> None:
    *_, tags, look_up, numbers, queries, after = columns([request(Append("a", [EventData("A")]))])
    assert (tags, look_up, numbers, queries, after) == (None, False, None, None, None)


def test_ids_are_looked_up_if_any_request_brings_its_own_or_if_told() -> None:
    own = request(Append("a", [EventData("A")]), key="k")
    new = request(Append("b", [EventData("A")]))
    assert columns([new, own])[9] is True
    assert columns([new])[9] is False
    assert columns([new], look_up_ids=True)[9] is True


@pytest.mark.parametrize(
    ("names", "literal"),
    [
        (["a"], '{"a"}'),
        (["a", "b c"], '{"a","b c"}'),
        (['q"', "b\\", "{,}", "NULL", "🐢"], '{"q\\"","b\\\\","{,}","NULL","🐢"}'),
    ],
)
def test_an_array_literal_quotes_every_name(names: list[str], literal: str) -> None:
    assert array_literal(names) == literal


def test_each_request_is_told_its_own_outcome() -> None:
    batch = [
        request(Append("a", [EventData("A")] * 2), Append("b", [EventData("B")])),
        request(Append("c", [EventData("A")]), Append("d", [EventData("A")])),
        request(Append("e", [EventData("A")])),
        request(Append("f", [EventData("A")])),
        request(Append("g", [EventData("A")])),
    ]
    batch = [r._replace(event_ids=IDS[: len(r.appends) + 1]) for r in batch]
    conflict = {"stream": "d", "expected": -1, "current_revision": 3}
    duplicate = {"event_id": IDS[0], "stream": "x", "position": 8}
    stored, conflicted, duplicated, failed, replayed = outcomes(
        batch,
        [
            ("appended", 0, 1, 2, None),
            ("appended", 4, 4, 3, None),
            ("not_appended", None, None, None, None),
            ("revision_conflict", None, None, None, json.dumps(conflict)),
            ("duplicate_event_id", None, None, None, json.dumps(duplicate)),
            ("condition_failed", None, None, None, '{"position": 9}'),
            ("replayed", 5, 5, 7, None),
        ],
    )
    assert stored == (Appended("a", 0, 1, 2, tuple(IDS[:2])), Appended("b", 4, 4, 3, (IDS[2],)))
    assert isinstance(conflicted, RevisionConflict)
    assert conflicted.facts["current_revision"] == 3
    assert isinstance(duplicated, DuplicateEventId)
    assert isinstance(failed, ConditionFailed)
    assert replayed == (Appended("g", 5, 5, 7, (IDS[0],), replayed=True),)
