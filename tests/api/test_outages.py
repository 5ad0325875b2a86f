"""How failures are told: nothing stored, perhaps stored, and what to do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from eventstore import (
    DuplicateEventId,
    EventStore,
    EventStoreError,
    InvalidInput,
    Limits,
    OutcomeUnknown,
    SchemaMismatch,
    Unavailable,
)
from eventstore.postgres.lane import Lane
from eventstore_api import create_app
from eventstore_api.problems import KINDS
from eventstore_api.problems import problem as problem_of
from tests.api.conftest import client_of
from tests.api.rest import append, appended, head, problem
from tests.fix_database import Pg
from tests.fix_server import Server

END_SERVICE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = $1 AND application_name LIKE 'eventstore%'
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"


class Database:
    """The test's database, seen from another one."""

    def __init__(self, outside: Pg, name: str) -> None:
        self.outside = outside
        self.name = name

    @asynccontextmanager
    async def unreachable(self) -> AsyncIterator[None]:
        """End every connection of the service, and let nobody in."""
        await self.outside.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        await self.outside.execute(END_SERVICE, self.name)
        try:
            yield
        finally:
            await self.outside.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    async def append_waits(self) -> None:
        """Wait until somebody waits for a lock there."""
        while not await self.outside.fetchval(WAITING, self.name):
            pass


@pytest.fixture
async def database(server: Server, dsn: str) -> AsyncIterator[Database]:
    """The test's database, to be made unreachable."""
    outside = await asyncpg.connect(server.dsn)
    yield Database(outside, urlsplit(dsn).path[1:])
    await outside.close()


