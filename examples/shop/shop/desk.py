"""The desk: what is done goes into the log, what is asked for comes from a read table."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from eventstore import NO_STREAM, STREAM_EXISTS, Appended, EventData
from eventstore.client import SyncEventStoreClient
from eventstore.sync import SyncEventStore


class Desk:
    """A store to append to and to wait for, and the database (`dsn`) with its read tables."""

    def __init__(self, store: SyncEventStoreClient | SyncEventStore, dsn: str) -> None:
        self._store = store
        self._dsn = dsn

    def register(self, customer_id: str, *, name: str, email: str) -> Appended:
        """Register a customer. Raises RevisionConflict if there is one already."""
        event = EventData("CustomerRegistered", {"name": name, "email": email})
        return self._store.append(customer_id, event, expected_revision=NO_STREAM)

    def change_email(self, customer_id: str, email: str) -> Appended:
        """Write to another address from now on. Raises RevisionConflict without such a customer."""
        event = EventData("EmailChanged", {"email": email})
        return self._store.append(customer_id, event, expected_revision=STREAM_EXISTS)

    def place(self, order_id: str, *, customer_id: str, total: str) -> Appended:
        """Place an order. Raises RevisionConflict if it is placed already."""
        event = EventData("OrderPlaced", {"customer": customer_id, "total": total})
        return self._store.append(order_id, event, expected_revision=NO_STREAM)

    def pay(self, payment_id: str, *, order_id: str, customer_id: str, amount: str) -> Appended:
        """Book a payment. Raises RevisionConflict if it is booked already."""
        data = {"order": order_id, "customer": customer_id, "amount": amount}
        event = EventData("PaymentReceived", data)
        return self._store.append(payment_id, event, expected_revision=NO_STREAM)

    def ship(self, order_id: str) -> Appended:
        """Ship an order. Raises RevisionConflict without such an order."""
        return self._store.append(
            order_id, EventData("OrderShipped"), expected_revision=STREAM_EXISTS
        )

    def order(self, order_id: str, *, after: Appended | None = None) -> dict[str, Any] | None:
        """Give an order as the read table has it: at least as new as `after`, a write of one's own.

        Raises ProjectionBehind after 5 s, and StreamParked at once if that write waits to be
        retried.
        """
        if after is not None:
            self._store.wait_for("sales", stream=after.stream_name, revision=after.revision)
        with psycopg.connect(self._dsn, row_factory=dict_row) as connection:
            return connection.execute(
                "SELECT * FROM eventstore_read.orders WHERE order_id = %s", [order_id]
            ).fetchone()
