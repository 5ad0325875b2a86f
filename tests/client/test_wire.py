"""Events and appends on the wire: nothing is lost, and every digit stays."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    AppendCondition,
    Appended,
    EventData,
    EventQuery,
    EventStoreError,
    ExpectedRevision,
    RecordedEvent,
)
from eventstore.client.wire import (
    decode_appended,
    decode_event,
    decode_lines,
    encode_append,
    encode_event,
    stream_path,
)
from eventstore.core.append import AppendRequest, make_request
from eventstore.core.append import encode_append as encoded
from tests.fix_examples import json_values, names

ID = "0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42"
EVENT = RecordedEvent(
    7,
    "order-1",
    2,
    uuid.UUID(ID),
    "OrderPlaced",
    '{"n": 1.10, "big": 123456789012345678901234567890}',
    '{"by": "ż\u2028"}',
    ["a", 'b"'],
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
)


def request_of(
    *streams: str, expected: ExpectedRevision = ANY, condition: AppendCondition | None = None
) -> AppendRequest:
    """Make a request of one event for each stream, with ids that say which."""
    appends = [
        encoded(name, [EventData("T", {"n": n}, event_id=uuid.UUID(int=n))], expected)
        for n, name in enumerate(streams)
    ]
    return make_request(appends, condition=condition)


def test_an_event_comes_back_as_it_was_written() -> None:
    text = encode_event(EVENT)
    assert "\n" not in text
    assert decode_event(text.encode()) == EVENT
    assert json.loads(text)["recorded_at"] == "2026-01-02T03:04:05.678901+00:00"


@given(names, names, json_values, st.lists(names, max_size=3))
def test_any_event_comes_back_as_it_was_written(
    stream: str, event_type: str, data: object, tags: list[str]
) -> None:
    text = json.dumps(data, ensure_ascii=False)
    event = EVENT._replace(stream_name=stream, event_type=event_type, data_json=text, tags=tags)
    assert decode_lines(encode_event(event).encode() + b"\n" + encode_event(EVENT).encode()) == [
        event,
        EVENT,
    ]


@pytest.mark.parametrize("text", [b"", b"{}", b'{"position": "x"}', b"<html>", b"\xff"])
def test_what_is_no_event_is_told_as_such(text: bytes) -> None:
    with pytest.raises(EventStoreError, match="not an event"):
        decode_event(text)


@pytest.mark.parametrize(
    ("expected", "headers"),
    [
        (ANY, {}),
        (NO_STREAM, {"if-none-match": "*"}),
        (STREAM_EXISTS, {"if-match": "*"}),
        (0, {"if-match": '"0"'}),
        (41, {"if-match": '"41"'}),
    ],
)
def test_an_append_to_one_stream_goes_to_the_stream(
    expected: ExpectedRevision, headers: dict[str, str]
) -> None:
    path, sent, body = encode_append(request_of("a b/ż", expected=expected))
    assert path == "/streams/a%20b%2F%C5%BC"
    assert sent == {"content-type": "application/json", **headers}
    assert json.loads(body) == [
        {"type": "T", "id": str(uuid.UUID(int=0)), "data": {"n": 0}, "metadata": {}}
    ]


def test_an_append_to_several_streams_goes_to_all_at_once() -> None:
    condition = AppendCondition(EventQuery(tags=["t"]), after=9)
    request = request_of("a", "b", expected=NO_STREAM, condition=condition)
    path, _, body = encode_append(request)
    assert path == "/appends"
    sent = json.loads(body)
    assert [one["stream"] for one in sent["appends"]] == ["a", "b"]
    assert [one["expected_revision"] for one in sent["appends"]] == ["no_stream"] * 2
    assert [one["events"][0]["id"] for one in sent["appends"]] == list(request.event_ids)
    assert sent["condition"] == {"none_matching": {"any_of": [{"tags": ["t"]}]}, "after": 9}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order-1", "/streams/order-1"),
        (".", "/streams/%2E"),
        ("..", "/streams/%2E%2E"),
        ("...", "/streams/..."),
        ("a/../b?c#d%2F", "/streams/a%2F..%2Fb%3Fc%23d%252F"),
    ],
)
def test_a_stream_name_is_one_segment_of_a_path(name: str, path: str) -> None:
    assert stream_path(name) == path


def test_the_answer_to_an_append_is_read_back() -> None:
    one = f'{{"stream":"a","first_revision":1,"revision":2,"position":9,"event_ids":["{ID}"]}}'
    expected = Appended("a", 1, 2, 9, (ID,), True)
    assert decode_appended(request_of("a"), one.encode(), replayed=True) == (expected,)
    both = f'{{"appends":[{one},{one}],"position":9}}'.encode()
    assert decode_appended(request_of("a", "b"), both, replayed=True) == (expected, expected)
    with pytest.raises(EventStoreError, match="not one to an append"):
        decode_appended(request_of("a"), b"<html>", replayed=False)
