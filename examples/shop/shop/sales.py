"""Sales: an order is placed, paid and shipped. Amounts are in cents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from eventstore import CommandRefused, Decider, Projection, RecordedEvent, decode_event


@dataclass(frozen=True)
class PlaceOrder:
    customer: str
    total: int


@dataclass(frozen=True)
class PayOrder:
    amount: int


@dataclass(frozen=True)
class ShipOrder: ...


@dataclass(frozen=True)
class OrderPlaced:
    customer: str
    total: int


@dataclass(frozen=True)
class OrderPaid:
    customer: str
    amount: int


@dataclass(frozen=True)
class OrderShipped:
    customer: str


@dataclass(frozen=True)
class Order:
    customer: str = ""  # nobody's: it is not placed yet
    due: int = 0
    is_shipped: bool = False


order = Decider("order", initial=Order())


@order.command(PlaceOrder)
def place(command: PlaceOrder, order: Order) -> OrderPlaced:
    if order.customer:
        raise CommandRefused("the order is placed already")
    if command.total <= 0:
        raise CommandRefused("an order costs something", total=command.total)
    return OrderPlaced(command.customer, command.total)


@order.command(PayOrder)
def pay(command: PayOrder, order: Order) -> OrderPaid:
    if not 0 < command.amount <= order.due:
        raise CommandRefused("that is not what is due", due=order.due)
    return OrderPaid(order.customer, command.amount)


@order.command(ShipOrder)
def ship(_: ShipOrder, order: Order) -> OrderShipped | None:
    if not order.customer:
        raise CommandRefused("there is no such order")
    if order.due:
        raise CommandRefused("the order is not paid", due=order.due)
    return None if order.is_shipped else OrderShipped(order.customer)


@order.event(OrderPlaced)
def placed(_: Order, event: OrderPlaced) -> Order:
    return Order(event.customer, due=event.total)


@order.event(OrderPaid)
def paid(order: Order, event: OrderPaid) -> Order:
    return replace(order, due=order.due - event.amount)


@order.event(OrderShipped)
def shipped(order: Order, _: OrderShipped) -> Order:
    return replace(order, is_shipped=True)


orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("customer", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
)
sales = Projection("sales", categories=["order"], types=list(order.events), tables=[orders])


@sales.fold(orders, key=lambda event: event.stream_name)
def order_row(row: dict[str, Any], stored: RecordedEvent) -> dict[str, Any]:
    match decode_event(order.events, stored):
        case OrderPlaced(customer, total):
            return {"customer": customer, "status": "placed", "total": total, "due": total}
        case OrderPaid(_, amount):
            due = row["due"] - amount
            return {**row, "due": due, "status": "placed" if due else "paid"}
        case _:
            return {**row, "status": "shipped"}
