"""Folding in memory: rows by key, lookups as new as the event, and failures that harm nobody."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock

import pytest
import sqlalchemy as sa
from hypothesis import given as examples
from hypothesis import strategies as st

from eventstore import EventData, InvalidInput, RecordedEvent
from eventstore.core.columns import Row
from eventstore.core.definition import OnFailure
from eventstore.core.folding import Rows, fold, plan
from eventstore.core.projection import Projection
from eventstore.core.sql_projection import SqlProjection
from eventstore.testing import event, given

metadata = sa.MetaData()
orders_table = sa.Table(
    "orders",
    metadata,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text),
    sa.Column("mail", sa.Text),
)
customers_table = sa.Table(
    "customers",
    metadata,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("customer", sa.Text, primary_key=True),
    sa.Column("mail", sa.Text),
)


def made(on_failure: OnFailure = "park") -> Projection:
    """Orders that know their customer's address of the time."""
    projection = Projection("orders", tables=[orders_table, customers_table], on_failure=on_failure)

    @projection.fold(
        customers_table,
        key=lambda event: ("eu", event.data["customer"]),
        types=["Registered", "Left"],
    )
    def customer(_: Row | None, event: RecordedEvent) -> Row | None:
        return None if event.event_type == "Left" else {"mail": event.data["mail"]}

    @projection.fold(
        orders_table,
        key=lambda event: event.stream_name,
        types=["Placed", "Paid", "Broken"],
        lookups={"buyer": (customers_table, lambda e: ("eu", e.data.get("customer")))},
    )
    def order(row: Row | None, event: RecordedEvent, buyer: Row | None) -> Row | None:
        if event.event_type == "Placed":
            return {"status": "placed", "mail": buyer and buyer["mail"]}
        if row is None:
            raise ValueError("no such order")
        row["status"] = event.event_type.lower()
        if event.event_type == "Broken":
            raise ValueError("broken")
        return row

    return projection


ANN = event("customer-1", "Registered", {"customer": "ann", "mail": "ann@old"})
MOVED = event("customer-1", "Registered", {"customer": "ann", "mail": "ann@new"})


def placed(stream: str = "order-1") -> RecordedEvent:
    return event(stream, "Placed", {"customer": "ann"})


def test_rows_are_folded_by_key_and_lookups_are_as_new_as_the_event() -> None:
    given(
        made(),
        [ANN, placed(), MOVED, placed("order-2"), event("order-1", "Paid", {"customer": "x"})],
    ).expect(
        orders_table,
        {
            "order-1": {"status": "paid", "mail": "ann@old"},
            "order-2": {"status": "placed", "mail": "ann@new"},
        },
    ).expect(customers_table, {("eu", "ann"): {"mail": "ann@new"}})


def test_none_removes_a_row_and_an_event_of_another_type_changes_nothing() -> None:
    left = event("customer-1", "Left", {"customer": "ann"})
    given(made(), [ANN, left, event("customer-1", "Unknown")]).expect(customers_table, {})


def test_what_does_not_fold_is_not_tested_without_a_database() -> None:
    executed = Projection("executed", tables=[orders_table])
    executed.execute()(AsyncMock())
    statement = "INSERT INTO {orders} SELECT FROM batch"
    for one in (executed, SqlProjection("sql", tables=[orders_table], statement=statement)):
        with pytest.raises(InvalidInput, match=f"{one.name} .*does not fold: test it with a"):
            given(one, [])


def test_one_event_is_given_as_several_are() -> None:
    given(made(), placed()).expect(orders_table, {"order-1": {"status": "placed"}})


def test_a_read_table_may_be_named() -> None:
    outcome = given(made(), placed())
    outcome.expect("orders", {"order-1": {"status": "placed"}})
    for look in (outcome.rows, lambda name: outcome.expect(name, {})):
        with pytest.raises(InvalidInput, match="'loans' is not one of orders's tables"):
            look("loans")


def test_what_no_store_would_give_is_no_event_of_a_projection() -> None:
    for one in (EventData("Placed"), "Placed"):
        with pytest.raises(InvalidInput, match=r"a projection sees stored events, as event\("):
            given(made(), [one])  # type: ignore[list-item]


