"""Commands over HTTP: decided, refused, sent again, described."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema_rs
import pytest

from eventstore import App, EventData, EventStore
from eventstore_api import create_app
from eventstore_api.app import make_api
from tests.api.conftest import client_of
from tests.api.rest import Headers, problem
from tests.fix_database import Pg
from tests.projections.orders import Orders, counts, reached, working
from tests.wallet import broken_wallet, new_wallet

pytestmark = pytest.mark.one_postgres
APP = App(deciders=[new_wallet()])


@pytest.fixture
async def http(store: EventStore) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service of an App with a decider."""
    async with client_of(create_app(store, APP, manage=False)) as client:
        yield client


async def command(
    http: httpx.AsyncClient, name: str, amount: int | None = None, **options: Any
) -> httpx.Response:
    """Send a command to wallet-1."""
    body = {"stream": "wallet-1", **({} if amount is None else {"data": {"amount": amount}})}
    return await http.post(f"/commands/wallet/{name}", json=body, **options)


async def test_a_command_is_answered_with_what_it_causes(http: httpx.AsyncClient) -> None:
    answer = await command(http, "Deposit", 5)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    event = body["events"][0]
    assert body == {
        "stream": "wallet-1",
        "revision": 0,
        "position": 1,
        "replayed": False,
        "events": [
            {
                "position": 1,
                "revision": 0,
                "id": event["id"],
                "type": "Deposited",
                "data": {"amount": 5},
                "metadata": {},
                "tags": [],
            }
        ],
    }
    assert answer.headers["event-position"] == "1;epoch=1"
    assert answer.headers["etag"] == '"0"'
    stored = (await http.get("/streams/wallet-1/0")).json()
    del stored["recorded_at"]
    assert stored == {**event, "stream": "wallet-1"}


async def test_by_id_with_metadata_and_tags_several_events(http: httpx.AsyncClient) -> None:
    await command(http, "Deposit", 5)
    body = {"id": "1", "metadata": {"correlation_id": "c"}, "tags": ["b", "a"]}
    answer = await http.post("/commands/wallet/Close", json=body)
    events = answer.json()["events"]
    assert [(e["type"], e["revision"], e["position"]) for e in events] == [
        ("Withdrawn", 1, 2),
        ("Closed", 2, 3),
    ]
    page = (await http.get("/streams/wallet-1")).json()["events"][1:]
    assert [e["id"] for e in page] == [e["id"] for e in events]
    for one in [*events, *page]:
        assert (one["metadata"], one["tags"]) == ({"correlation_id": "c"}, ["a", "b"])


async def test_a_command_that_causes_nothing_says_where_the_stream_is(
    http: httpx.AsyncClient,
) -> None:
    answer = await command(http, "Touch")
    assert answer.json() == {"stream": "wallet-1", "events": [], "position": 0, "replayed": False}
    assert "etag" not in answer.headers
    assert answer.headers["event-position"] == "0;epoch=1"
    await command(http, "Deposit", 5)
    answer = await command(http, "Touch")
    assert (answer.json()["position"], answer.json()["revision"]) == (1, 0)


