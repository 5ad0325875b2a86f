"""The shop of examples/shop as a whole: commands, its worker, and a mail server that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import shop
from eventstore import EventData, EventStore
from eventstore.worker import Worker
from shop import app
from shop.mail_server import MailServer
from shop.sales import PayOrder, PlaceOrder, ShipOrder, order
from tests.fix_waiting import DEADLINE, until

BOB = "bob@example.org"


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server of the test's own, known to the shop."""
    with MailServer() as server:
        monkeypatch.setenv("SHOP_MAIL_URL", server.url)
        yield server


@asynccontextmanager
async def open_shop(store: EventStore, dsn: str) -> AsyncIterator[None]:
    """Run the shop, open for its customers Ada and Bob."""
    worker = Worker(store, app, dsn=dsn)
    task = asyncio.ensure_future(worker.run())

    async def runs() -> bool:
        assert not task.done(), task
        return len(await store.consumers.all()) == len(app.reactors)

    try:
        await until(runs, "the reactors")
        for name in ("ada", "bob"):
            person = {"name": name.title(), "email": f"{name}@example.org"}
            await store.append(f"customer-{name}", EventData("CustomerRegistered", person))
        yield
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE):
            await task


async def sell(store: EventStore, order_id: str, customer: str) -> None:
    """Let an order be placed, paid and shipped."""
    for command in (PlaceOrder(customer, 500), PayOrder(500), ShipOrder()):
        await store.handle(order, f"order-{order_id}", command)


async def until_sent(store: EventStore, customer: str, count: int) -> None:
    """Wait until so many mails are known as sent to a customer; none is left then."""

    async def sent() -> bool:
        return await in_mailbox(store, customer, "EmailSent") >= count

    await until(sent, f"{count} mails to {customer}")

    async def all_settled() -> bool:
        groups = await store.consumers.all()
        return not any(group.in_flight or group.lag_events for group in groups)

    await until(all_settled, "everything to be settled")


async def in_mailbox(store: EventStore, customer: str, event_type: str) -> int:
    events = [event async for event in store.read_stream(f"mailbox-{customer}")]
    return sum(event.event_type == event_type for event in events)


def subjects(mail_server: MailServer, customer: str) -> list[str]:
    address = f"{customer}@example.org"
    return [mail["text"] for mail in mail_server.mails.values() if mail["to"] == address]


async def test_a_failing_mail_server_parks_the_mails_of_one_customer_and_nothing_else(
    store: EventStore, dsn: str, mail_server: MailServer
) -> None:
    mail_server.broken.add(BOB)
    async with open_shop(store, dsn):
        await sell(store, "1", "bob")
        await sell(store, "2", "ada")

        async def parked() -> bool:
            return [one.held for one in await store.consumers.parked("emails")] == [2]

        await until(parked, "one parked mail that holds back two")
        await until_sent(store, "ada", 3)
        [one] = await store.consumers.parked("emails")
        assert (one.stream_name, one.revision, one.attempts) == ("mailbox-bob", 0, 4)
        assert one.reason.startswith(f"ConnectionError: 503 no mail is taken for {BOB} (emails.py:")
        assert await store.consumers.parked("letters") == []
        assert mail_server.tried.count(BOB) == 4  # those behind the first were not tried
        assert len(subjects(mail_server, "ada")) == 3
        assert subjects(mail_server, "bob") == []

        mail_server.broken.remove(BOB)
        assert await store.consumers.replay("emails") == 1
        await until_sent(store, "bob", 3)
    assert subjects(mail_server, "bob") == [
        "Dear Bob, thank you for your order.",
        "Dear Bob, we have received your payment.",
        "Dear Bob, your order is on its way.",
    ]
    assert await in_mailbox(store, "bob", "EmailSent") == 3
    assert await in_mailbox(store, "ada", "EmailSent") == 3
    assert len(mail_server.mails) == 6


async def test_a_mail_is_sent_once_and_told_once_though_the_answer_is_lost(
    store: EventStore, dsn: str, mail_server: MailServer
) -> None:
    mail_server.mute.add(BOB)
    async with open_shop(store, dsn):
        await sell(store, "1", "bob")
        await until_sent(store, "bob", 3)
    assert mail_server.tried == [BOB] * 4
    assert len(mail_server.mails) == await in_mailbox(store, "bob", "EmailSent") == 3


def test_its_code_is_read_in_a_few_minutes() -> None:
    """All but the mail server, which is not the shop's."""
    assert shop.__file__ is not None
    files = set(Path(shop.__file__).parent.glob("*.py"))
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    del lines["mail_server.py"]
    assert sum(lines.values()) < 200, lines
