"""The service's memory does not grow with what is appended or read through it."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.service.conftest import needs_proc
from tests.service.running import Service, resident_bytes

pytestmark = [pytest.mark.slow, needs_proc]

EVENTS = 200_000
WARM_UP = 20_000
BATCH = 1_000
ALLOWED = 24 << 20
"""Bytes: allocators keep some; 200,000 events held in memory would be over 100 MiB."""
STUCK = 20
PAGE = 4 << 20
"""Bytes of the page that a stuck reader holds; the whole log would be over 50 MiB."""
NDJSON = {"accept": "application/x-ndjson"}


def store(http: httpx.Client, count: int) -> None:
    """Append small events, a thousand a request."""
    for start in range(0, count, BATCH):
        events = [
            {"type": "Counted", "data": {"n": start + n, "text": "x" * 40}} for n in range(BATCH)
        ]
        answer = http.post(f"/streams/batch-{start // 10_000}", json=events)
        assert answer.status_code == 201, answer.text


def read(http: httpx.Client, path: str = "/events") -> int:
    """Read everything as NDJSON without keeping it; give the number of lines."""
    with http.stream("GET", path, headers=NDJSON) as answer:
        assert answer.status_code == 200
        return sum(chunk.count(b"\n") for chunk in answer.iter_raw())


@pytest.mark.timeout(180)
def test_memory_is_constant_in_what_is_appended_and_read(service: Service) -> None:
    pid = service.process.pid
    with httpx.Client(base_url=service.url, timeout=120) as http:
        store(http, WARM_UP)
        assert read(http) == WARM_UP
        warm = resident_bytes(pid)
        store(http, EVENTS)
        assert resident_bytes(pid) - warm < ALLOWED
        assert read(http) == EVENTS + WARM_UP
        assert read(http, "/events?type=Counted&type=Other") == EVENTS + WARM_UP
        assert resident_bytes(pid) - warm < ALLOWED

        with ExitStack() as stuck:
            for _ in range(STUCK):
                stuck.enter_context(stuck_reader(service.url))
            assert read(http) == EVENTS + WARM_UP
            assert resident_bytes(pid) - warm < ALLOWED + STUCK * PAGE


def stuck_reader(url: str) -> socket.socket:
    """Ask for everything, and read only the beginning of the answer."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
    connection.sendall(
        b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    return connection
