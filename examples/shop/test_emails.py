"""Emails, without a database: who is written to and what, and what a mail server gets."""

from collections.abc import Iterator

import httpx
import pytest

from eventstore import EventData
from eventstore.testing import event, given, react
from shop.emails import contacts, contacts_table, emails, letters
from shop.mail_server import MailServer

ADA = event("customer-ada", "CustomerRegistered", {"name": "Ada", "email": "ada@example.org"})
MOVED = event("customer-ada", "EmailChanged", {"email": "ada@example.com"})
PLACED = event("order-1", "OrderPlaced", {"customer": "ada", "total": 1250})
LETTER = {
    "to": "ada@example.org",
    "subject": "order-1",
    "text": "Dear Ada, thank you for your order.",
}
WRITTEN = event("mailbox-ada", "EmailWritten", LETTER)


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server of the test's own, known to the shop."""
    with MailServer() as server:
        monkeypatch.setenv("SHOP_MAIL_URL", server.url)
        yield server


def test_contacts_have_the_address_of_today() -> None:
    given(contacts, [ADA, MOVED]).expect(
        contacts_table, {"ada": {"name": "Ada", "email": "ada@example.com"}}
    )


def test_a_letter_goes_to_the_mailbox_of_whose_order_it_is() -> None:
    written = EventData("EmailWritten", LETTER)
    react(letters, PLACED, given(contacts, [ADA])).then({"mailbox-ada": written})


def test_nobody_is_written_to_who_is_not_known() -> None:
    with pytest.raises(LookupError, match="'ada' is not known"):
        react(letters, PLACED, given(contacts, []))


def test_a_letter_is_sent_and_that_is_told(mail_server: MailServer) -> None:
    sent = EventData("EmailSent", {"to": "ada@example.org"})
    react(emails, WRITTEN).then({"mailbox-ada": sent})
    assert list(mail_server.mails.values()) == [LETTER]


def test_a_letter_is_sent_once_even_if_the_mail_server_dies_before_it_answers(
    mail_server: MailServer,
) -> None:
    mail_server.mute.add("ada@example.org")
    with pytest.raises(httpx.HTTPError):
        react(emails, WRITTEN)
    react(emails, WRITTEN, attempt=2)
    assert len(mail_server.tried) == 2
    assert list(mail_server.mails.values()) == [LETTER]


def test_nothing_is_told_of_a_letter_that_is_refused(mail_server: MailServer) -> None:
    mail_server.broken.add("ada@example.org")
    with pytest.raises(ConnectionError, match="503 no mail is taken for ada"):
        react(emails, WRITTEN)
    assert mail_server.mails == {}