def give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store that is opened from now on wait for a lost database only for a moment."""
    defaults = Lane.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "reconnect_within", 0.2)


async def test_when_the_database_is_gone_everything_says_to_try_again(
    store: EventStore, http: httpx.AsyncClient, database: Database
) -> None:
    await appended(http, "order-1")
    async with database.unreachable():
        answer = await http.get("/health/ready")
        assert (answer.status_code, answer.json()["status"]) == (503, "unready")
        assert answer.json()["reasons"]
        assert (await http.get("/health/live")).status_code == 200
        for path in ("/", "/events", "/streams/order-1", "/streams", "/streams/order-1/0"):
            answer = await http.get(path)
            problem(answer, 503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1

    assert (await http.get("/health/ready")).status_code == 200
    assert (await append(http, "order-1")).json()["position"] == 2
    assert await head(http) == 2


async def test_what_is_malformed_is_refused_without_a_look_at_the_database(
    http: httpx.AsyncClient, database: Database
) -> None:
    async with database.unreachable():
        for bad in ("after=x", "before=x", "limit=0", "direction=up", "unknown=1"):
            for path in ("/events", "/streams/order-1"):
                problem(await http.get(f"{path}?{bad}"), 400, "malformed-request")
        problem(await http.get("/events/none"), 422, "invalid-request")


@pytest.mark.parametrize("expected", [None, "k"])
async def test_an_append_over_a_short_outage_is_stored_once(
    http: httpx.AsyncClient, connection: Pg, database: Database, expected: str | None
) -> None:
    headers = {} if expected is None else {"idempotency-key": expected}
    lock = connection.transaction()
    await lock.start()
    await connection.execute("SELECT FROM eventstore.log FOR UPDATE")
    sending = asyncio.create_task(append(http, "order-1", headers=headers))
    await database.append_waits()
    async with database.unreachable():
        pass
    await lock.rollback()
    answer = await sending

    assert answer.status_code == 201
    assert answer.json()["position"] == 1
    assert await head(http) == 1


async def test_an_append_whose_line_breaks_for_long_says_that_its_outcome_is_unknown(
    dsn: str, connection: Pg, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    async with EventStore(dsn) as store, client_of(create_app(store, manage=False)) as http:
        lock = connection.transaction()
        await lock.start()
        await connection.execute("SELECT FROM eventstore.log FOR UPDATE")
        headers = {"idempotency-key": "k"}
        sending = asyncio.create_task(append(http, "order-1", headers=headers))
        await database.append_waits()
        async with database.unreachable():
            answer = await sending
        body = problem(answer, 503, "outcome-unknown", "retry with the same")
        assert answer.headers["retry-after"] == "1"

        await lock.rollback()
        again = await append(http, "order-1", headers=headers)
        assert again.status_code in (200, 201)
        assert again.json()["event_ids"] == body["event_ids"]
        assert await head(http) == 1


async def test_an_append_that_outlasts_the_service_has_an_unknown_outcome(
    http: httpx.AsyncClient, connection: Pg, database: Database
) -> None:
    event_id = str(uuid.uuid4())
    async with connection.transaction():
        await connection.execute("SELECT FROM eventstore.log FOR UPDATE")
        body = {"type": "T", "id": event_id}
        appending = asyncio.create_task(http.post("/streams/order-1", json=body))
        await database.append_waits()
        appending.cancel()  # as uvicorn does when its time to end in order is over
        members = problem(await appending, 503, "outcome-unknown")
    assert members["event_ids"] == [event_id]


async def test_a_read_that_outlasts_the_service_is_to_be_tried_again(
    http: httpx.AsyncClient, connection: Pg, database: Database
) -> None:
    async with connection.transaction():
        await connection.execute("LOCK TABLE eventstore.events")
        reading = asyncio.create_task(http.get("/events?type=T"))
        await database.append_waits()
        reading.cancel()
        problem(await reading, 503, "unavailable")


async def test_an_append_that_found_no_database_was_not_stored(
    dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    async with EventStore(dsn) as store, client_of(create_app(store, manage=False)) as http:
        async with database.unreachable():
            answer = await append(http, "order-1")
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert await head(http) == 0


@pytest.mark.one_postgres
async def test_an_append_that_waits_for_the_lock_too_long_was_not_stored(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    async with connection.transaction():
        await connection.execute("SELECT FROM eventstore.log FOR UPDATE")
        answer = await append(http, "order-1")
    problem(answer, 503, "unavailable", "not stored", "append lock")
    assert await head(http) == 0


async def test_beyond_the_bounds_of_the_queue_an_append_is_turned_away_at_once(dsn: str) -> None:
    limits = Limits(pending_appends=0)
    async with (
        EventStore(dsn, limits=limits) as store,
        client_of(create_app(store, manage=False)) as http,
    ):
        answer = await append(http, "order-1")
        problem(answer, 503, "unavailable", "not stored", "send slower")
        assert answer.headers["retry-after"] == "1"
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unready")
        assert await head(http) == 0


@pytest.mark.parametrize(
    ("error", "status", "slug", "facts"),
    [
        (OutcomeUnknown(("a", "b")), 503, "outcome-unknown", {"event_ids": ["a", "b"]}),
        (Unavailable("x", retry_after=7), 503, "unavailable", {}),
        (SchemaMismatch("x"), 503, "schema-mismatch", {}),
        (DuplicateEventId("a", "s", 3), 409, "duplicate-event-id", {"position": 3}),
        (InvalidInput("bad \ud800", path="$[3]"), 422, "invalid-request", {"path": "$[3]"}),
        (EventStoreError("x"), 503, "unavailable", {}),
    ],
)
def test_every_error_has_its_problem(
    error: EventStoreError, status: int, slug: str, facts: dict[str, Any]
) -> None:
    found, headers, body = problem_of(error)
    members = httpx.Response(found, headers=headers, content=body)
    assert facts.items() <= problem(members, status, slug).items()
    assert ("retry-after" in headers) == (status == 503)
    if isinstance(error, Unavailable):
        assert headers["retry-after"] == "7"


def test_every_kind_of_problem_has_a_name_of_its_own() -> None:
    assert len({kind.slug for kind in KINDS.values()}) == len(KINDS)
    assert all(400 <= kind.status < 600 for kind in KINDS.values())
