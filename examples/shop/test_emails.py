"""Emails, without a database: each goes to the address of its time."""

from eventstore.testing import event, given
from shop.emails import contacts, emails, outbox

ADA = event("customer-ada", "CustomerRegistered", {"name": "Ada", "email": "ada@example.org"})
MOVED = event("customer-ada", "EmailChanged", {"email": "ada@example.com"})
PLACED = event("order-1", "OrderPlaced", {"customer": "customer-ada", "total": "12.50"})
PAID = event(
    "payment-1",
    "PaymentReceived",
    {"order": "order-1", "customer": "customer-ada", "amount": "12.50"},
)


def test_an_email_goes_to_the_address_that_the_customer_had_then() -> None:
    given(emails, [ADA, PLACED, MOVED, PAID]).expect(
        outbox,
        {
            2: {
                "recipient": "ada@example.org",
                "subject": "Your order",
                "body": "Dear Ada, you have ordered for 12.50 EUR.",
            },
            4: {
                "recipient": "ada@example.com",
                "subject": "Your payment",
                "body": "Dear Ada, we have received 12.50 EUR.",
            },
        },
    ).expect(contacts, {"customer-ada": {"name": "Ada", "email": "ada@example.com"}})


def test_nobody_is_written_to_who_is_not_known() -> None:
    given(emails, [PLACED]).expect(outbox, {})
