"""The guard in front of every route: foreign names, foreign pages, and bodies of a form."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Final

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from eventstore import InvalidInput
from eventstore_api.dispatch import Dispatcher
from eventstore_api.export_openapi import openapi_text
from eventstore_api.guard import Guard, check_host
from tests.api.rest import CLOUDEVENT, RawAnswer, raw_request

pytestmark = pytest.mark.one_postgres

PAGE: Final = "http://localhost:3000"
EVIL: Final = "http://evil.example"
JSON: Final = "application/json"
Pairs = Iterable[tuple[str, str]]

LOOPBACK: Final = (
    "localhost",
    "localhost:2113",
    "LocalHost:2113",
    "localhost.",
    "localhost.:2113",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.1.2.3:2113",
    "[::1]",
    "[::1]:2113",
    "[::ffff:127.0.0.1]:2113",
    "eventstore.localhost:2113",
)
FOREIGN: Final = (
    "evil.example",
    "evil.example:2113",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io:2113",
    "evillocalhost",
    "evil.example:2113@localhost",
    "localhost@evil.example",
    "localhost,evil.example",
    "localhost evil.example",
    "localhost/evil.example",
    "localhost:port",
    "localhost:123456",
    "192.168.1.5:2113",
    "0.0.0.0:2113",
    "128.0.0.1",
    "[2001:db8::1]:2113",
    "::1",
    "[::1",
    "2130706433",
    "",
    "\u00b2",
)


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 204 to everything: what comes here has been let in."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(guard: Guard, method: str = "GET", path: str = "/", *pairs: Pairs) -> RawAnswer:
    """Send a request without a body with these headers."""
    headers = [(n.encode(), v.encode("latin-1")) for given in pairs for n, v in given]
    return await raw_request(guard, method, path.encode(), headers=headers)


def called(host: str) -> Pairs:
    """Return the header that asks for a service by this name."""
    return [("host", host)]


async def test_loopback_names_are_the_services_own_in_every_spelling() -> None:
    guard = Guard(answering)
    for host in LOOPBACK:
        for _ in range(2):
            assert (await ask(guard, "GET", "/", called(host))).status == 204, host


async def test_any_other_name_is_misdirected_and_the_answer_says_what_to_do() -> None:
    guard = Guard(answering)
    for host in FOREIGN:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            answer = await ask(guard, method, "/", called(host))
            assert answer.status == 421, host
            if method != "HEAD":
                members = answer.problem()
                assert members["type"] == "urn:eventstore:problem:misdirected-request"
                assert "--allow-host" in members["detail"]


async def test_names_are_allowed_each_by_itself() -> None:
    guard = Guard(answering, hosts=[check_host("Store.Example."), check_host("10.1.2.3")])
    for host in ("store.example", "STORE.example.:443", "10.1.2.3:2113", "localhost"):
        assert (await ask(guard, "GET", "/", called(host))).status == 204, host
    for host in ("a.store.example", "store.example.evil.example", "example", "10.1.2.4"):
        assert (await ask(guard, "GET", "/", called(host))).status == 421, host


@pytest.mark.parametrize("hosts", [None, ["*"]])
async def test_every_name_can_be_allowed(hosts: list[str] | None) -> None:
    guard = Guard(answering, hosts=hosts)
    for host in FOREIGN:
        assert (await ask(guard, "GET", "/", called(host))).status == 204, host


async def test_a_request_without_a_name_comes_from_no_browser() -> None:
    assert (await ask(Guard(answering))).status == 204


async def test_the_address_that_was_reached_is_a_name_too() -> None:
    """Probes of an orchestrator ask for it so; nobody can make a page's name of an address."""
    statuses = []

    async def send(message: object) -> None:
        if isinstance(message, dict) and "status" in message:
            statuses.append(message["status"])

    async def receive() -> object:
        return {"type": "http.request", "body": b"", "more_body": False}

    guard = Guard(answering)
    for server in (("10.1.2.3", 2113), ("10.9.9.9", 2113), ("/run/store.sock", None), None):
        scope = {"type": "http", "method": "GET", "headers": [(b"host", b"10.1.2.3:2113")]}
        await guard({**scope, "server": server}, receive, send)  # type: ignore[arg-type]
    assert statuses == [204, 421, 421, 421]


async def test_a_name_that_is_given_twice_is_refused() -> None:
    for name in ("host", "origin", "sec-fetch-site", "content-type", "idempotency-key"):
        pairs = [(name, "localhost"), (name, "evil.example")]
        answer = await ask(Guard(answering, hosts=None), "POST", "/", pairs)
        assert answer.status == 400, name
        assert "given twice" in answer.problem()["detail"]


UNSAFE: Final = ("POST", "PUT", "DELETE", "PATCH", "PURGE")
ORIGINS: Final = (
    # Sec-Fetch-Site, Origin, and whether that may change something; "" is none.
    ("", "", True),
    ("same-origin", "http://localhost:2113", True),
    ("same-origin", "https://store.example", True),  # behind a proxy that has another Host
    ("none", "", True),
    ("", "http://localhost:2113", True),
    ("", "https://localhost:2113", True),
    ("", PAGE, True),
    ("cross-site", PAGE, True),
    ("same-site", PAGE, True),
    ("", EVIL, False),
    ("", "null", False),
    ("", "", True),
    ("", "http://localhost", False),
    ("", "http://localhost:2114", False),
    ("", "http://localhost:2113.evil.example", False),
    ("", "http://127.0.0.1:2113", False),
    ("", "chrome-extension://localhost:2113", False),
    ("", "file://", False),
    ("cross-site", "", False),
    ("cross-site", EVIL, False),
    ("cross-site", "null", False),
    ("same-site", "", False),
    ("same-site", "http://localhost:2114", False),
    ("cross-site", "http://localhost:2113", False),
    ("Same-Origin", EVIL, False),
    ("anything", "", False),
)


