"""Making one request of several appends: what fits together, and which ids its events get."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

import pytest

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    EventData,
    ExpectedRevision,
    InvalidInput,
    LimitExceeded,
    Limits,
)
from eventstore.core.append import EncodedAppend, derived_ids, encode_append, make_request

IDS = [f"00000000-0000-7000-8000-{n:012}" for n in range(10)]


def to(stream: str, *ids: int | None, expect: ExpectedRevision = ANY) -> EncodedAppend:
    """An append of one event for each id (None: without an id)."""
    events = [EventData("T", event_id=None if n is None else IDS[n]) for n in ids]
    return encode_append(stream, events, expect)


def test_the_callers_own_ids_are_kept_in_order() -> None:
    request = make_request([to("a", 3, 1), to("b", 2)])
    assert list(request.event_ids) == [IDS[3], IDS[1], IDS[2]]
    assert request.ids_known


def test_new_ids_are_taken_where_none_are_given() -> None:
    request = make_request([to("a", None, None)], new_ids=IDS[:2])
    assert list(request.event_ids) == IDS[:2]
    assert not request.ids_known


def test_ids_derived_from_a_key_never_change() -> None:
    request = make_request([to("order-1", None, None)], idempotency_key="key-1")
    other = make_request([to("invoice-żółw", None, None, None)], idempotency_key="key-1")
    # Stored logs hold such ids: another derivation would store retries twice.
    assert [*request.event_ids, other.event_ids[2]] == [
        "f2f6e288-5e9e-5fb8-8ac5-27262b35fae4",
        "e8e5eda5-1bc2-5ad8-ac23-55fa7e6f8123",
        "44bb63eb-807a-591d-8304-fd57532766ed",
    ]
    assert request.ids_known


def test_the_order_of_streams_does_not_change_the_ids_of_a_key() -> None:
    appends = [to("a", None, None), to("b", None), to("a", None)]
    there = make_request(appends, idempotency_key="k").event_ids
    back = make_request([appends[1], appends[0], appends[2]], idempotency_key="k").event_ids
    assert [*there[:2], there[3]] == list(back[1:])
    assert there[2] == back[0]
    assert len(set(there)) == 4


def test_derived_ids_are_uuid5_over_stream_key_and_index() -> None:
    namespace = UUID("0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42")
    ids = derived_ids([to("a", None), to("b", None, None)], "k")
    assert ids == [str(uuid5(namespace, name)) for name in ("a\nk\n0", "b\nk\n0", "b\nk\n1")]


def test_derived_ids_differ_by_stream_key_and_index() -> None:
    ids = [
        *derived_ids([to("a", None, None)], "k"),
        *derived_ids([to("a", None, None)], "l"),
        *derived_ids([to("b", None, None)], "k"),
    ]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_is_1_to_255_characters(key: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 255"):
        make_request([to("a", None)], idempotency_key=key)


@pytest.mark.parametrize(
    ("appends", "key", "says"),
    [
        ([], None, "at least one event"),
        ([to("a")], None, "at least one event"),
        ([to("a", 1), to("b")], None, "at least one event"),
        ([to("a", 1)], "key", "not both"),
        ([to("a", 1, None)], None, "every event"),
        ([to("a", 1), to("b", None)], None, "every event"),
        ([to("a", 1, 1)], None, "same id"),
        ([to("a", 1), to("b", 1)], None, "same id"),
        ([to("a", 1), to("a", 2, expect=0)], None, "named twice"),
        ([to("a", 1), to("b", 2), to("a", 3, expect=NO_STREAM)], None, "named twice"),
        ([to("a", 1), to("a", 2, expect=STREAM_EXISTS)], None, "named twice"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    appends: list[EncodedAppend], key: str | None, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        make_request(appends, idempotency_key=key, new_ids=IDS)


def test_a_stream_may_be_named_again_with_any() -> None:
    make_request([to("a", 1, expect=NO_STREAM), to("b", 2), to("a", 3)])


def test_a_request_has_limits() -> None:
    limits = Limits(append_events=2, append_bytes=8)
    make_request([to("a", 1), to("b", 2)], limits=limits)
    with pytest.raises(LimitExceeded, match="2 events: 3"):
        make_request([to("a", 1), to("b", 2, 3)], limits=limits)
    with pytest.raises(LimitExceeded, match="8 bytes"):
        make_request([encode_append("a", [EventData("T", [1000, 10])])], limits=limits)


def test_a_programming_error_is_not_blamed_on_the_input() -> None:
    with pytest.raises(ValueError, match="ids are needed") as raised:
        make_request([to("a", None)])
    assert not isinstance(raised.value, InvalidInput)


def test_one_event_is_appended_as_several_are() -> None:
    one = EventData("T")
    assert encode_append("s", one) == encode_append("s", [one])


@pytest.mark.parametrize("what", [{"type": "T"}, 5, None])
def test_what_is_no_event_is_answered_with_what_to_give(what: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^\$: give EventData\('SomeType', ") as refused:
        encode_append("s", what)
    assert str(refused.value).endswith(repr(what))


def test_a_fault_in_a_later_event_is_named_with_its_path() -> None:
    with pytest.raises(InvalidInput) as refused:
        encode_append("a", [EventData("T"), EventData("")], path="$.appends[4].events")
    assert refused.value.path == "$.appends[4].events[1].type"
