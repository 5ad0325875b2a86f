"""`react`: a reactor's handler without a database, and what a test is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from eventstore import (
    Context,
    EventData,
    InvalidInput,
    NotFound,
    Projection,
    Reactor,
    RecordedEvent,
)
from eventstore.core.reactor import derived_ids, idempotency_key
from eventstore.testing import event, given, react

prices_table = sa.Table(
    "prices",
    sa.MetaData(),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("price", sa.Numeric),
    sa.Column("since", sa.Date),
)
prices = Projection("prices", types=["PriceSet"], tables=[prices_table])
bills = Reactor("bills", categories=["order"], after=["prices"])


@prices.fold(prices_table, key=lambda event: event.stream_name)
def price(_: object, event: RecordedEvent) -> dict[str, object]:
    if "price" not in event.data:
        raise KeyError("price")
    return {"price": event.data["price"], "since": "2026-01-01"}


@bills.on("OrderPlaced")
async def bill(event: RecordedEvent, context: Context) -> None:
    page = await context.store.projections.rows(
        "prices", "prices", where={"item": event.data["item"]}, position=event.position
    )
    for row in page.rows:
        data = {"price": str(row["price"]), "since": row["since"], "attempt": context.attempt}
        appended = await context.append("bill-1", EventData("Billed", data, tags=["b", "a"]))
        assert appended.event_ids == tuple(
            derived_ids(context.idempotency_key, "bill-1", appended.revision, 1)
        )


PEN = event("pen", "PriceSet", {"price": "1.50"})
INK = event("ink", "PriceSet", {"price": "7"})
PLACED = event("order-1", "OrderPlaced", {"item": "pen"}, metadata={"correlation_id": "visit"})
DATA = {"price": "1.50", "since": "2026-01-01", "attempt": 1}
BILLED = EventData("Billed", DATA, tags=["a", "b"])


def test_a_handler_reads_read_tables_as_they_are_given_and_what_it_appends_is_told() -> None:
    done = react(bills, PLACED, given(prices, [PEN, INK])).then({"bill-1": BILLED})
    [billed] = done.appended["bill-1"]
    assert billed.event_id == derived_ids(idempotency_key("bills", PLACED), "bill-1", 0, 1)[0]
    assert billed.metadata == {"causation_id": str(PLACED.event_id), "correlation_id": "visit"}


def test_an_attempt_may_be_a_later_one() -> None:
    again = EventData("Billed", {**DATA, "attempt": 3}, tags=["a", "b"])
    react(bills, PLACED, given(prices, [PEN]), attempt=3).then({"bill-1": [again]})


def test_a_row_that_is_not_there_is_none_that_is_found() -> None:
    react(bills, PLACED, given(prices, [])).then({})


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"bill-1": []},
        {"bill-2": BILLED},
        {"bill-1": [BILLED, BILLED]},
        {"bill-1": EventData("Billed", DATA, tags=["a"])},
        {"bill-1": EventData("Paid", DATA, tags=["a", "b"])},
        {"bill-1": EventData("Billed", {**DATA, "price": 1.5}, tags=["a", "b"])},
    ],
)
def test_what_differs_is_told(wanted: dict[str, EventData | list[EventData]]) -> None:
    with pytest.raises(AssertionError, match=r"(?s)something else:.*bill-1:.*found .*Billed"):
        react(bills, PLACED, given(prices, [PEN])).then(wanted)


def test_a_reactor_is_not_given_what_it_is_not_for() -> None:
    with pytest.raises(InvalidInput, match="bills is not for OrderPlaced of visit-1"):
        react(bills, event("visit-1", "OrderPlaced"))


@pytest.mark.parametrize("what", [[PLACED], EventData("OrderPlaced"), "OrderPlaced"])
def test_a_reactor_handles_one_event(what: Any) -> None:
    with pytest.raises(InvalidInput, match=r"bills handles one event, as event\('order-1'"):
        react(bills, what)


def test_read_tables_that_are_not_given_are_asked_for() -> None:
    with pytest.raises(NotFound, match="give react\\(\\) the read tables of 'prices'"):
        react(bills, PLACED)


def test_a_projection_that_fails_is_no_read_table() -> None:
    with pytest.raises(KeyError, match="price"):
        react(bills, PLACED, given(prices, [event("pen", "PriceSet")]))


def test_what_no_store_would_take_is_refused() -> None:
    odd = Reactor("odd")

    @odd.on("OrderPlaced")
    async def append(event: RecordedEvent, context: Context) -> None:
        await context.append("bill-1", EventData("Billed", {"price": Decimal("NaN")}))

    with pytest.raises(InvalidInput):
        react(odd, PLACED)
