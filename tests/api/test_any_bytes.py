"""Whatever bytes come: never a failure of the service, always an answer of the documented kind."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.rest import PROBLEM
from tests.fix_examples import json_values

pytestmark = pytest.mark.one_postgres

many = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PATHS: Final = ["/streams/any-bytes", "/appends"]
CONTENT_TYPES: Final = [
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
]
SEEDS: Final = [
    b'{"type": "A", "data": {"a": [1, 2.5e3, null, true]}, "tags": ["x"], "metadata": {}}',
    b'[{"type": "A"}, {"type": "B", "id": "0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852"}]',
    b'{"appends": [{"stream": "s", "expected_revision": 1, "events": [{"type": "A"}]}],'
    b'"condition": {"none_matching": {"any_of": [{"types": ["A"], "tags": ["x"]}]}, "after": 1}}',
    b'{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "\\ud83d\\udc22"}',
]
SPLICES: Final = [
    b'"', b"\\", b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"[", b"{", b"}", b"]", b",", b":",
    b"1e999", b"-", b"NaN", b"null", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"9" * 400, b"{}", b"[]",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Give a good body with a few bytes cut out and put in."""
    body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 8))
        body = body[:at] + draw(st.sampled_from([*SPLICES, b""])) + body[at + cut :]
    return body


objects = st.dictionaries(
    st.sampled_from(["type", "data", "metadata", "id", "tags", "appends", "stream", "events", "x"]),
    json_values
    | st.just("A")
    | st.lists(st.fixed_dictionaries({"type": st.just("A")}), max_size=2),
)
bodies = (
    st.binary(max_size=60)
    | mutated()
    | (objects | st.lists(objects)).map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def client(random_address: tuple[str, int]) -> Iterator[httpx.Client]:
    """A client of the service behind a real HTTP server."""
    host, port = random_address
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=30) as made:
        yield made


def check(answer: httpx.Response) -> None:
    """Expect success or a problem that names the fault."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["content-type"] == PROBLEM
        members: dict[str, Any] = answer.json()
        assert members["detail"]
        assert members["status"] == answer.status_code


@many
@given(st.sampled_from(PATHS), st.sampled_from(CONTENT_TYPES), bodies)
def test_any_body_is_stored_or_refused(
    client: httpx.Client, path: str, content_type: str, body: bytes
) -> None:
    before = client.get("/").json()["head"]
    answer = client.post(path, content=body, headers={"content-type": content_type})
    check(answer)
    after = client.get("/").json()["head"]
    assert (after > before) == (answer.status_code == 201)


header_values = st.binary(max_size=40).map(
    lambda raw: bytes(b for b in raw if b >= 32 and b != 127).strip()
)
HEADERS: Final = [
    "if-match", "if-none-match", "idempotency-key", "prefer", "accept", "event-position",
    "content-type", "x-anything",
]  # fmt: skip


@many
@given(st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=3))
def test_any_headers_are_understood_or_refused(
    client: httpx.Client, headers: dict[str, bytes]
) -> None:
    raw = [(name.encode(), value) for name, value in headers.items()]
    check(client.get("/events?limit=1", headers=raw))
    check(client.get("/streams/any-bytes?limit=1", headers=raw))
    check(client.get("/streams?limit=1", headers=raw))
    if "content-type" not in headers:
        raw.append((b"content-type", b"application/json"))
    check(client.post("/streams/any-bytes", content=b'{"type": "A"}', headers=raw))


PIECES: Final = [
    b"/", b"streams", b"events", b"a", b"%", b"%2F", b"%00", b"%ff", b"%C5%BC", b"\xc5\xbc",
    b"?", b"&", b"=", b"limit", b"after", b"query", b"tag", b"{", b'"', b"#", b"..", b";", b"1",
    b"\xff", b"-1", b"http://", b"*", b"+", b"\\", b"0",
]  # fmt: skip
targets = st.lists(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=3), max_size=12).map(
    b"".join
)


@many
@given(st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"]), targets)
def test_any_target_is_answered(
    random_address: tuple[str, int], method: bytes, target: bytes
) -> None:
    # By a raw socket: no client sends such requests. What is no HTTP at all is answered by 400 or
    # by the end of the connection.
    target = target.translate(None, b" \r\n\t\x00")
    lines = [method + b" /" + target + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    with socket.create_connection(random_address, timeout=30) as connection:
        connection.sendall(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert 200 <= status < 500, answer
        if status >= 400 and b"\r\n\r\n{" in answer:
            assert b"application/problem+json" in answer
