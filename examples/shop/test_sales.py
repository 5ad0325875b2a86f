"""Sales, without a database: what is decided, and the rows that come of it."""

from eventstore.testing import event, given
from shop.sales import (
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    PayOrder,
    PlaceOrder,
    ShipOrder,
    order,
    orders,
    sales,
)

PLACED = OrderPlaced(customer="ada", total=1250)
PAID = OrderPaid(customer="ada", amount=1250)


def test_an_order_is_placed_paid_and_shipped() -> None:
    given(order, []).when(PlaceOrder(customer="ada", total=1250)).then([PLACED])
    given(order, [PLACED]).when(PayOrder(amount=1250)).then([PAID])
    given(order, [PLACED, PAID]).when(ShipOrder()).then([OrderShipped(customer="ada")])


def test_an_order_is_placed_once_and_costs_something() -> None:
    given(order, [PLACED]).when(PlaceOrder("bob", total=1)).refused("the order is placed already")
    given(order, []).when(PlaceOrder("bob", total=0)).refused("an order costs something")


def test_nobody_pays_more_than_is_due() -> None:
    some = OrderPaid(customer="ada", amount=1000)
    given(order, [PLACED, some]).when(PayOrder(amount=250)).then([OrderPaid("ada", 250)])
    refusal = given(order, [PLACED, some]).when(PayOrder(amount=251)).refused()
    assert refusal.details == {"due": 250}


def test_an_order_is_shipped_once_it_is_paid_and_once_only() -> None:
    given(order, []).when(ShipOrder()).refused("there is no such order")
    given(order, [PLACED]).when(ShipOrder()).refused("the order is not paid")
    given(order, [PLACED, PAID, OrderShipped("ada")]).when(ShipOrder()).then([])


def test_its_row_says_what_is_due() -> None:
    events = [
        event("order-1", "OrderPlaced", {"customer": "ada", "total": 1250}),
        event("order-1", "OrderPaid", {"customer": "ada", "amount": 1000}),
    ]
    row = {"customer": "ada", "total": 1250}
    given(sales, events).expect(orders, {"order-1": {**row, "status": "placed", "due": 250}})
    events.append(event("order-1", "OrderPaid", {"customer": "ada", "amount": 250}))
    given(sales, events).expect(orders, {"order-1": {**row, "status": "paid", "due": 0}})
    events.append(event("order-1", "OrderShipped", {"customer": "ada"}))
    given(sales, events).expect(orders, {"order-1": {**row, "status": "shipped", "due": 0}})
