"""Queries: what they mean, and their JSON form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from eventstore import (
    ConsumerGroup,
    EventQuery,
    InvalidInput,
    LimitExceeded,
    Limits,
    Projection,
)
from eventstore.core.batching import _Proxy as Event
from eventstore.core.query import QueryItem
from eventstore.core.reads import log_scan
from tests.fix_examples import names, queries

PLACED = Event("order-1", "Placed", ("customer:1", "vip"))


@pytest.mark.parametrize(
    ("query", "means"),
    [
        (EventQuery(), True),
        (EventQuery(streams=["order-1"]), True),
        (EventQuery(streams=["order-2", "order-1"]), True),
        (EventQuery(streams=["order"]), False),
        (EventQuery(categories=["order"]), True),
        (EventQuery(categories=["ord"]), False),
        (EventQuery(categories=["order-1"]), False),
        (EventQuery(types=["Paid", "Placed"]), True),
        (EventQuery(types=["placed"]), False),
        (EventQuery(tags=["vip"]), True),
        (EventQuery(tags=["vip", "customer:1"]), True),
        (EventQuery(tags=["vip", "customer:2"]), False),
        (EventQuery(categories=["order"], types=["Placed"], tags=["vip"]), True),
        (EventQuery(categories=["order"], types=["Paid"], tags=["vip"]), False),
        (EventQuery(streams=["order-1"], categories=["invoice"]), False),
        (EventQuery(types=["Paid"]) | EventQuery(tags=["vip"]), True),
        (EventQuery(types=["Paid"]) | EventQuery(tags=["customer:2"]), False),
        (EventQuery(types=["Paid"]) | EventQuery(), True),
    ],
    ids=lambda value: value.to_json() if isinstance(value, EventQuery) else str(value),
)
def test_dimensions_are_and_values_are_or_tags_are_all(query: EventQuery, means: bool) -> None:
    assert query.matches(PLACED) is means


def test_a_query_is_true_if_it_leaves_anything_out() -> None:
    assert not EventQuery()
    assert EventQuery(tags=["vip"])
    assert not EventQuery(tags=["vip"]) | EventQuery()


def test_queries_with_the_same_items_are_equal_and_usable_as_keys() -> None:
    assert {EventQuery(types=["A"]), EventQuery(types=iter(["A"]))} == {EventQuery(types=("A",))}


@given(queries)
def test_a_query_comes_back_from_its_json(query: EventQuery) -> None:
    assert EventQuery.from_json(json.loads(query.to_json())) == query


@given(names, names, names, names)
def test_any_legal_name_comes_back_from_json(stream: str, of: str, kind: str, tag: str) -> None:
    query = EventQuery(streams=[stream], categories=[of], types=[kind], tags=[tag])
    assert EventQuery.from_json(json.loads(query.to_json())) == query


def test_the_json_form_is_the_shape_that_sql_and_rest_take() -> None:
    query = EventQuery(types=["Placed"], tags=["b", "a"]) | EventQuery(categories=["żółw"])
    assert query.to_json() == (
        '{"any_of":[{"types":["Placed"],"tags":["b","a"]},{"categories":["żółw"]}]}'
    )
    assert EventQuery().to_json() == '{"any_of":[{}]}'


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        (None, "$", "object"),
        ([], "$", "object"),
        ({}, "$.any_of", "at least one item"),
        ({"any_of": []}, "$.any_of", "at least one item"),
        ({"any_of": {}}, "$.any_of", "at least one item"),
        ({"any_of": [{}], "after": 1}, "$", "unknown member 'after'"),
        ({"any_of": [[]]}, "$.any_of[0]", "object"),
        ({"any_of": [{}, {"type": ["A"]}]}, "$.any_of[1]", "unknown member 'type'"),
        ({"any_of": [{}, {"types": "A"}]}, "$.any_of[1].types", "list of texts"),
        ({"any_of": [{"tags": [1]}]}, "$.any_of[0].tags", "list of texts"),
        ({"any_of": [{"tags": [None]}]}, "$.any_of[0].tags", "list of texts"),
        ({"any_of": [{"tags": ["ok", ""]}]}, "$.any_of[0].tags", "empty"),
        ({"any_of": [{"streams": ["\u0000"]}]}, "$.any_of[0].streams", "control"),
        ({"any_of": [{"types": ["\ud800"]}]}, "$.any_of[0].types", "surrogate"),
        ({"any_of": [{"types": ["e\u0301"]}]}, "$.any_of[0].types", "NFC"),
    ],
)
def test_a_fault_in_a_query_is_named_with_its_path(value: Any, path: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        EventQuery.from_json(value)
    assert refused.value.path == path


def test_a_query_has_limits() -> None:
    limits = Limits(query_items=2, query_values=3)
    EventQuery.from_json({"any_of": [{"types": ["A", "B"]}, {"tags": ["c"]}]}, limits=limits)
    with pytest.raises(LimitExceeded, match="2 items"):
        EventQuery.from_json({"any_of": [{}] * 3}, limits=limits)
    with pytest.raises(LimitExceeded, match="3 values"):
        EventQuery.from_json({"any_of": [{"types": ["A", "B"]}] * 2}, limits=limits)


@pytest.mark.parametrize("dimension", QueryItem._fields)
def test_one_text_in_place_of_a_list_is_refused(dimension: str) -> None:
    with pytest.raises(InvalidInput, match=f"{dimension} is a list"):
        EventQuery(**{dimension: "order"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ask",
    [
        lambda query: ConsumerGroup("mails", query),
        lambda query: log_scan(query, after=None, before=None, direction="forward"),
        lambda query: Projection("orders", query=query, tables=[]),
    ],
)
def test_a_list_is_no_query(ask: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidInput, match=r"a query is an EventQuery.*: \['BookLent'\]"):
        ask(["BookLent"])


def test_a_query_of_no_items_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one item"):
        EventQuery(any_of=[])
