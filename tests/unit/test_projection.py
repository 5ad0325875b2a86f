"""Definitions: what fits together, and what is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from eventstore import EventQuery, InvalidInput
from eventstore.core.projection import Projection
from eventstore.core.sql_projection import SqlProjection

metadata = sa.MetaData()
table = sa.Table("orders", metadata, sa.Column("id", sa.Text, primary_key=True))
keyless = sa.Table("keyless", metadata, sa.Column("id", sa.Text))


def test_a_definition_says_what_it_takes() -> None:
    projection = Projection("orders", categories=["order"], tables=[table])
    assert projection.query == EventQuery(categories=["order"])
    assert (projection.version, projection.partitions, projection.on_failure) == (1, 1, "park")
    assert Projection("all", tables=[table]).query == EventQuery()
    query = EventQuery(types=["A"]) | EventQuery(tags=["t"])
    assert Projection("two", query=query, tables=[table]).query is query


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"name": "Orders"}, "name"),
        ({"name": "1"}, "name"),
        ({"name": "a" * 42}, "name"),
        ({"version": 0}, "version"),
        ({"partitions": 0}, "partitions"),
        ({"partitions": 65}, "partitions"),
        ({"partitions": 2}, "keys_within_streams=True"),
        ({"on_failure": "ignore"}, "on_failure"),
        ({"query": EventQuery(types=["A"]), "categories": ["order"]}, "not both"),
        ({"categories": "order"}, "list"),
        ({"tables": []}, "read table"),
        ({"tables": [table, table]}, "own name"),
        ({"tables": [keyless]}, "primary key"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Projection(**{"name": "orders", "tables": [table], **wrong})


@pytest.mark.parametrize("kind", [Projection, SqlProjection])
def test_an_option_that_there_is_not_is_answered_with_those_that_there_are(
    kind: Callable[..., object],
) -> None:
    options = {"statement": "SELECT FROM batch"} if kind is SqlProjection else {}
    with pytest.raises(
        TypeError, match=r"orders: there is no option category: .*categories, types"
    ):
        kind("orders", category="order", tables=[], **options)


def test_a_fold_is_of_a_table_of_its_projection() -> None:
    other = sa.Table("other", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True))
    projection = Projection("orders", tables=[table])
    with pytest.raises(InvalidInput, match="other"):
        projection.fold(other, key=lambda event: event.stream_name)
    with pytest.raises(InvalidInput, match="other"):
        projection.fold(table, key=lambda event: 1, lookups={"x": (other, lambda event: 1)})


def test_an_event_goes_through_the_folds_of_its_type_in_their_order() -> None:
    projection = Projection("orders", tables=[table])
    folds: list[Any] = []
    for types in (["A"], [], ["A", "B"]):
        projection.fold(table, key=lambda event: 1, types=types)(lambda row, event: row)
        folds.append(projection.folds[-1])
    assert projection.folds_of("A") == (folds[0], folds[1], folds[2])
    assert projection.folds_of("B") == (folds[1], folds[2])
    assert projection.folds_of("C") == (folds[1],)
    projection.fold(table, key=lambda event: 1)(lambda row, event: row)
    assert len(projection.folds_of("C")) == 2


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ("BookLent", "types is a list of texts, not one text"),
        ([""], "a value of types"),
        (["A", "D", "C"], "not among the types of the projection: C, D"),
    ],
)
def test_types_of_a_handler_are_among_those_of_its_projection(types: Any, problem: str) -> None:
    query = EventQuery(types=["A"]) | EventQuery(types=["B"], tags=["t"])
    projection = Projection("orders", query=query, tables=[table])
    with pytest.raises(InvalidInput, match=problem):
        projection.execute(types=types)
    with pytest.raises(InvalidInput, match=problem):
        projection.fold(table, key=lambda event: 1, types=types)
    projection.fold(table, key=lambda event: 1, types=["A", "B"])


def test_any_type_is_among_those_of_a_query_that_means_some_by_category() -> None:
    query = EventQuery(types=["A"]) | EventQuery(categories=["order"])
    Projection("orders", query=query, tables=[table]).execute(types=["C"])
