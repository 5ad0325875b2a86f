"""Sales, without a database: events in, rows out."""

from decimal import Decimal

from eventstore import RecordedEvent
from eventstore.testing import event, given
from shop.sales import customers, orders, sales

ADA = event("customer-ada", "CustomerRegistered", {"name": "Ada", "email": "ada@example.org"})
PLACED = event("order-1", "OrderPlaced", {"customer": "customer-ada", "total": "12.50"})
SHIPPED = event("order-1", "OrderShipped")


def paid(payment_id: str, amount: str, order_id: str = "order-1") -> RecordedEvent:
    data = {"order": order_id, "customer": "customer-ada", "amount": amount}
    return event(payment_id, "PaymentReceived", data)


def test_an_order_is_paid_when_its_payments_reach_the_total() -> None:
    row = {"customer_id": "customer-ada", "total": Decimal("12.50")}
    some, rest = paid("payment-1", "10"), paid("payment-2", "2.5")

    given(sales, [ADA, PLACED, some]).expect(
        orders, {"order-1": {**row, "paid": Decimal(10), "status": "placed"}}
    )
    given(sales, [ADA, PLACED, some, rest]).expect(
        orders, {"order-1": {**row, "paid": Decimal("12.5"), "status": "paid"}}
    )


def test_a_customer_has_orders_and_has_spent() -> None:
    second = event("order-2", "OrderPlaced", {"customer": "customer-ada", "total": "3"})

    given(sales, [ADA, PLACED, second, paid("payment-1", "12.50")]).expect(
        customers, {"customer-ada": {"name": "Ada", "orders": 2, "spent": Decimal("12.50")}}
    )


def test_a_total_may_have_a_comma() -> None:
    placed = event("order-1", "OrderPlaced", {"customer": "customer-ada", "total": "12,50"})

    [row] = given(sales, [ADA, placed, SHIPPED]).rows(orders).values()
    assert (row["total"], row["status"]) == (Decimal("12.50"), "shipped")


def test_a_payment_for_an_unknown_order_fails_and_changes_nothing() -> None:
    outcome = given(sales, [ADA, PLACED, paid("payment-1", "5", "order-9"), SHIPPED])

    [failure] = outcome.failures
    assert failure.event.stream_name == "payment-1"
    assert outcome.rows(customers)["customer-ada",]["spent"] == 0
    assert outcome.rows(orders)["order-1",]["status"] == "shipped"
