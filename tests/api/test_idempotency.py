"""A retry of the same append gives the first answer again, and stores nothing twice."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.api.rest import EVENT, Headers, append, appended, events_of, head, problem

KEY: Headers = {"idempotency-key": "order 1, first try"}


def same_answer(first: httpx.Response, again: httpx.Response) -> None:
    """Expect the first answer again, marked as such."""
    assert first.status_code == 201
    assert again.status_code == 200, again.text
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    for name in ("etag", "location", "event-position"):
        assert again.headers[name] == first.headers[name]


@pytest.mark.parametrize(
    "expectation", [{}, {"if-none-match": "*"}, {"if-match": '"1"'}, {"if-match": "*"}]
)
async def test_a_retry_with_a_key_is_the_same_append_under_every_expectation(
    http: httpx.AsyncClient, expectation: Headers
) -> None:
    if "if-match" in expectation:
        await appended(http, "order-1", 2)
    events = [EVENT, {"type": "OrderPaid"}]
    first = await append(http, "order-1", events, headers=expectation | KEY)
    await appended(http, "order-1", 3)
    stored = await head(http)
    for other in (expectation, {}, {"if-none-match": "*"}, {"if-match": '"0"'}):
        same_answer(first, await append(http, "order-1", events, headers=other | KEY))
    assert await head(http) == stored


async def test_a_retry_with_event_ids_is_the_same_append(http: httpx.AsyncClient) -> None:
    events = [{**EVENT, "id": str(uuid.uuid4())} for _ in range(3)]
    first = await append(http, "order-1", events)
    await appended(http, "order-1", 3)

    same_answer(first, await append(http, "order-1", events))
    same_answer(first, await append(http, "order-1", events, headers={"if-none-match": "*"}))
    assert await head(http) == 6


@pytest.mark.parametrize(
    "spelling", [str.upper, lambda text: text.replace("-", ""), lambda text: f"{{{text}}}"]
)
async def test_an_event_id_is_the_same_in_every_spelling(
    shared_http: httpx.AsyncClient, spelling: Any
) -> None:
    event_id = str(uuid.uuid4())
    name = f"spelling-{event_id}"
    first = await append(shared_http, name, {**EVENT, "id": event_id})
    same_answer(first, await append(shared_http, name, {**EVENT, "id": spelling(event_id)}))


async def test_the_ids_of_a_key_are_derived_from_stream_key_and_index(
    http: httpx.AsyncClient,
) -> None:
    first = await append(http, "order-1", [EVENT, EVENT], headers=KEY)
    other = await append(http, "order-2", [EVENT, EVENT], headers=KEY)
    third = await append(http, "order-1", [EVENT], headers={"idempotency-key": "another"})

    ids = [*first.json()["event_ids"], *other.json()["event_ids"], *third.json()["event_ids"]]
    assert len(set(ids)) == 5
    assert {uuid.UUID(one).version for one in ids} == {5}
    assert await head(http) == 5


async def test_a_key_is_the_same_with_and_without_quotes(http: httpx.AsyncClient) -> None:
    first = await append(http, "order-1", headers={"idempotency-key": "k-1"})
    same_answer(first, await append(http, "order-1", headers={"idempotency-key": '"k-1"'}))


async def test_an_id_of_another_append_is_refused_and_says_whose_it_is(
    http: httpx.AsyncClient,
) -> None:
    event = {**EVENT, "id": str(uuid.uuid4())}
    await append(http, "order-1", event)
    answer = await append(http, "order-2", event)

    body = problem(
        answer, 409, "idempotency-conflict", event["id"], "position 1, in stream 'order-1'"
    )
    assert (body["event_id"], body["stream"], body["position"]) == (event["id"], "order-1", 1)
    assert await head(http) == 1


async def test_an_append_of_old_and_new_ids_is_refused_as_a_whole(http: httpx.AsyncClient) -> None:
    old, new = ({**EVENT, "id": str(uuid.uuid4())} for _ in range(2))
    await append(http, "order-1", old)
    for events in ([old, new], [new, old]):
        problem(await append(http, "order-1", events), 409, "duplicate-event-id", old["id"])
    assert await head(http) == 1


async def test_ids_in_another_order_are_another_append(http: httpx.AsyncClient) -> None:
    events = [{**EVENT, "id": str(uuid.uuid4())} for _ in range(2)]
    await append(http, "order-1", events)
    problem(await append(http, "order-1", events[::-1]), 409, "idempotency-conflict")


async def test_a_conflict_is_told_again_to_a_retry_that_was_never_stored(
    http: httpx.AsyncClient,
) -> None:
    headers = KEY | {"if-match": '"5"'}
    for _ in range(2):
        problem(await append(http, "order-1", headers=headers), 412, "revision-conflict")
    assert (await append(http, "order-1", headers=KEY)).status_code == 201


@pytest.mark.parametrize(
    ("events", "headers", "mention"),
    [
        ([{**EVENT, "id": str(uuid.UUID(int=1))}], KEY, "not both"),
        ([{**EVENT, "id": str(uuid.UUID(int=2))}, EVENT], {}, "every event"),
        ([{**EVENT, "id": str(uuid.UUID(int=3))}] * 2, {}, "the same id"),
        ([{**EVENT, "id": "1"}], {}, "is a UUID: '1'"),
        ([{**EVENT, "id": ""}], {}, "is a UUID: ''"),
        ([{**EVENT, "id": 7}], {}, "Expected `str"),
    ],
)
async def test_ids_that_make_no_sense_are_refused(
    shared_http: httpx.AsyncClient, events: list[Any], headers: Headers, mention: str
) -> None:
    before = await head(shared_http)
    answer = await append(shared_http, "order-1", events, headers=headers)
    problem(answer, 422, "invalid-request", mention)
    assert await head(shared_http) == before


async def test_the_event_of_a_retry_can_be_found_by_its_id(http: httpx.AsyncClient) -> None:
    answer = await append(http, "order-1", headers=KEY)
    [event_id] = answer.json()["event_ids"]
    found = await http.get(f"/events/{event_id}")
    assert [found.json()] == events_of(await http.get("/events"))
