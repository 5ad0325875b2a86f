"""Bodies that are too large: refused as soon as that is known, in bounded memory."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator
from typing import NoReturn

import httpx
import pytest

from eventstore import Limits
from eventstore_api import wire
from eventstore_api.dispatch import Dispatcher, body_limit
from tests.api.rest import append, head, problem, raw_request, stream_path

pytestmark = pytest.mark.one_postgres

JSON = {"content-type": "application/json"}
LIMIT = body_limit(Limits())
MEBIBYTE = 1 << 20


async def too_large(http: httpx.AsyncClient, body: bytes, *mentions: str) -> None:
    """Expect 413, and that nothing is harmed."""
    before = await head(http)
    answer = await http.post(stream_path("large"), content=body, headers=JSON)
    problem(answer, 413, "limit-exceeded", *mentions)
    assert await head(http) == before
    assert (await append(http, "good")).status_code == 201


async def test_an_event_is_at_most_a_mebibyte(shared_http: httpx.AsyncClient) -> None:
    def event(size: int) -> bytes:
        return json.dumps({"type": "A", "data": "x" * (size - 4)}).encode()

    await too_large(shared_http, event(MEBIBYTE + 1), "$", "at most 1048576 bytes")
    answer = await shared_http.post("/streams/large", content=event(MEBIBYTE), headers=JSON)
    assert answer.status_code == 201


async def test_data_and_metadata_count_together(shared_http: httpx.AsyncClient) -> None:
    half = "x" * (MEBIBYTE // 2)
    body = json.dumps([{"type": "A"}, {"type": "A", "data": half, "metadata": {"a": half}}])
    await too_large(shared_http, body.encode(), "$[1]")


async def test_an_append_is_at_most_sixteen_mebibytes(shared_http: httpx.AsyncClient) -> None:
    event = {"type": "A", "data": "x" * (MEBIBYTE - 10)}
    await too_large(shared_http, json.dumps([event] * 17).encode())


async def test_an_append_is_at_most_ten_thousand_events(shared_http: httpx.AsyncClient) -> None:
    await too_large(shared_http, json.dumps([{"type": "A"}] * 100_000).encode(), "100000")
    await too_large(shared_http, json.dumps([{"type": "A"}] * 10_001).encode(), "10001")
    answer = await append(shared_http, "large", [{"type": "A"}] * 10_000)
    assert answer.status_code == 201


async def test_an_append_of_very_many_streams_counts_its_events(
    shared_http: httpx.AsyncClient,
) -> None:
    body = {"appends": [{"stream": f"s-{n}", "events": [{"type": "A"}]} for n in range(10_001)]}
    problem(await shared_http.post("/appends", json=body), 413, "limit-exceeded", "10001")


async def test_an_event_has_at_most_sixty_four_tags(shared_http: httpx.AsyncClient) -> None:
    for count in (65, 100_000):
        event = {"type": "A", "tags": [f"tag:{n}" for n in range(count)]}
        await too_large(shared_http, json.dumps(event).encode(), "64 tags")


@pytest.mark.parametrize(
    "items",
    [
        [{"types": ["A"]}] * 65,
        [{"types": [f"t{n}" for n in range(257)]}],
        [{"tags": [f"t{n}" for n in range(100_000)]}],
    ],
    ids=["items", "values", "very many values"],
)
async def test_a_condition_is_bounded(
    shared_http: httpx.AsyncClient, items: list[dict[str, list[str]]]
) -> None:
    body = {
        "appends": [{"stream": "large", "events": [{"type": "A"}]}],
        "condition": {"none_matching": {"any_of": items}},
    }
    before = await head(shared_http)
    problem(await shared_http.post("/appends", json=body), 413, "limit-exceeded")
    assert await head(shared_http) == before


@pytest.mark.parametrize("path", [b"/streams/large", b"/appends"])
async def test_no_more_of_a_body_is_read_than_the_limit(
    shared_app: Dispatcher, path: bytes
) -> None:
    given = 0

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += MEBIBYTE
            yield b" " * MEBIBYTE

    headers = [(b"content-type", b"application/json")]
    answer = await raw_request(shared_app, "POST", path, headers=headers, body=without_end())
    assert answer.status == 413
    assert answer.problem()["type"].endswith(":limit-exceeded")
    assert given <= LIMIT + 2 * MEBIBYTE


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_a_body_without_end_is_answered_and_costs_no_memory(
    shared_address: tuple[str, int], framing: str
) -> None:
    lines = ["POST /streams/large HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines.append(
        f"Content-Length: {1 << 40}"
        if framing == "content-length"
        else "Transfer-Encoding: chunked"
    )
    chunk = b" " * MEBIBYTE
    piece = chunk if framing == "content-length" else b"100000\r\n" + chunk + b"\r\n"
    with socket.create_connection(shared_address, timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        before = 0
        for sent in range(200):
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break  # it was closed, which is as good
            if sent == 40:  # well beyond the limit
                before = peak_kibibytes()
        assert before == 0 or peak_kibibytes() - before < 16 * 1024
        connection.settimeout(10)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            return
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")


def peak_kibibytes() -> int:
    """Give the most memory that this process, in which the service runs, ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_body_that_never_ends_holds_up_nobody_else(shared_address: tuple[str, int]) -> None:
    host, port = shared_address
    head_lines = b"POST /streams/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    stuck = [socket.create_connection(shared_address, timeout=10) for _ in range(50)]
    try:
        for connection in stuck:
            connection.sendall(head_lines + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        base = f"http://{host}:{port}"
        answer = httpx.post(f"{base}/streams/quick", json={"type": "A"}, timeout=10)
        assert answer.status_code == 201
    finally:
        for connection in stuck:
            connection.close()
    assert httpx.get(f"{base}/streams/slow").status_code == 404


async def test_a_client_that_leaves_before_its_body_is_whole_stores_nothing(
    shared_address: tuple[str, int], shared_http: httpx.AsyncClient
) -> None:
    before = await head(shared_http)
    _, writer = await asyncio.open_connection(*shared_address)
    writer.write(b"POST /streams/left HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
    writer.write(b'Content-Length: 1000\r\n\r\n{"type": "A"}')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    host, port = shared_address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as http:
        assert (await http.get("/")).json()["head"] == before


@pytest.mark.parametrize("path", ["/streams/a", "/appends"])
async def test_events_are_counted_before_any_is_looked_at(
    http: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looked_at(*_: object, **__: object) -> NoReturn:
        raise AssertionError("an event was looked at")

    monkeypatch.setattr(wire, "encoded_event", looked_at)
    events = "[" + ",".join(['{"type":"T"}'] * 10_001) + "]"
    body = events if path != "/appends" else f'{{"appends":[{{"stream":"a","events":{events}}}]}}'
    answer = await http.post(path, content=body, headers={"content-type": "application/json"})
    problem(answer, 413, "limit-exceeded", "at most 10000 events: 10001")
