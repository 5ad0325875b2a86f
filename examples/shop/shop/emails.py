"""Emails: what is written to customers about their orders, and sent to them.

Who they are is told by events: this context asks nobody, it keeps `contacts` of its own. Two stages
with the log between them, each with workers and a buffer to its measure: `letters` waits for the
database, `emails` for the mail server. What is written to one customer is one stream, mailbox-*: it
is sent in order, and while that fails the rest of it waits, and nobody else's mail.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import sqlalchemy as sa

from eventstore import Context, EventData, Projection, Reactor, RecordedEvent

contacts_table = sa.Table(
    "contacts",
    sa.MetaData(),
    sa.Column("customer", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
)
contacts = Projection(
    "contacts", types=["CustomerRegistered", "EmailChanged"], tables=[contacts_table]
)


@contacts.fold(contacts_table, key=lambda event: event.stream_name.removeprefix("customer-"))
def contact(row: dict[str, Any] | None, event: RecordedEvent) -> dict[str, Any]:
    return {**(row or {}), **event.data}


TEXTS = {
    "OrderPlaced": "thank you for your order",
    "OrderPaid": "we have received your payment",
    "OrderShipped": "your order is on its way",
}
letters = Reactor("letters", after=["contacts"], concurrency=4, buffer=100)


@letters.on(*TEXTS)
async def write(event: RecordedEvent, context: Context) -> None:
    who = event.data["customer"]
    page = await context.store.projections.rows("contacts", "contacts", where={"customer": who})
    if not page.rows:
        raise LookupError(f"customer {who!r} is not known")
    text = f"Dear {page.rows[0]['name']}, {TEXTS[event.event_type]}."
    letter = {"to": page.rows[0]["email"], "subject": event.stream_name, "text": text}
    await context.append(f"mailbox-{who}", EventData("EmailWritten", letter))


emails = Reactor("emails", concurrency=16, buffer=1_000, retries=3, backoff=0.1, deadline=10)


@emails.on("EmailWritten")
async def send(event: RecordedEvent, context: Context) -> None:
    server = os.environ.get("SHOP_MAIL_URL", "http://127.0.0.1:8025")
    key = {"Idempotency-Key": context.idempotency_key}  # the mail server sends once for a key
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{server}/mails", json=event.data, headers=key)
    if answer.is_error:
        raise ConnectionError(f"{answer.status_code} {answer.text}")
    await context.append(event.stream_name, EventData("EmailSent", {"to": event.data["to"]}))
