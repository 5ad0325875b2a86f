"""Header fields as their RFCs write them, whatever is quoted in them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore_api.fields import elements, pair
from eventstore_api.headers import (
    LONGEST_WAIT,
    Headers,
    Waiting,
    idempotency_key,
    knows,
    media_type,
    negotiate,
    waiting,
)
from eventstore_api.problems import HttpError

JSON, NDJSON, SSE = "application/json", "application/x-ndjson", "text/event-stream"


def headers(name: str, *values: str) -> Headers:
    """Return a request's headers: a field that comes once or several times."""
    return Headers([(name.encode(), value.encode()) for value in values])


def quoted(text: str) -> str:
    """Write a text as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a, b", ["a", "b"]),
        (" a\t,,b , ", ["a", "b"]),
        ("", []),
        ('a="x,y", b', ['a="x,y"', "b"]),
        (r'a="x\",y", b', [r'a="x\",y"', "b"]),
        (r'a="x\\", b', [r'a="x\\"', "b"]),
        ('a="x, b', ['a="x, b']),
        ('"', ['"']),
    ],
)
def test_a_list_is_split_where_nothing_is_quoted(value: str, found: list[str]) -> None:
    assert elements(value) == found


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)))
def test_what_is_quoted_comes_through_lists_as_it_was(texts: list[str]) -> None:
    written = ",".join(f"name={quoted(text)}" for text in texts)
    assert [pair(part) for part in elements(written)] == [("name", text) for text in texts]


@given(st.text('",\\; a='))
def test_a_list_takes_time_for_its_length_alone(text: str) -> None:
    value = text * (100_000 // (len(text) or 1))
    before = time.process_time()
    elements(value)
    assert time.process_time() - before < 1


PREFERENCES = [
    (["wait=2"], Waiting(2)),
    (["wait = 2"], Waiting(2)),
    (['WAIT="2"'], Waiting(2)),
    (["wait=1000"], Waiting(LONGEST_WAIT)),
    (['wait=2; for="orders"'], Waiting(2, "orders")),
    (["wait=2;for=orders;x"], Waiting(2, "orders")),
    ([r'wait=2; for="or\ders"'], Waiting(2, "orders")),
    (["respond-async", "wait=2"], Waiting(2)),
    (["wait=2", "wait=3"], Waiting(2)),
    (["wait=2, wait=x"], Waiting(2)),
    (['foo="a, wait=9; b", wait=2'], Waiting(2)),
    ([r'foo="\", wait=9", wait=2'], Waiting(2)),
    (['foo="wait=9"; bar="x,y"'], Waiting()),
    (["a,,wait=2,"], Waiting(2)),
    (['handling=lenient; foo=""'], Waiting()),
    ([""], Waiting()),
]


@pytest.mark.parametrize(("values", "wanted"), PREFERENCES)
def test_preferences_are_read_as_rfc_7240_says(values: list[str], wanted: Waiting) -> None:
    assert waiting(headers("prefer", *values)) == wanted


@pytest.mark.parametrize("value", ["wait", "wait=", 'wait="', "wait=-1", "=1", "a b", ";wait=1"])
def test_what_is_no_preference_is_refused(value: str) -> None:
    with pytest.raises(HttpError, match="Prefer"):
        waiting(headers("prefer", value))


ACCEPTED = [
    ([SSE], SSE),
    ([f"{SSE}, */*"], SSE),
    ([f"*/*, {SSE}"], SSE),
    ([f"{SSE};charset=utf-8"], SSE),
    ([f"{SSE}, application/*"], SSE),
    ([f"{SSE};q=0.5, */*"], JSON),
    ([f"{SSE};q=0, */*"], JSON),
    ([f"{JSON};q=0, {NDJSON};q=0, */*"], SSE),
    (["text/*"], SSE),
    (["text/html", NDJSON], NDJSON),
    ([JSON, SSE], JSON),
    ([f'{NDJSON};profile="a, {SSE};q=1";q=0.4, {JSON};q=0.3'], NDJSON),
    ([f",{NDJSON},,"], NDJSON),
    ([f"{NDJSON};q=0.001"], NDJSON),
    ([f"{NDJSON};Q=1.000"], NDJSON),
    (["*/*"], JSON),
    ([], JSON),
]


@pytest.mark.parametrize(("values", "form"), ACCEPTED)
def test_the_form_is_the_one_that_is_asked_for(values: list[str], form: str) -> None:
    assert negotiate(headers("accept", *values), (JSON, NDJSON, SSE)) == form


@pytest.mark.parametrize("quality", ["1.1", "2", "-0", "1e-1", "nan", ".5", "0,5", "x", "", "0 1"])
def test_a_quality_is_between_0_and_1(quality: str) -> None:
    with pytest.raises(HttpError, match="Accept"):
        negotiate(headers("accept", f"{JSON};q={quality}"), (JSON,))


@pytest.mark.parametrize("value", [f"{SSE};q=0", "text/html", "*/*;q=0", "", f"*/*, {JSON};q=0"])
def test_what_is_asked_for_in_vain_is_not_acceptable(value: str) -> None:
    with pytest.raises(HttpError, match="comes as"):
        negotiate(headers("accept", value), (JSON,))


KEYS = [
    ("k1", "k1"),
    ('"k1"', "k1"),
    (r'"a\"b\\c"', r'a"b\c'),
    ('"k1";trace=1', "k1"),
    ("cl\xe9-1", "cl\xe9-1"),
    ("ключ", "ключ"),
    ('"cl\xe9 1"', "cl\xe9 1"),
    ('a"b', 'a"b'),
    ('"', '"'),
    (" k1 ", "k1"),
    ('" k1 "', " k1 "),
]


@pytest.mark.parametrize(("value", "key"), KEYS)
def test_a_key_is_text_as_it_is_or_quoted(value: str, key: str) -> None:
    assert idempotency_key(headers("idempotency-key", value)) == key


def test_a_key_that_is_not_utf8_is_latin1() -> None:
    assert idempotency_key(Headers([(b"idempotency-key", b"cl\xe9-1")])) == "cl\xe9-1"


@pytest.mark.parametrize("value", ['"7"', 'W/"7"', '"1", "7"', '"a,b",W/"7" ,', "*", '"7"x"8"'])
def test_a_reader_knows_what_its_tags_name(value: str) -> None:
    assert knows(headers("if-none-match", value), '"7"')


@pytest.mark.parametrize("value", ['"1"', "7", '"a,"', '"*"', '"17"', '"1, 7"', ""])
def test_a_reader_does_not_know_what_they_do_not_name(value: str) -> None:
    assert not knows(headers("if-none-match", value), '"7"')


@pytest.mark.parametrize(
    "value",
    [JSON, f"{JSON};", f'{JSON}; charset="UTF-8"', f'{JSON};profile="charset=latin-1"',
     f"{JSON}; x-charset=latin-1", "Application/JSON ; charset = utf-8"],
)  # fmt: skip
def test_a_content_type_has_parameters_that_are_not_its_charset(value: str) -> None:
    assert media_type(headers("content-type", value)) == JSON


@pytest.mark.parametrize("value", [f"{JSON}; charset=latin-1", f'{JSON};a=1;Charset="utf-16"'])
def test_another_charset_is_not_understood(value: str) -> None:
    with pytest.raises(HttpError, match="the charset is utf-8"):
        media_type(headers("content-type", value))