@pytest.mark.parametrize(("site", "origin", "allowed"), ORIGINS)
async def test_what_changes_something_comes_from_no_foreign_page(
    site: str, origin: str, allowed: bool
) -> None:
    guard = Guard(answering, origins=[PAGE])
    pairs = [("sec-fetch-site", site), ("origin", origin)]
    headers = [("host", "localhost:2113"), *(pair for pair in pairs if pair[1])]
    for method in UNSAFE:
        answer = await ask(guard, method, "/", headers)
        assert answer.status == (204 if allowed else 403), method
        if not allowed:
            members = answer.problem()
            assert members["type"] == "urn:eventstore:problem:forbidden-origin"
            assert "--allow-origin" in members["detail"]
    for method in ("GET", "HEAD"):
        assert (await ask(guard, method, "/", headers)).status == 204


@pytest.mark.parametrize("origin", ["https://store.example", "https://store.example:443"])
@pytest.mark.parametrize("host", ["store.example", "store.example:443", "STORE.example"])
async def test_the_default_port_need_not_be_said(origin: str, host: str) -> None:
    guard = Guard(answering, hosts=None)
    answer = await ask(guard, "POST", "/", [("host", host), ("origin", origin)])
    assert answer.status == 204


BODIES: Final = (
    (JSON, True),
    ("application/json; charset=utf-8", True),
    ("Application/JSON", True),
    (CLOUDEVENT, True),
    ("application/cloudevents-batch+json; charset=utf-8", True),
    (None, False),
    ("", False),
    ("text/plain", False),
    ("text/plain;application/json", False),
    ("text/plain; charset=application/json", False),
    ("application/x-www-form-urlencoded", False),
    ("multipart/form-data; boundary=application/json", False),
    ("application/jsonp", False),
    ("application/json, text/plain", False),
)


@pytest.mark.parametrize(("kind", "allowed"), BODIES)
@pytest.mark.parametrize("framing", [("content-length", "2"), ("transfer-encoding", "chunked")])
async def test_a_body_has_a_type_that_a_page_cannot_send_unasked(
    framing: tuple[str, str], kind: str | None, allowed: bool
) -> None:
    headers = [framing, *([] if kind is None else [("content-type", kind)])]
    for method in UNSAFE:
        answer = await ask(Guard(answering), method, "/", headers)
        assert answer.status == (204 if allowed else 415), method
    binary = await ask(Guard(answering), "POST", "/", headers, [("ce-specversion", "1.0")])
    assert binary.status == 204  # what else is in such a body is for its route to say


async def test_without_a_body_nothing_has_to_be_said() -> None:
    for headers in ([], [("content-length", "0")]):
        for method in UNSAFE:
            assert (await ask(Guard(answering), method, "/", headers)).status == 204


def operations() -> list[tuple[str, str]]:
    """Return every operation that may change something, with a path of it."""
    paths = json.loads(openapi_text())["paths"]
    return [
        (method.upper(), re.sub(r"\{\w+\}", "1", path))
        for path, known in paths.items()
        for method in known
        if method not in ("get", "head")
    ]


async def test_the_rules_hold_on_every_route(shared_app: Dispatcher) -> None:
    guard = Guard(shared_app)
    assert len(operations()) > 15
    for method, path in operations():
        foreign = [("host", "localhost"), ("origin", EVIL)]
        assert (await ask(guard, method, path, foreign)).status == 403, path
        assert (await ask(guard, method, path, called("evil.example"))).status == 421, path
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            form = [("content-length", "2"), ("content-type", kind)]
            assert (await ask(guard, method, path, form)).status == 415, path


@pytest.fixture
async def http(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the guarded application."""
    transport = httpx.ASGITransport(Guard(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:2113") as client:
        yield client


async def test_what_a_page_can_send_unasked_changes_nothing(http: httpx.AsyncClient) -> None:
    assert (await http.put("/consumers/mails")).status_code == 201
    before = (await http.get("/consumers/mails")).json()
    page = {"origin": EVIL, "sec-fetch-site": "cross-site"}
    for headers in (page, {"origin": "null"}):
        for path in ("receive", "parked/replay", "parked/drop"):
            answer = await http.post(f"/consumers/mails/{path}", headers=headers)
            assert answer.status_code == 403
        assert (await http.delete("/consumers/mails", headers=headers)).status_code == 403
    assert (await http.get("/consumers/mails")).json() == before
    assert (await http.post("/consumers/mails/receive")).status_code == 200


@pytest.mark.parametrize(
    ("text", "name"),
    [("Store.Example", "store.example"), ("a_b", "a_b"), ("::1", "[::1]"), ("10.0.0.1", "10.0.0.1"),
     ("store.", "store"), ("*", "*")],
)  # fmt: skip
def test_a_host_is_written_as_browsers_write_it(text: str, name: str) -> None:
    assert check_host(text) == name


@pytest.mark.parametrize(
    "text", ["", "http://a", "a:80", "a/b", "*.a", "a b", "a,b", "-a", "\xe4", "a\n"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="a host is a name"):
        check_host(text)


@pytest.mark.parametrize(
    ("coding", "allowed"),
    [("identity", True), ("", True), ("gzip", False), ("br", False), ("identity, gzip", False)],
)
async def test_a_body_that_is_packed_is_refused_by_name(coding: str, allowed: bool) -> None:
    headers = [("content-length", "2"), ("content-type", JSON), ("content-encoding", coding)]
    for method in UNSAFE:
        answer = await ask(Guard(answering), method, "/", headers)
        assert answer.status == (204 if allowed else 415), method
        assert allowed or f"Content-Encoding {coding} is not read" in answer.problem()["detail"]
