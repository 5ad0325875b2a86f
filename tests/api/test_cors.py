"""Pages of other origins: none are let in unless they are named, and then with all they need."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import InvalidInput
from eventstore_api.cors import SEEN, SENT, allow_origins, check_origin
from eventstore_api.dispatch import Dispatcher
from eventstore_api.export_openapi import openapi_text
from tests.api.rest import EVENT, append, appended

pytestmark = pytest.mark.one_postgres

PAGE = "http://localhost:3000"
OTHER = "http://localhost:3001"
ALWAYS_SEEN = {"cache-control", "content-length", "content-type", "last-modified", "expires"}
"""Headers that the standard shows to every page; of those it has, the ones in use."""


@pytest.fixture
async def http(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with one more origin."""
    allowed = allow_origins(app, [PAGE, "https://app.example"])
    transport = httpx.ASGITransport(allowed)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
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


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        (OTHER, "POST", "content-type"),
        ("https://localhost:3000", "POST", "content-type"),
        ("http://localhost:3000.evil.example", "POST", "content-type"),
        ("null", "POST", "content-type"),
        (PAGE, "DELETE", "content-type"),
        (PAGE, "POST", "x-secret"),
    ],
)
async def test_a_preflight_of_anything_else_is_refused(
    http: httpx.AsyncClient, origin: str, method: str, headers: str
) -> None:
    asked = await preflight(http, origin, method, headers)
    assert asked.status_code == 400
    if origin != PAGE:
        assert "access-control-allow-origin" not in asked.headers


async def test_what_needs_no_preflight_does_not_append(http: httpx.AsyncClient) -> None:
    """What a page of any origin can send unasked: a form, or text."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"origin": OTHER, "content-type": kind}
        answer = await http.post("/streams/a", content=json.dumps(EVENT), headers=headers)
        assert answer.status_code == 415
    assert (await http.get("/streams/a")).status_code == 404


async def test_without_an_origin_nothing_is_added(app: Dispatcher) -> None:
    assert allow_origins(app, []) is app


def test_every_header_of_the_description_is_let_through() -> None:
    sent, seen = set(), set()
    for path in json.loads(openapi_text())["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "header":
                    sent.add(parameter["name"])
            for response in operation["responses"].values():
                seen |= set(response.get("headers", {}))
    assert sent
    assert seen
    assert sent <= set(SENT)
    assert {name.lower() for name in seen} <= {name.lower() for name in SEEN} | ALWAYS_SEEN


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
