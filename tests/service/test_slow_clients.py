"""Clients that ask for the log and do not read it: they cost nobody memory, and nobody time."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest

from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate
from tests.fix_server import QUICK, new_room
from tests.service.conftest import needs_proc
from tests.service.running import DEADLINE, Service, resident_bytes, serving

pytestmark = [pytest.mark.slow, pytest.mark.one_postgres, needs_proc]

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
BATCH = 500
BEFORE, MEANWHILE = 10_000, 50_000
"""Events in the log when the slow clients ask for it, and appended while they do not read."""
TEXT = "x" * 1_000
SLOW = 5
"""Slow clients of each kind."""
ALLOWED = 24 << 20
"""Bytes: allocators keep some; the events appended meanwhile are over 60 MiB."""


@contextmanager
def asked(service: Service, accept: str) -> Iterator[HTTPResponse]:
    """Ask for the log over a connection that holds little; give an answer of which only the head
    has been read."""
    parts = urlsplit(service.url)
    with socket.socket() as connection:
        connection.settimeout(DEADLINE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        connection.connect((parts.hostname, parts.port))
        request = f"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        connection.sendall(request.encode())
        with HTTPResponse(connection) as answer:
            answer.begin()
            assert (answer.status, answer.headers["content-type"]) == (200, accept)
            yield answer


def positions(answer: HTTPResponse) -> Iterator[int]:
    """Give the positions of the events in either form, as they come."""
    for line in answer:
        event = line.removeprefix(b"data: ")
        if event.startswith(b'{"position":'):
            yield json.loads(event)["position"]


def append(http: httpx.Client, count: int) -> None:
    for _ in range(count // BATCH):
        events = [{"type": "T", "data": TEXT}] * BATCH
        assert http.post("/streams/a", json=events).status_code == 201


def expect(answer: HTTPResponse, first: int, last: int) -> None:
    """Read these positions, each once and in order."""
    coming = positions(answer)
    for position in range(first, last + 1):
        assert next(coming) == position


@pytest.mark.timeout(120)
def test_clients_that_do_not_read_hold_up_nobody_and_miss_nothing(dsn: str) -> None:
    with (
        serving("--dsn", dsn) as service,
        httpx.Client(base_url=service.url, timeout=DEADLINE) as http,
        ExitStack() as stack,
    ):
        pid = service.process.pid
        append(http, BEFORE)
        slow = {
            accept: [stack.enter_context(asked(service, accept)) for _ in range(SLOW)]
            for accept in (SSE, NDJSON)
        }
        quick = stack.enter_context(asked(service, SSE))
        expect(quick, 1, BEFORE)
        warm = resident_bytes(pid)
        for done in range(BEFORE, BEFORE + MEANWHILE, MEANWHILE // 10):
            append(http, MEANWHILE // 10)
            expect(quick, done + 1, done + MEANWHILE // 10)
            assert resident_bytes(pid) - warm < ALLOWED
        assert http.get("/health/ready").json() == {"status": "ready", "reasons": []}

        expect(slow[SSE][0], 1, BEFORE + MEANWHILE)
        assert list(positions(slow[NDJSON][0])) == list(range(1, BEFORE + 1))
        assert resident_bytes(pid) - warm < ALLOWED
        append(http, BATCH)
        for follower in (quick, slow[SSE][0]):
            expect(follower, BEFORE + MEANWHILE + 1, BEFORE + MEANWHILE + BATCH)


@pytest.mark.timeout(120)
def test_a_client_that_lags_behind_is_served_on_after_an_outage_of_the_database() -> None:
    """It reads the log, not the tail, so its response meets the outage."""
    with new_room() as room, EmbeddedPostgres(room / "data", settings=QUICK) as postgres:
        migrate(postgres.dsn())
        with (
            serving("--dsn", postgres.dsn()) as service,
            httpx.Client(base_url=service.url, timeout=DEADLINE) as http,
        ):
            append(http, BEFORE)
            with asked(service, SSE) as lagging:
                expect(lagging, 1, 100)
                postgres.stop()
                seen = 100
                while not (line := lagging.readline()).startswith(b": keep-alive"):
                    assert line, "the response ended"
                    seen += line.startswith(b"data: ")
                assert seen < BEFORE
                postgres.start()
                expect(lagging, seen + 1, BEFORE)
