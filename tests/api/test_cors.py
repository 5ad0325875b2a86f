"""Pages of other origins: none are let in unless they are named, and then with all they need."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import InvalidInput
from eventstore_api.cors import METHODS, SEEN, check_origin
from eventstore_api.dispatch import Dispatcher
from eventstore_api.export_openapi import openapi_text
from eventstore_api.guard import Guard
from tests.api.rest import EVENT, append, appended, problem

pytestmark = pytest.mark.one_postgres

PAGE = "http://localhost:3000"
OTHER = "http://localhost:3001"
PATHS = json.loads(openapi_text())["paths"]
ALWAYS_SEEN = {"cache-control", "content-length", "content-type", "last-modified", "expires"}
"""Headers that the standard shows to every page; of those it has, the ones in use."""


@pytest.fixture
async def http(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with one more origin."""
    transport = httpx.ASGITransport(Guard(app, origins=[PAGE, "https://app.example"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:2113") as client:
        yield client


async def preflight(
    http: httpx.AsyncClient, origin: str, method: str = "POST", headers: str = "content-type"
) -> httpx.Response:
    """Ask as a browser does before it sends what a plain form could not."""
    return await http.options(
        "/streams/a",
        headers={
            "origin": origin,
            "access-control-request-method": method,
            "access-control-request-headers": headers,
        },
    )


def names(header: str) -> set[str]:
    """Give the names of a list, in lower case."""
    return {name.strip().lower() for name in header.split(",")}


@pytest.mark.parametrize("origin", [PAGE, "https://app.example"])
async def test_a_page_may_append_and_see_the_answer(http: httpx.AsyncClient, origin: str) -> None:
    asked = await preflight(http, origin, headers="content-type,if-match,idempotency-key,prefer")
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    assert {"get", "post"} <= names(asked.headers["access-control-allow-methods"])
    answer = await append(http, "a", headers={"origin": origin})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == origin
    assert {"event-position", "etag", "location"} <= names(
        answer.headers["access-control-expose-headers"]
    )


async def test_answers_differ_by_origin_and_say_so(http: httpx.AsyncClient) -> None:
    await appended(http, "a")
    for origin, allowed in ((PAGE, PAGE), (OTHER, None), (None, None)):
        answer = await http.get("/streams/a", headers={} if origin is None else {"origin": origin})
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert {"accept", "origin"} <= names(answer.headers["vary"])


async def test_refusals_can_be_read_too(http: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/nothing"), ("GET", "/streams/none"), ("PUT", "/events")):
        answer = await http.request(method, path, headers={"origin": PAGE})
        assert answer.status_code in {404, 405}
        assert answer.headers["access-control-allow-origin"] == PAGE
    for status, headers in (
        (421, {"host": "store.example"}),
        (415, {"content-type": "text/plain"}),
        (400, {"content-type": "application/json", "if-match": "five"}),
    ):
        answer = await http.post("/streams/a", content="{}", headers={"origin": PAGE} | headers)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "retry-after" in names(answer.headers["access-control-expose-headers"])


SENT = (
    "authorization",
    "authorization,content-type,x-requested-with",
    "cache-control,last-event-id",
    "baggage,traceparent,tracestate",
    "ce-id,ce-source,ce-specversion,ce-type,content-type",
    "event-position,if-none-match,prefer",
    "x-any-of-yours",
)


async def test_a_page_may_send_what_clients_add_and_use_every_method(
    http: httpx.AsyncClient,
) -> None:
    described = {m.upper() for path in PATHS.values() for m in path}
    assert described <= set(METHODS)
    for method in described:
        for headers in SENT:
            asked = await preflight(http, PAGE, method, headers)
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == PAGE
            assert method.lower() in names(asked.headers["access-control-allow-methods"])
            assert names(headers) <= names(asked.headers["access-control-allow-headers"])
            assert int(asked.headers["access-control-max-age"]) > 600
            assert "access-control-allow-credentials" not in asked.headers
            assert {"origin", "access-control-request-headers"} <= names(asked.headers["vary"])


async def test_a_preflight_that_wants_no_headers_is_answered_too(http: httpx.AsyncClient) -> None:
    headers = {"origin": PAGE, "access-control-request-method": "DELETE"}
    asked = await http.options("/consumers/a", headers=headers)
    assert asked.status_code == 200
    assert "access-control-allow-headers" not in asked.headers


@pytest.mark.parametrize(
    "origin",
    [OTHER, "https://localhost:3000", "http://localhost:3000.evil.example", "null", ""],
)
async def test_a_preflight_of_another_page_is_refused(http: httpx.AsyncClient, origin: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        asked = await preflight(http, origin, method)
        problem(asked, 403, "forbidden-origin", "--allow-origin")
        assert "access-control-allow-origin" not in asked.headers
        assert "access-control-allow-headers" not in asked.headers


async def test_what_needs_no_preflight_does_not_append(http: httpx.AsyncClient) -> None:
    """What a page of any origin can send unasked: a form, or text."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"origin": OTHER, "content-type": kind}
        answer = await http.post("/streams/a", content=json.dumps(EVENT), headers=headers)
        assert answer.status_code == 403
        answer = await http.post(
            "/streams/a", content=json.dumps(EVENT), headers={"content-type": kind}
        )
        assert answer.status_code == 415
    assert (await http.get("/streams/a")).status_code == 404


async def test_without_an_origin_nothing_is_added(app: Dispatcher) -> None:
    transport = httpx.ASGITransport(Guard(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        asked = await preflight(client, PAGE)
        assert asked.status_code == 403
        read = await client.get("/events", headers={"origin": PAGE})
        for answer in (asked, read):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_every_header_of_an_answer_can_be_read() -> None:
    seen = {
        name.lower()
        for path in PATHS.values()
        for operation in path.values()
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }
    assert seen
    assert seen <= {name.lower() for name in SEEN} | ALWAYS_SEEN


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (PAGE, PAGE),
        ("https://App.Example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, origin: str) -> None:
    assert check_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["", "*", "null", "app.example", "https://", "https://a/b", "https://a?b", "https://u@a",
     "https://a:x", "https://a:0", "https://*.a", "ftp://a", "https://a https://b", "https://a\n"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="an origin is like"):
        check_origin(text)
