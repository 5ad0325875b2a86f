"""Requests that are wrong: each has a clear answer, whatever state the service is in."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import httpx

from tests.service.load import GONE, ticks

_JSON: Final = {"content-type": "application/json"}


class Bad(NamedTuple):
    """A request that must be refused, and store nothing."""

    method: str
    path: str
    headers: Mapping[str, str] = MappingProxyType({})
    content: bytes = b""


BAD: Final = [
    *[
        Bad("POST", "/streams/hot-0", _JSON, body)
        for body in (
            b"",
            b"{",
            b"\x00",
            b"[]",
            b'{"data": {"mark": 1}}',
            b'{"type": "Marked", "data": NaN}',
            b'{"type": "Marked", "data": "\\u0000"}',
            b'{"type": "Marked", "data": "\\ud800"}',
            b'{"type": "Marked", "data": 1e400000}',
            b'{"type": "Marked", "data": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
            b'{"type": "Marked", "id": "none"}',
            b'{"type": "Marked", "tags": "none"}',
            b'{"type": "Marked", "colour": "red"}',
            b'{"type": "\xff"}',
        )
    ],
    Bad("POST", "/streams/hot-0", {"content-type": "text/plain"}, b"hello"),
    Bad("POST", "/streams/hot-0", _JSON | {"if-match": "five"}, b'{"type": "Marked"}'),
    Bad("POST", "/streams/hot-0", _JSON | {"if-match": '"-1"'}, b'{"type": "Marked"}'),
    Bad("POST", "/streams/%00", _JSON, b'{"type": "Marked"}'),
    Bad("POST", "/streams/%ff", _JSON, b'{"type": "Marked"}'),
    Bad("POST", "/appends", _JSON, b'{"appends": [{"stream": "hot-0"}]}'),
    Bad("GET", "/events?limit=-1"),
    Bad("GET", "/events?after=x"),
    Bad("GET", "/events?after=99999999999999999999"),
    Bad("GET", "/events?colour=red"),
    Bad("GET", "/events?query=%7B"),
    Bad("GET", "/events", {"prefer": "wait=-1"}),
    Bad("GET", "/events", {"accept": "text/event-stream", "last-event-id": "none"}),
    Bad("GET", "/events", {"accept": "text/event-stream", "last-event-id": str(1 << 60)}),
    Bad("GET", "/events", {"event-position": f"{1 << 60};epoch=1"}),
    Bad("GET", "/events", {"accept": "image/png"}),
    Bad("GET", "/events/none"),
    Bad("GET", "/streams/hot-0/-1"),
    Bad("GET", "/nowhere"),
    Bad("DELETE", "/events"),
]


async def disturb(http: httpx.AsyncClient, seed: int, per_second: float) -> None:
    """Send bad requests for ever; expect that none gives a 5xx (C6).

    503 is for a database that is away, and only where the fault is not plain without it.
    """
    choices = random.Random(seed)
    async for _ in ticks(per_second):
        bad = choices.choice(BAD)
        try:
            answer = await http.request(
                bad.method, bad.path, headers=bad.headers, content=bad.content
            )
        except GONE:
            continue
        said = f"{bad} gives {answer.status_code}: {answer.text}"[:2000]
        assert answer.headers["content-type"] == "application/problem+json", said
        if answer.status_code == 503:
            assert answer.json()["type"].endswith(":unavailable"), said
            assert needs_database(bad), said
        else:
            assert 400 <= answer.status_code < 500, said


def needs_database(bad: Bad) -> bool:
    """Whether only the log can tell that it is bad: it names a position."""
    return str(1 << 60) in str(bad.headers)