def test_a_fold_that_fails_says_at_which_event() -> None:
    outcome = given(made(), [placed(), ANN, event("order-1", "Broken", {"customer": "ann"})])
    for _ in range(2):
        with pytest.raises(ValueError, match="broken") as failed:
            outcome.expect(orders_table, {})
        assert failed.value.__notes__ == ["at event 3: Broken of order-1"]


def test_an_expectation_that_is_wrong_says_what_differs() -> None:
    outcome = given(made(), [placed()])
    with pytest.raises(AssertionError, match=r"order-1.*expected .*paid.*found .*placed"):
        outcome.expect(orders_table, {"order-1": {"status": "paid"}})
    with pytest.raises(AssertionError, match="order-2"):
        outcome.expect(orders_table, {"order-1": {"status": "placed"}, "order-2": {}})
    with pytest.raises(AssertionError, match="order-1"):
        outcome.expect(orders_table, {})


@pytest.mark.parametrize(
    ("policy", "left", "failed"),
    [
        ("park", {"order-1": "paid", "order-2": "placed"}, [3]),
        ("skip", {"order-1": "paid", "order-2": "paid"}, [3]),
        ("stop", {"order-1": "placed", "order-2": "placed"}, [3]),
    ],
)
def test_a_failure_harms_only_what_its_policy_says(
    policy: OnFailure, left: dict[str, str], failed: list[int]
) -> None:
    events = [
        placed("order-1"),
        placed("order-2"),
        event("order-2", "Broken", {"customer": "ann"}),
        event("order-1", "Paid", {"customer": "ann"}),
        event("order-2", "Paid", {"customer": "ann"}),
    ]
    outcome = given(made(policy), events)
    assert [failure.event.position for failure in outcome.failures] == failed
    assert {key[0]: row["status"] for key, row in outcome.rows(orders_table).items()} == left
    with pytest.raises(ValueError, match="broken"):
        outcome.expect(orders_table, {})


def test_an_event_that_fails_in_a_later_fold_leaves_nothing_in_an_earlier_one() -> None:
    projection = Projection("twice", tables=[orders_table, customers_table])

    @projection.fold(customers_table, key=lambda event: ("eu", event.stream_name))
    def first(row: Row | None, event: RecordedEvent) -> Row:
        return {"mail": event.event_type}

    @projection.fold(orders_table, key=lambda event: event.stream_name)
    def second(row: Row | None, event: RecordedEvent) -> Row:
        if event.event_type == "Bad":
            raise ValueError("bad")
        return {"status": event.event_type}

    outcome = given(projection, [event("a", "Good"), event("a", "Bad"), event("b", "Bad")])
    assert [failure.event.position for failure in outcome.failures] == [2, 3]
    assert outcome.rows(customers_table) == {
        ("eu", "a"): {"region": "eu", "customer": "a", "mail": "Good"}
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"nothing": 1}, "no column nothing"),
        ({"order_id": "other"}, "another order_id"),
        ("text", "a dict or None, not 'text'"),
    ],
)
def test_a_row_that_does_not_fit_is_a_failure_of_its_event(row: Any, problem: str) -> None:
    projection = Projection("wrong", tables=[orders_table])
    projection.fold(orders_table, key=lambda event: event.stream_name)(lambda _, __: row)
    [failure] = given(projection, [event("a", "T")]).failures
    assert problem in str(failure.error)


@pytest.mark.parametrize("key", [("a", "b"), (None,), (), {"a": 1}, ["a"]])
def test_a_key_that_does_not_fit_is_a_failure_of_its_event(key: Any) -> None:
    projection = Projection("wrong", tables=[orders_table])
    projection.fold(orders_table, key=lambda _: key)(lambda row, _: row or {})
    [failure] = given(projection, [event("a", "T")]).failures
    assert isinstance(failure.error, (InvalidInput, TypeError))


