"""Python and SQL give one verdict on every event: a rule holds in each face, or it is none."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eventstore import EventData, InvalidInput
from eventstore.core.append import encode_append
from eventstore.core.events import encoded_event
from eventstore.core.jsontext import check_json_text, json_size
from eventstore.core.limits import DEFAULT_LIMITS
from tests.fix_database import Psql

names = st.text(st.sampled_from("aZ- é\u0301\u00ad\n\x7f\x85漢🙂"), max_size=4) | st.sampled_from(
    ["x" * 255, "x" * 256, "é" * 127, "é" * 128, "Cafe\u0301", "Caf\u00e9", " ", "a\u2028b"]
)
numbers = st.builds(
    lambda sign, digits, point, exponent: f"{sign}{digits}{point}{exponent}",
    st.sampled_from(["", "-"]),
    st.sampled_from(["0", "7", "10", "9" * 300, "1" * 999, "1" * 1000, "1" * 1001]),
    st.sampled_from(["", ".0", ".50", ".000001", "." + "3" * 500]),
    st.sampled_from(["", "e3", "E-5", "e+308", "e-324", "e0"]),
)
depths = st.builds(
    lambda depth, before, inner, after: before * depth + inner + after * depth,
    st.sampled_from([1, 2, 511, 512, 513, 600]),
    st.just("["),
    st.sampled_from(["", "1"]),
    st.just("]"),
) | st.sampled_from([2, 512, 513]).map(lambda depth: '{"a":' * depth + "1" + "}" * depth)
texts = (
    numbers
    | depths
    | st.text(max_size=20).map(json.dumps)
    | st.sampled_from(["null", "true", "[]", "{}"])
)
documents = texts | st.lists(texts, max_size=4).map(lambda some: f"[{', '.join(some)}]")


def verdict_of_python(stream: str, type_: str, data: str, metadata: str, tags: list[str]) -> bool:
    try:
        encode_append(stream, EventData(type_, tags=tags))
        for text in (data, metadata):
            check_json_text(text)
        if not metadata.startswith("{"):
            raise InvalidInput("metadata is an object")
        encoded_event(type_, data, metadata, None, tags, path="$", limits=DEFAULT_LIMITS)
    except InvalidInput:
        return False
    return True


def verdict_of_sql(sql: Psql, *event: Any) -> bool:
    append = "SELECT eventstore.append(%s, %s, %s::jsonb, %s::jsonb, tags => %s)"
    try:
        with sql.transaction(force_rollback=True):
            sql.execute(append, event)
    except psycopg.Error as error:
        # 22P05: U+0000, which jsonb cannot hold.
        assert error.sqlstate in {"ST004", "22P05"}, error  # noqa: PT017
        return False
    return True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=names,
    type_=names,
    data=documents,
    metadata=documents | documents.map(lambda text: f'{{"m": {text}}}'),
    tags=st.lists(names, max_size=3) | st.just([str(n) for n in range(64)]),
)
@example("a", "T", "1" * 1000, "{}", [])
@example("a", "T", "1" * 1001, "{}", [])
@example("a", "T", "[" * 512 + "]" * 512, "{}", [])
@example("a", "T", "[" * 513 + "]" * 513, "{}", [])
@example("a", "T", '"' + "x" * (1 << 20) + '"', "{}", [])
@example("a", "T", '"' + "\\u00e9" * 400_000 + '"', "{}", [])
@example("a", "T", "[" + "1e308, " * 3_000 + "1]", "{}", [])
@example("a", "T", "[" + "1e308, " * 4_000 + "1]", "{}", [])
@example("a", "T", "1", "{}", [str(n) for n in range(65)])
def test_what_one_refuses_the_other_refuses(
    sql: Psql, stream: str, type_: str, data: str, metadata: str, tags: list[str]
) -> None:
    event = (stream, type_, data, metadata, tags)
    assert verdict_of_python(*event) is verdict_of_sql(sql, *event)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents.filter(lambda text: "\\u0000" not in text))
@example('{"a" : [1e3, "\\u00e9\\/x\\u0001\\n", true , null, -0, -0.00]}')
def test_both_measure_an_event_alike(sql: Psql, text: str) -> None:
    try:
        check_json_text(text)
    except InvalidInput:
        return
    [(size,)] = sql.execute("SELECT eventstore.json_size_v1((%s::jsonb)::text)", [text]).fetchall()
    assert json_size(text) == size


def test_a_number_is_kept_as_it_was_measured(sql: Psql) -> None:
    for text in ("1e308", "5e-324", "1.50", "-1.5e2", "0.001e5", "0e308", "-0"):
        [(kept,)] = sql.execute("SELECT (%s::jsonb)::text", [text]).fetchall()
        assert Decimal(kept) == Decimal(text)
        assert json_size(text) == len(kept)
