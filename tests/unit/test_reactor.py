"""What a reactor says of itself: its events, its two figures, and ids that do not change."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from eventstore import EventQuery, InvalidInput, RecordedEvent
from eventstore.core.query import QueryItem
from eventstore.core.reactor import Reactor, derived_ids, idempotency_key
from eventstore.testing import event


async def handle(event: RecordedEvent, context: Any) -> None:
    """Do nothing."""


def test_its_events_are_the_types_of_its_handlers_within_its_dimensions() -> None:
    emails = Reactor("emails", categories=["order"], tags=["eu"])
    emails.on("OrderShipped", "OrderPlaced")(handle)
    item = QueryItem(types=("OrderPlaced", "OrderShipped"), categories=("order",), tags=("eu",))
    assert emails.query == EventQuery(any_of=[item])


def test_each_type_goes_to_its_handler() -> None:
    async def another(event: RecordedEvent, context: Any) -> None:
        """Do nothing either."""

    emails = Reactor("emails")
    assert emails.on("OrderPlaced")(handle) is handle
    emails.on("OrderShipped")(another)
    assert emails.handler_of("OrderPlaced") is handle
    assert emails.handler_of("OrderShipped") is another


def test_a_type_has_one_handler() -> None:
    emails = Reactor("emails")
    emails.on("OrderPlaced")(handle)
    with pytest.raises(InvalidInput, match="OrderPlaced has a handler already"):

        @emails.on("OrderPlaced")
        async def again(event: RecordedEvent, context: Any) -> None: ...


def test_a_handler_is_for_some_type() -> None:
    with pytest.raises(InvalidInput, match="name the types"):
        Reactor("emails").on()
    for undressed in (handle, lambda event, context: None):
        with pytest.raises(InvalidInput, match=r"name the types .*: on\('SomeType'\)"):
            Reactor("emails").on(undressed)  # type: ignore[arg-type]


def test_a_handler_is_a_coroutine_function() -> None:
    def blocking(event: RecordedEvent, context: Any) -> None: ...

    with pytest.raises(InvalidInput, match="'async def' function"):
        Reactor("emails").on("OrderPlaced")(blocking)  # type: ignore[type-var]


def test_without_a_handler_it_is_for_nothing() -> None:
    with pytest.raises(InvalidInput, match="emails has no handler"):
        _ = Reactor("emails").query


def test_it_knows_when_an_event_that_failed_is_tried_again() -> None:
    reactor = Reactor("emails", retries=40, backoff=0.5)
    assert [reactor.delay_after(attempt) for attempt in (1, 2, 3, 20, 40, 41)] == [
        *(0.5, 1, 2, 3_600, 3_600, None)
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"name": "E-Mails"}, "a reactor's name is a-z"),
        ({"concurrency": 0}, "concurrency is 1 to 500"),
        ({"concurrency": 501}, "concurrency is 1 to 500"),
        ({"buffer": 0}, "buffer is 1 or more"),
        ({"ordering": "tag"}, "ordering is stream or none"),
        ({"deadline": 0}, "a deadline is up to 3600 seconds"),
        ({"deadline": float("nan")}, "a deadline is up to 3600 seconds"),
        ({"retries": -1}, "retries are 0 or more"),
        ({"backoff": float("nan")}, "backoff is more than 0"),
        ({"after": "orders"}, "after is a list of texts"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        Reactor(**{"name": "emails", **options})


def test_an_option_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(TypeError, match="emails: there is no option category: streams, categories"):
        Reactor("emails", category="order")  # type: ignore[call-arg]


def test_ids_are_the_same_each_time_and_differ_by_reactor_event_stream_and_number() -> None:
    one, other = event("order-1", "OrderPlaced"), event("order-1", "OrderPlaced")
    key = idempotency_key("emails", one)
    assert key == idempotency_key("emails", one)
    keys = {key, idempotency_key("letters", one), idempotency_key("emails", other)}
    ids = {name for k in keys for s in ("a", "b") for name in derived_ids(k, s, 0, 2)}
    assert len(keys) == 3
    assert len(ids) == 12
    assert derived_ids(key, "a", 0, 2)[1:] == derived_ids(key, "a", 1, 1)


def test_derived_ids_never_change_between_releases() -> None:
    """A redelivery across a release would append a second time."""
    fixed = event("order-1", "OrderPlaced")._replace(event_id=uuid.UUID(int=7))
    key = "10a39bc4-9860-5daa-bd7b-cd8ce7d5972f"
    assert idempotency_key("emails", fixed) == key
    assert derived_ids(key, "email-1", 0, 1) == ["272f65eb-0e75-5a05-a042-5fca80391ffd"]