def test_a_row_that_ends_as_it_was_is_not_written() -> None:
    projection = Projection("same", tables=[orders_table])

    @projection.fold(orders_table, key=lambda event: event.stream_name)
    def toggle(row: Row | None, event: RecordedEvent) -> Row | None:
        return {"status": "on"} if row is None else None

    planned = plan(projection, [event("a", "T"), event("a", "T"), event("b", "T")])
    assert list(planned.keys["orders"]) == [("a",), ("b",)]
    before: Rows = {"orders": {("a",): None, ("b",): None}}
    folded = fold(planned, before)
    assert list(folded.rows["orders"]) == [("b",)]
    assert before == {"orders": {("a",): None, ("b",): None}}


def test_streams_that_are_held_back_are_not_planned() -> None:
    planned = plan(made(), [placed("order-1"), placed("order-2")], held={"order-1"})
    assert [step.event.stream_name for step in planned.steps] == ["order-2"]


def test_data_that_python_cannot_read_fails_only_where_a_handler_looks() -> None:
    projection = Projection("orders", tables=[orders_table])

    @projection.fold(orders_table, key=lambda event: event.stream_name)
    def order(_: Row | None, event: RecordedEvent) -> Row:
        return {"status": event.data["status"] if event.event_type == "Look" else "seen"}

    unreadable = [
        event(stream, kind)._replace(data_json="9" * 5_000)
        for stream, kind in (("a", "T"), ("b", "Look"))
    ]
    folded = fold(plan(projection, unreadable), {"orders": {("a",): None, ("b",): None}})
    assert list(folded.rows["orders"]) == [("a",)]
    assert [failure.event.stream_name for failure in folded.failures] == ["b"]


@examples(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["Placed", "Paid", "Broken"])),
        max_size=20,
    ),
    st.integers(1, 20),
    st.sampled_from(["park", "skip"]),
)
def test_a_batch_at_a_time_leaves_what_an_event_at_a_time_leaves(
    history: list[tuple[str, str]], size: int, policy: OnFailure
) -> None:
    events = [
        event(stream, kind, {"customer": "ann"})._replace(position=n)
        for n, (stream, kind) in enumerate(history, 1)
    ]
    assert _in_batches(made(policy), events, size) == _in_batches(made(policy), events, 1)


def _in_batches(
    projection: Projection, events: list[RecordedEvent], size: int
) -> tuple[dict[Any, Row], list[int]]:
    table: dict[str, dict[Any, Row]] = {name: {} for name in projection.columns}
    failed: list[RecordedEvent] = []
    for first in range(0, len(events), size):
        held = {one.stream_name for one in failed} if projection.on_failure == "park" else set()
        planned = plan(projection, events[first : first + size], held)
        rows: Rows = {
            name: {key: table[name].get(key) for key in keys} for name, keys in planned.keys.items()
        }
        folded = fold(planned, rows)
        for name, changed in folded.rows.items():
            for key, row in changed.items():
                if row is None:
                    table[name].pop(key, None)
                else:
                    table[name][key] = row
        failed += [failure.event for failure in folded.failures]
    return table["orders"], [one.position for one in failed]


def test_a_value_that_is_changed_in_place_is_a_change_and_leaves_the_event_alone() -> None:
    table = sa.Table(
        "carts",
        sa.MetaData(),
        sa.Column("cart", sa.Text, primary_key=True),
        sa.Column("items", sa.JSON),
    )
    projection = Projection("carts", tables=[table])

    @projection.fold(table, key=lambda event: event.stream_name)
    def cart(row: Row | None, event: RecordedEvent) -> Row:
        if row is None:
            return {"items": event.data["items"]}
        row["items"].append(event.event_type)
        if event.event_type == "Bad":
            raise ValueError("bad")
        return row

    loaded: Rows = {"carts": {("a",): {"cart": "a", "items": ["x"]}}}
    folded = fold(plan(projection, [event("a", "T")]), loaded)
    assert folded.rows == {"carts": {("a",): {"cart": "a", "items": ["x", "T"]}}}
    assert loaded == {"carts": {("a",): {"cart": "a", "items": ["x"]}}}
    first = event("a", "Made", {"items": ["x"]})
    for last in ("T", "Bad"):
        given(projection, [first, event("b", "Made", {"items": []}), event("a", last)])
        assert first.data == {"items": ["x"]}
