"""Emails: what is to be sent to whom.

This context asks nobody for an address. It keeps a table of customers of its own, `contacts`, from
the events of sales, and looks up in it what was there at the event that it writes about.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from eventstore import Projection, RecordedEvent

Row = dict[str, Any]

metadata = sa.MetaData()
contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
)
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("caused_by", sa.BigInteger, primary_key=True),  # position of the event
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

emails = Projection(
    "emails",
    types=["CustomerRegistered", "EmailChanged", "OrderPlaced", "PaymentReceived"],
    tables=[contacts, outbox],
)


@emails.fold(
    contacts, key=lambda event: event.stream_name, types=["CustomerRegistered", "EmailChanged"]
)
def contact(row: Row | None, event: RecordedEvent) -> Row:
    """Fold a customer, as far as writing to them goes."""
    name = event.data["name"] if row is None else row["name"]
    return {"name": name, "email": event.data["email"]}


@emails.fold(
    outbox,
    key=lambda event: event.position,
    types=["OrderPlaced", "PaymentReceived"],
    lookups={"contact": (contacts, lambda event: event.data["customer"])},
)
def email(_: Row | None, event: RecordedEvent, contact: Row | None) -> Row | None:
    """Write an email to the address that the customer had when this happened."""
    if contact is None:
        return None
    if event.event_type == "OrderPlaced":
        subject, body = "Your order", f"you have ordered for {event.data['total']} EUR"
    else:
        subject, body = "Your payment", f"we have received {event.data['amount']} EUR"
    return {
        "recipient": contact["email"],
        "subject": subject,
        "body": f"Dear {contact['name']}, {body}.",
    }
