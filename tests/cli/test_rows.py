"""Rows as events: what goes where, ids that repeat, and batches that keep the order."""

from __future__ import annotations

import json
import uuid

import pytest

from eventstore import InvalidInput, Limits
from eventstore.cli.records import Record, RowError
from eventstore.cli.rows import (
    Mapper,
    Row,
    appends,
    batches,
    canonical,
    ndjson_row,
    ndjson_rows,
    row_at,
    row_id,
)
from eventstore.core.events import EncodedEvent
from eventstore.core.revisions import ANY

COLUMNS = ["case:id", "activity", "at", "who"]
VALUES = {"case:id": "7", "activity": "Paid", "at": "2011-10-11 13:45", "who": "Ä"}
RECORD = Record(12, VALUES)
LIMITS = Limits()


def mapper(**options: object) -> Mapper:
    """Make a mapper over COLUMNS."""
    chosen = {"stream": "order-{case:id}", "event_type": "activity"} | options
    return Mapper.of(COLUMNS, **chosen)  # type: ignore[arg-type]  # each test says what it changes


def test_named_columns_make_stream_type_and_time_and_the_rest_is_data() -> None:
    row = mapper(time="at").row(RECORD, source="s", limits=LIMITS)
    assert (row.line, row.stream_name) == (12, "order-7")
    assert row.event.event_type == "Paid"
    assert json.loads(row.event.data) == {"who": "Ä"}
    assert json.loads(row.event.metadata) == {"time": "2011-10-11 13:45"}


def test_every_column_is_data_where_that_is_asked_for() -> None:
    row = mapper(keep_columns=True).row(RECORD, source="s", limits=LIMITS)
    assert json.loads(row.event.data) == VALUES
    assert row.event.metadata == "{}"


@pytest.mark.parametrize(
    "options",
    [
        {"stream": "order-{nothing}"},
        {"event_type": "nothing"},
        {"event_type": "{nothing}"},
        {"time": "nothing"},
        {"stream": "order-{"},
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        mapper(**options)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"case:id": ""}, "line 12, column 'case:id': is empty, so the stream has no name"),
        ({"activity": ""}, "line 12, column 'activity': is empty, so the event has no type"),
        ({"case:id": "x" * 300}, "line 12: a stream name is at most 255 bytes"),
        ({"activity": "a\x07"}, "line 12: an event type has a control character"),
        ({"who": "a\x00"}, "line 12: data: a string has \\u0000"),
        ({"who": "x" * 2000}, "line 12: an event's data and metadata are at most 1000 bytes"),
    ],
)
def test_a_row_that_cannot_be_an_event_names_line_and_column(
    changed: dict[str, str], fault: str
) -> None:
    with pytest.raises(RowError) as found:
        mapper().row(Record(12, VALUES | changed), source="s", limits=Limits(event_bytes=1000))
    assert fault in str(found.value)


def test_the_same_row_of_the_same_source_has_the_same_id() -> None:
    first = mapper().row(RECORD, source="s", limits=LIMITS)
    turned = Record(12, dict(reversed(VALUES.items())))
    assert (
        mapper(time="at").row(turned, source="s", limits=LIMITS).event.event_id
        == first.event.event_id
    )


def test_another_source_line_or_content_has_another_id() -> None:
    ids = {
        mapper().row(record, source=source, limits=LIMITS).event.event_id
        for record, source in [
            (RECORD, "s"),
            (RECORD, "t"),
            (Record(13, VALUES), "s"),
            (Record(12, VALUES | {"who": "A"}), "s"),
        ]
    }
    assert len(ids) == 4


def test_the_id_of_a_row_never_changes_between_releases() -> None:
    assert row_id("receipt.csv", 2, canonical({"b": "1", "a": "ä"})) == (
        "d9387903-88ef-5f61-acfb-47df23f272c6"
    )


