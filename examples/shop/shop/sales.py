"""Sales: customers, their orders, and what they pay.

customer-*  CustomerRegistered  {name, email}
            EmailChanged        {email}
order-*     OrderPlaced         {customer, total}
            OrderShipped        {}
payment-*   PaymentReceived     {order, customer, amount}
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from eventstore import Projection, RecordedEvent

from .money import money

Row = dict[str, Any]

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("total", sa.Numeric, nullable=False),
    sa.Column("paid", sa.Numeric, nullable=False),
)
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("spent", sa.Numeric, nullable=False),
)

sales = Projection("sales", categories=["customer", "order", "payment"], tables=[orders, customers])


def order_of(event: RecordedEvent) -> str:
    """Tell which order an event is about: a payment has a stream of its own, and names it."""
    return event.data["order"] if event.category == "payment" else event.stream_name


@sales.fold(orders, key=order_of, types=["OrderPlaced", "OrderShipped", "PaymentReceived"])
def order(row: Row | None, event: RecordedEvent) -> Row:
    """Fold an order: placed, then paid in one payment or several, then shipped."""
    if event.event_type == "OrderPlaced":
        return {
            "customer_id": event.data["customer"],
            "status": "placed",
            "total": money(event.data["total"]),
            "paid": Decimal(0),
        }
    row = known(row, event)
    if event.event_type == "OrderShipped":
        return {**row, "status": "shipped"}
    paid = row["paid"] + money(event.data["amount"])
    return {**row, "paid": paid, "status": "paid" if paid >= row["total"] else row["status"]}


def customer_of(event: RecordedEvent) -> str:
    """Tell whose an event is: orders and payments name their customer."""
    return event.stream_name if event.category == "customer" else event.data["customer"]


@sales.fold(
    customers, key=customer_of, types=["CustomerRegistered", "OrderPlaced", "PaymentReceived"]
)
def customer(row: Row | None, event: RecordedEvent) -> Row:
    """Fold a customer: how many orders there are, and what has been paid for them."""
    if event.event_type == "CustomerRegistered":
        return {"name": event.data["name"], "orders": 0, "spent": Decimal(0)}
    row = known(row, event)
    if event.event_type == "OrderPlaced":
        return {**row, "orders": row["orders"] + 1}
    return {**row, "spent": row["spent"] + money(event.data["amount"])}


def known(row: Row | None, event: RecordedEvent) -> Row:
    """Refuse an event about what was never heard of: its stream waits, and no other does."""
    if row is None:
        raise LookupError(f"{event.event_type} is about an order or a customer that is not known")
    return row