async def test_a_refused_command_is_422_with_its_reason_and_appends_nothing(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    await command(http, "Deposit", 5)
    told = problem(await command(http, "Withdraw", 6), 422, "command-refused", "not enough")
    assert (told["reason"], told["details"]) == ("there is not enough", {"balance": 5})
    assert (await store.head()).position == 1


async def test_a_command_with_a_key_is_handled_once(http: httpx.AsyncClient) -> None:
    key: Headers = {"idempotency-key": "k"}
    await command(http, "Deposit", 5)
    first = await command(http, "Withdraw", 5, headers=key)
    assert "idempotency-replayed" not in first.headers
    await command(http, "Deposit", 1)
    again = await command(http, "Withdraw", 5, headers=key)
    assert (again.status_code, again.json()) == (200, {**first.json(), "replayed": True})
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["event-position"] == first.headers["event-position"]
    assert again.headers["etag"] == first.headers["etag"]
    assert (await http.get("/")).json()["head"] == 3


async def test_16_at_once_are_all_decided_on_the_true_state(http: httpx.AsyncClient) -> None:
    await command(http, "Deposit", 50)
    answers = await asyncio.gather(*[command(http, "Withdraw", 5) for _ in range(16)])
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [422] * 6
    assert (await http.get("/")).json()["head"] == 11


BAD_BODIES: list[tuple[Any, int, str]] = [
    ({"stream": "wallet-1", "data": {"amount": "5"}}, 422, "$.data.amount"),
    ({"stream": "wallet-1", "data": {"amount": 5, "more": 1}}, 422, "$.data.more"),
    ({"stream": "wallet-1", "data": {}}, 422, "$.data"),
    ({"stream": "wallet-1"}, 422, "$.data"),
    ({"stream": "wallet-1", "data": []}, 422, "$.data"),
    ({"stream": "order-1", "data": {"amount": 5}}, 422, "$.stream"),
    ({"stream": "", "data": {"amount": 5}}, 422, "$.stream"),
    ({"id": "", "data": {"amount": 5}}, 422, "$.id"),
    ({"id": "\n", "data": {"amount": 5}}, 422, "$.id"),
    ({"data": {"amount": 5}}, 422, "$"),
    ({"stream": "wallet-1", "id": "1", "data": {"amount": 5}}, 422, "$"),
    ({"stream": 1}, 422, "$.stream"),
    ({"stream": "wallet-1", "metadata": [], "data": {"amount": 5}}, 422, "$.metadata"),
    (
        {"stream": "wallet-1", "metadata": {"schema_version": 2}, "data": {"amount": 5}},
        422,
        "$.metadata",
    ),
    ({"stream": "wallet-1", "tags": [""], "data": {"amount": 5}}, 422, "$.tags"),
    ({"stream": "wallet-1", "data": {"amount": 5}, "more": 1}, 422, "$"),
    ([], 422, "$"),
]


async def test_a_bad_body_is_refused_with_the_path_of_the_fault(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for body, status, path in BAD_BODIES:
        with subtests.test(str(body)):
            answer = await http.post("/commands/wallet/Deposit", json=body)
            assert problem(answer, status, "invalid-request").get("path") == path
            assert (await http.get("/")).json()["head"] == 0


BAD_REQUESTS: list[tuple[bytes, Headers, int, str]] = [
    (b"{", {}, 400, "malformed-request"),
    (b"\xff", {}, 400, "malformed-request"),
    (b'{"stream":"wallet-1","data":{"amount":"\\u0000"}}', {}, 422, "invalid-request"),
    (b"{}", {"content-type": "text/plain"}, 415, "unsupported-media-type"),
    (b" " * (1 << 20) + b"{}", {}, 413, "limit-exceeded"),
    (b"{}", {"idempotency-key": ""}, 400, "malformed-request"),
    (b"{}", {"prefer": "wait=x"}, 400, "malformed-request"),
    (b"{}", {"if-match": '"5"'}, 400, "malformed-request"),
    (b"{}", {"if-none-match": "*"}, 400, "malformed-request"),
    (b"{}", {"accept": "text/html"}, 406, "not-acceptable"),
]


async def test_a_bad_request_is_refused(http: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for content, headers, status, slug in BAD_REQUESTS:
        with subtests.test(f"{ascii(content)[:50]} {headers}"):
            sent = {"content-type": "application/json", **headers}
            answer = await http.post("/commands/wallet/Deposit", content=content, headers=sent)
            problem(answer, status, slug)


async def test_what_is_not_there_is_404(http: httpx.AsyncClient, store: EventStore) -> None:
    body = {"stream": "wallet-1", "data": {"amount": 5}}
    answer = await http.post("/commands/order/Deposit", json=body)
    problem(answer, 404, "not-found", "no decider 'order'", "known: wallet")
    answer = await http.post("/commands/wallet/Steal", json=body)
    problem(answer, 404, "not-found", "no command 'Steal'", "Deposit, Withdraw")
    prefer = {"prefer": 'wait=2; for="none"'}
    answer = await http.post("/commands/wallet/Deposit", json=body, headers=prefer)
    problem(answer, 404, "not-found", "no projection")
    problem(await http.get("/schemas/None"), 404, "not-found")
    assert (await store.head()).position == 0
    async with client_of(create_app(store, manage=False)) as without:
        answer = await without.post("/commands/wallet/Deposit", json=body)
        problem(answer, 404, "not-found", "start the service with --app")
        assert (await without.get("/commands")).json() == {"commands": []}
        assert (await without.get("/schemas")).json() == {"schemas": []}


async def test_a_stored_event_that_does_not_fit_is_409_and_named(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    bad = await store.append("wallet-1", EventData("Deposited", {"amount": "5"}))
    told = problem(await command(http, "Touch"), 409, "unreadable-event", "position 1")
    assert (told["event_id"], told["path"]) == (bad.event_ids[0], "$.data.amount")


async def test_a_decider_that_fails_is_500_and_one_record_of_the_log(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    broken = create_app(store, App(deciders=[broken_wallet()]), manage=False)
    async with client_of(broken) as http:
        body = {"id": "1", "data": {"how": "decide"}}
        answer = await http.post("/commands/broken/Break", json=body)
        told = problem(answer, 500, "decider-failed", "decide raised KeyError (wallet.py:")
        assert (told["decider"], told["command"], told["stream"]) == ("broken", "Break", "wallet-1")
        assert "secret" not in answer.text
        [record] = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert "decider broken failed on command Break of stream 'wallet-1'" in record.getMessage()
        assert record.exc_info is not None
        assert [frame.name for frame in traceback.extract_tb(record.exc_info[2])] == ["break_it"]
        caplog.clear()
        body = {"id": "1", "data": {"how": "unknown"}}
        answer = await http.post("/commands/broken/Break", json=body)
        problem(answer, 500, "decider-failed", "broken has no event type Unknown")
        [record] = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert record.exc_info is None


async def test_it_is_answered_after_a_projection_has_applied_it(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = App(deciders=[new_wallet(category="order")])
    deposit = {"id": "1", "data": {"amount": 5}}
    async with client_of(create_app(store, made, manage=False)) as http:
        async with working(store, dsn, Orders().projection):
            await reached(connection, 0)
            prefer = {"prefer": 'wait=60; for="orders"'}
            answer = await http.post("/commands/wallet/Deposit", json=deposit, headers=prefer)
            assert answer.json()["wait"] == {"projection": "orders", "reached": True}
            assert answer.headers["preference-applied"] == 'wait=55; for="orders"'
            assert await counts(connection) == {"order-1": 1}
        prefer = {"prefer": 'wait=0; for="orders"'}
        answer = await http.post("/commands/wallet/Deposit", json=deposit, headers=prefer)
        assert (answer.status_code, answer.json()["wait"]["reached"]) == (200, False)


async def test_commands_and_types_are_listed_with_their_schemas(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/commands")).json()["commands"]
    assert [(one["decider"], one["command"], one["category"]) for one in listed] == [
        ("wallet", name, "wallet") for name in ("Deposit", "Withdraw", "Close", "Touch")
    ]
    deposit = listed[0]["schema"]
    assert jsonschema_rs.is_valid(deposit, {"amount": 5})
    assert not jsonschema_rs.is_valid(deposit, {"amount": "5"})
    types = (await http.get("/schemas")).json()["schemas"]
    assert [(one["type"], one["version"]) for one in types] == [
        ("Closed", 1),
        ("Deposited", 1),
        ("Withdrawn", 1),
    ]
    one = (await http.get("/schemas/Deposited")).json()
    assert jsonschema_rs.is_valid(one, {"amount": 5})
    assert not jsonschema_rs.is_valid(one, {})


def test_the_description_has_every_command_with_the_schema_of_its_data() -> None:
    description = make_api(EventStore(""), APP).openapi()
    assert json.loads(json.dumps(description))
    operation = description["paths"]["/commands/wallet/Deposit"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {**body, "components": description["components"]}
    assert jsonschema_rs.is_valid(whole, {"id": "1", "data": {"amount": 5}})
    assert not jsonschema_rs.is_valid(whole, {"id": "1", "data": {"amount": "5"}})
    assert not jsonschema_rs.is_valid(whole, {"id": "1"})
    touch = description["paths"]["/commands/wallet/Touch"]["post"]
    body = touch["requestBody"]["content"]["application/json"]["schema"]
    assert jsonschema_rs.is_valid({**body, "components": description["components"]}, {"id": "1"})
    assert "422" in operation["responses"]
