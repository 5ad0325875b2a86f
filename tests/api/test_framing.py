"""HTTP as it is spoken: where a request ends, and what is refused before anybody is asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from eventstore_api.limits import HttpLimits
from tests.api.wire import Noting, Wire
from tests.fix_waiting import until

LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SMUGGLED = b"POST /streams/smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
UPGRADES = [
    b"Connection: Upgrade\r\nUpgrade: websocket",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA",
    b"connection: keep-alive, upgrade\r\nupgrade: anything/7, h2c",
    b"Upgrade: h2c",
]


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_an_upgrade_that_is_not_taken_is_ignored_and_the_body_is_read(
    upgrade: bytes, is_chunked: bool
) -> None:
    body = b"\r\n\r\n" + SMUGGLED
    head = b"PUT /first HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n"
    if is_chunked:
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    for cut in range(len(sent)):
        app = Noting()
        wire = Wire(app)
        for piece in (sent[:cut], sent[cut:] + LAST):
            wire.feed(piece)
        assert await wire.end() == [(200, b"%d" % len(body)), (200, b"0")]
        assert app.seen == [("PUT", "/first", body), ("GET", "/last", b"")]


async def test_every_one_of_several_upgrades_in_one_segment_is_ignored() -> None:
    offer = SMUGGLED.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c")
    app = Noting()
    wire = Wire(app)
    wire.feed(offer * 3 + LAST)
    assert await wire.end() == [(200, b"2")] * 3 + [(200, b"0")]
    assert [body for _, _, body in app.seen] == [b"{}"] * 3 + [b""]


async def test_a_request_in_bytes_that_come_one_by_one_is_one_request() -> None:
    app = Noting()
    wire = Wire(app)
    for byte in SMUGGLED + LAST:
        wire.feed(bytes([byte]))
    assert await wire.end() == [(200, b"2"), (200, b"0")]


HOST = b"Host: a\r\n"
REFUSED = {
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed-request"),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed-request"),
    "two equal Hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "malformed-request"),
    "a coding before chunked": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "not-implemented",
    ),
    "chunked twice": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "malformed-request",
    ),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        400,
        "malformed-request",
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        400,
        "malformed-request",
    ),
    "chunks to HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "malformed-request",
    ),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed-request"),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 400, "malformed-request"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed-request"),
    "many headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 128 + b"\r\n",
        431,
        "headers-too-large",
    ),
    "large headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"a: " + b"x" * 66_000 + b"\r\n\r\n",
        431,
        "headers-too-large",
    ),
    "a head without an end": (b"GET / HTTP/1.1\r\na: " + b"x" * 400_000, 431, "headers-too-large"),
    "a long URL": (
        b"GET /?" + b"x" * 270_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        414,
        "uri-too-long",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_is_not_understood_is_refused_and_ends_the_connection(
    name: str,
) -> None:
    sent, status, slug = REFUSED[name]
    app = Noting()
    wire = Wire(app)
    for at in range(0, len(sent), 60_000):
        wire.feed(sent[at : at + 60_000])
    wire.feed(LAST)
    [(told, body)] = await wire.end()
    assert (told, problem_type(body)) == (status, f"urn:eventstore:problem:{slug}")
    assert app.seen == []


def problem_type(body: bytes) -> Any:
    return json.loads(body)["type"]


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    app = Noting()
    app.may_answer.clear()
    wire = Wire(app)
    wire.feed(LAST.replace(b"Connection: close\r\n", b"") * 2 + b"nonsense\r\n\r\n" + LAST)
    await until_seen(app, 1)
    assert wire.sent == b""
    app.may_answer.set()
    first, second, refused = await wire.end()
    assert (first, second) == ((200, b"0"), (200, b"0"))
    assert refused[0] == 400
    assert len(app.seen) == 2


async def until_seen(app: Noting, count: int) -> None:
    async def holds() -> bool:
        return len(app.seen) >= count

    await until(holds, f"{count} requests")


async def test_a_body_that_breaks_off_its_framing_is_refused_and_asked_of_nobody() -> None:
    app = Noting()
    wire = Wire(app)
    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    await asyncio.sleep(0)
    wire.feed(b"zz\r\n" + LAST)
    [(status, _)] = await wire.end()
    assert (status, app.seen) == (400, [])


async def test_http_1_0_is_answered_without_chunks_and_closed() -> None:
    app = Noting()
    app.streams = True
    wire = Wire(app)
    wire.feed(b"POST /old HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab")
    assert await wire.end() == []  # nothing but the end of the connection ends the body
    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert body == b"2."
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert app.seen == [("POST", "/old", b"ab")]


async def test_no_more_is_read_while_requests_of_the_connection_wait() -> None:
    app = Noting()
    wire = Wire(app)
    wire.feed(LAST.replace(b"Connection: close\r\n", b"") * 3)
    assert wire.is_paused
    await until_seen(app, 3)
    wire.feed(LAST)
    assert [status for status, _ in await wire.end()] == [200] * 4
    assert wire.waiting_when_resumed == [0]


async def test_bodies_of_all_connections_share_one_limit() -> None:
    app = Noting()
    first = Wire(app, HttpLimits(bodies_bytes=1_000))
    second = Wire(app)
    type(second.protocol).bodies = type(first.protocol).bodies
    half = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 700\r\n\r\n"
        + b"x" * 600
    )
    first.feed(half)
    second.feed(half)
    [(status, body)] = await second.end()
    assert (status, problem_type(body)) == (503, "urn:eventstore:problem:unavailable")
    assert b"retry-after: 1" in second.sent
    first.feed(b"x" * 100)
    assert await first.end() == [(200, b"700")]
    assert type(first.protocol).bodies.size == 0


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", []),
        (b"GET / HTT", [408]),
        (LAST[:-2], [408]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", [408]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", [408]),
    ],
)
async def test_what_does_not_come_on_is_ended(sent: bytes, told: list[int]) -> None:
    wire = Wire(Noting())
    wire.feed(sent)
    await asyncio.sleep(0)
    now = asyncio.get_running_loop().time()
    wire.protocol.look(now)
    assert not wire.closed.is_set()
    wire.protocol.look(now + 60)
    assert [status for status, _ in await wire.end()] == told


async def test_a_body_that_comes_slowly_but_comes_is_read_and_a_slow_answer_is_waited_for() -> None:
    app = Noting()
    app.may_answer.clear()
    wire = Wire(app)
    now = asyncio.get_running_loop().time()
    wire.feed(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6000\r\n\r\n")
    for number in range(1, 4):
        wire.feed(b"x" * 2_000)
        wire.protocol.look(now + 10 * number)
    await until_seen(app, 1)
    wire.protocol.look(now + 600)
    app.may_answer.set()
    assert await wire.end() == [(200, b"6000")]
