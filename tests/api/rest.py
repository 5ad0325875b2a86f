"""What the tests of the REST service say often: requests, events, and the checks of an answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
from starlette.types import ASGIApp, Message, Scope

EVENT: Final[dict[str, Any]] = {"type": "OrderPlaced", "data": {"total": 12}}
PROBLEM: Final = "application/problem+json"
NDJSON: Final = "application/x-ndjson"
CLOUDEVENT: Final = "application/cloudevents+json"
CLOUDEVENTS: Final = "application/cloudevents-batch+json"
Headers = dict[str, str]


def stream_path(name: str, *rest: object) -> str:
    """Give the path of a stream, or of what is below it."""
    encoded = quote(name, safe="")
    if name in (".", ".."):
        encoded = encoded.replace(".", "%2E")
    return "/".join(["/streams", encoded, *map(str, rest)])


async def append(
    http: httpx.AsyncClient,
    name: str,
    events: Any = None,
    *,
    headers: Headers | None = None,
) -> httpx.Response:
    """Append events (default: EVENT) to a stream."""
    body = EVENT if events is None else events
    return await http.post(stream_path(name), json=body, headers=headers)


async def appended(http: httpx.AsyncClient, name: str, count: int = 1) -> dict[str, Any]:
    """Append `count` numbered events, and expect that they are stored."""
    events = [{"type": "Counted", "data": {"n": n}} for n in range(count)]
    answer = await append(http, name, events)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def head(http: httpx.AsyncClient) -> int:
    """Give the log's last position."""
    answer = await http.get("/")
    assert answer.status_code == 200, answer.text
    position: int = answer.json()["head"]
    return position


def problem(answer: httpx.Response, status: int, slug: str, *mentions: str) -> dict[str, Any]:
    """Expect a problem of this kind whose detail mentions these texts; give its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:eventstore:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    for text in mentions:
        assert text in body["detail"]
    return body


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Give the events of a page or of NDJSON."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == NDJSON:
        return [json.loads(line) for line in answer.text.splitlines()]
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


def next_page(answer: httpx.Response) -> str | None:
    """Give the address of the next page, None at the end."""
    link = answer.links.get("next")
    return None if link is None else str(answer.url.join(link["url"]))


def location(answer: httpx.Response) -> str:
    """Return the address that an answer's Location means."""
    return str(answer.url.join(answer.headers["location"]))


async def all_pages(http: httpx.AsyncClient, address: str) -> list[list[dict[str, Any]]]:
    """Follow the links to the end."""
    pages = []
    following: str | None = address
    while following is not None:
        answer = await http.get(following)
        pages.append(events_of(answer))
        following = next_page(answer)
    return pages


def request_scope(
    method: str, path: bytes, query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> Scope:
    """Give a request as the server hands it to the application."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


class RawAnswer(NamedTuple):
    """An answer to a request that no HTTP client would send."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """Expect a problem; give its members."""
        assert self.headers["content-type"] == PROBLEM
        members: dict[str, Any] = json.loads(self.body)
        assert members["status"] == self.status
        return members


async def raw_request(
    app: ASGIApp,
    method: str,
    path: bytes,
    query: bytes = b"",
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes | AsyncIterator[bytes] = b"",
) -> RawAnswer:
    """Call the application with the very bytes, as the server hands them to it."""
    chunks = body if isinstance(body, AsyncIterator) else _once(body)

    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request_scope(method, path, query, headers), receive, send)
    answer = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return RawAnswer(sent[0]["status"], answer, content)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