def test_an_exported_line_keeps_its_id_and_every_digit() -> None:
    text = (
        '{"position":3,"stream":"a-1","revision":0,"id":"0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42",'
        '"type":"T","data":{"n": 1.10, "big": 123456789012345678901234567890},"metadata":{"m": 1},'
        '"tags":["b","a","b"],"recorded_at":"2026-01-01T00:00:00+00:00"}'
    )
    [row] = ndjson_rows(["\n", text], source="s", limits=LIMITS)
    assert row == Row(
        2,
        "a-1",
        EncodedEvent(
            "T",
            '{"n": 1.10, "big": 123456789012345678901234567890}',
            '{"m": 1}',
            "0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42",
            ("a", "b"),
            58,
        ),
    )


def test_a_line_without_an_id_gets_one_that_repeats() -> None:
    first, again = (
        ndjson_row(1, '{"stream":"a","type":"T"}', source="s", limits=LIMITS) for _ in range(2)
    )
    assert first == again
    assert uuid.UUID(first.event.event_id).version == 5
    assert (first.event.data, first.event.metadata) == ("{}", "{}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nonsense", "line 4: JSON is malformed"),
        ("[]", "line 4: Expected `object`"),
        ('{"type":"T"}', "missing required field `stream`"),
        ('{"stream":"a"}', "missing required field `type`"),
        ('{"stream":"a","type":7}', "$.type"),
        ('{"stream":"a","type":"T","dta":{}}', "unknown field `dta`"),
        ('{"stream":"a","type":"T","metadata":[]}', "metadata: metadata is an object"),
        ('{"stream":"a","type":"T","data":"\\u0000"}', "data: a string has \\u0000"),
        ('{"stream":"a","type":"T","data":{"a":1e999}}', "data: a number's exponent"),
        ('{"stream":"a","type":"T","id":"7"}', "an event id is a UUID"),
        ('{"stream":"","type":"T"}', "a stream name must not be empty"),
        ('{"stream":"a","type":"T","data":' + "[" * 600 + "]" * 600 + "}", "nested deeper"),
        ('{"stream":"a","type":"T","data":' + "[" * 99_999, "line 4: "),
    ],
)
def test_a_line_that_cannot_be_an_event_is_named(text: str, fault: str) -> None:
    with pytest.raises(RowError) as found:
        ndjson_row(4, text, source="s", limits=LIMITS)
    assert str(found.value).startswith("line 4: ")
    assert fault in str(found.value)


def numbered(*streams: str, size: int = 10) -> list[Row]:
    """Make one row for each stream named, on lines from 1."""
    return [
        Row(n, stream, EncodedEvent("T", "x" * (size - 2), "{}", f"id-{n}", (), size))
        for n, stream in enumerate(streams, 1)
    ]


@pytest.mark.parametrize(
    ("count", "most", "most_bytes", "sizes"),
    [
        (0, 3, 999, []),
        (3, 3, 999, [3]),
        (7, 3, 999, [3, 3, 1]),
        (4, 9, 20, [2, 2]),
        (3, 9, 1, [1, 1, 1]),
    ],
)
def test_batches_are_cut_by_rows_and_by_bytes(
    count: int, most: int, most_bytes: int, sizes: list[int]
) -> None:
    rows = numbered(*["a"] * count)
    cut = list(batches(rows, most=most, most_bytes=most_bytes))
    assert [len(batch) for batch in cut] == sizes
    assert [row for batch in cut for row in batch] == rows


def test_neighbours_of_one_stream_are_one_append_and_the_order_is_kept() -> None:
    rows = numbered("a", "a", "b", "a", "b", "b")
    made = appends(rows)
    assert [(one.stream_name, len(one.events)) for one in made] == [
        ("a", 2),
        ("b", 1),
        ("a", 1),
        ("b", 2),
    ]
    assert [event.event_id for one in made for event in one.events] == [
        row.event.event_id for row in rows
    ]
    assert {one.expected for one in made} == {ANY.code}


@pytest.mark.parametrize(
    ("append", "event", "line"), [(0, 0, 1), (0, 1, 2), (1, 0, 3), (2, 0, 4), (3, 1, 6)]
)
def test_a_place_in_a_request_is_a_line_of_the_file(append: int, event: int, line: int) -> None:
    assert row_at(numbered("a", "a", "b", "a", "b", "b"), append, event).line == line
