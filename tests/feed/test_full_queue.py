"""A full notification queue: it costs followers latency, and nobody an append."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import httpx
import psycopg
import pytest

from eventstore import EventData, EventStore, RecordedEvent
from eventstore.cli.doctor import of_service
from eventstore.postgres.doctor import Finding, examine
from eventstore.postgres.schema import migrate
from eventstore.sync import SyncEventStore
from eventstore_api import create_app
from tests.fix_database import Psql, janitor, new_pg
from tests.fix_psql import run_program
from tests.fix_server import QUICK, Server, running_server
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, dense, until, wait_until

_numbers = count(1)


@pytest.fixture(scope="module")
def small_queue() -> Iterator[Server]:
    """A server whose notification queue is as short as it can be: 64 pages."""
    with running_server("18", QUICK | {"max_notify_queue_pages": "64"}) as running:
        yield running


@pytest.fixture
def dsn(small_queue: Server) -> Iterator[str]:
    """An empty store there."""
    with janitor(small_queue, f"queue_{next(_numbers)}") as database:
        migrate(small_queue.database(database.dbname))
        yield small_queue.database(database.dbname)


def refuses(session: Psql) -> bool:
    """Tell whether PostgreSQL refuses a notification that fills a page of the queue."""
    try:
        session.execute("SELECT pg_notify('other', repeat('x', 7900))")
    except psycopg.errors.ProgramLimitExceeded:
        return True
    return False


def usage(session: Psql) -> float:
    """Give the share of the queue that is in use."""
    [(share,)] = session.execute("SELECT pg_notification_queue_usage()")
    return float(share)


@contextmanager
def full_queue(dsn: str) -> Iterator[int]:
    """Fill the queue, held back by a session that listens in an open transaction; give its pid.

    That session is another application's, in another database.
    """
    elsewhere = psycopg.conninfo.make_conninfo(dsn, dbname="postgres")
    with (
        psycopg.connect(elsewhere, autocommit=True, application_name="forgetful") as blocking,
        psycopg.connect(elsewhere, autocommit=True) as filling,
    ):
        blocking.execute("LISTEN other")
        blocking.execute("BEGIN")
        blocking.execute("SELECT 1")
        # To ask for the usage frees what was heard before the session began to hold it back.
        assert any(refuses(filling) and usage(filling) == 1 for _ in range(200))
        yield blocking.info.backend_pid


def findings(dsn: str) -> dict[str, Finding]:
    return {found.name: found for found in examine(dsn)}


async def health(http: httpx.AsyncClient) -> tuple[str, str]:
    """Give what the service says of itself: its status, and why."""
    answer = await http.get("/health/ready")
    assert answer.status_code == 200
    return answer.json()["status"], "; ".join(answer.json()["reasons"])


async def positions(follow: AsyncIterator[RecordedEvent], number: int) -> list[int]:
    async with asyncio.timeout(DEADLINE):
        return [(await anext(follow)).position for _ in range(number)]


async def test_appends_and_followers_go_on_and_all_is_well_by_itself_afterwards(dsn: str) -> None:
    async with EventStore(dsn) as store, EventStore(dsn) as other:
        transport = httpx.ASGITransport(create_app(store, manage=False))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:

            def is_said(status: str, *parts: str) -> Callable[[], Awaitable[bool]]:
                async def holds() -> bool:
                    said, why = await health(http)
                    return said == status and all(part in why for part in parts)

                return holds

            with full_queue(dsn):
                following = asyncio.ensure_future(positions(store.follow(), 40))
                for number in range(20):
                    await other.append(f"s-{number % 3}", EventData("T"))
                    answer = await http.post("/streams/rest", json={"type": "T"})
                    assert answer.status_code == 201
                assert await following == list(range(1, 41))
                await until(
                    is_said(
                        "degraded",
                        "notifications do not arrive",
                        "notifications cannot be sent",
                        "queue is full",
                        "'eventstore doctor' says which",
                    ),
                    "the service to say what is wrong",
                )
            async with new_pg(dsn) as connection:
                assert await dense(connection) == 40
            # Nothing is appended from here on.
            await until(is_said("ready"), "the service to be well again")
            assert other.following_troubles == []
            with psycopg.connect(dsn, autocommit=True) as session:
                assert not refuses(session)


def test_psql_and_the_synchronous_store_append(dsn: str, small_queue: Server) -> None:
    with full_queue(dsn), psycopg.connect(dsn, autocommit=True) as session:
        run_program(small_queue, "psql", dsn, "-c", "SELECT eventstore.append('a', 'T')")
        with SyncEventStore(dsn) as store:
            assert store.append("a", EventData("T")).position == 2
        assert refuses(session)


def test_the_doctor_is_told_by_a_service_that_it_is_degraded(dsn: str) -> None:
    with full_queue(dsn), served(EventStore(dsn)) as (host, port):
        url = f"http://{host}:{port}"
        assert httpx.post(f"{url}/streams/a", json={"type": "T"}).status_code == 201

        def told() -> bool:
            [ready] = [found for found in of_service(url) if found.name == "ready"]
            return ready.state == "warn" and "queue is full" in ready.value

        wait_until(told, "the doctor to be told")


def test_the_doctor_names_who_holds_the_queue_back(dsn: str) -> None:
    with full_queue(dsn) as pid:
        found = findings(dsn)
        assert found["notifications"].state == "bad"
        queue = found["notification queue"]
        assert queue.state == "warn"
        assert queue.value.startswith("100.0% in use; the oldest transaction: ")
        assert f"on postgres (forgetful, pid {pid}, idle in transaction), since 20" in queue.value
        assert f"pg_terminate_backend({pid})" in queue.advice
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute("CREATE ROLE queue_reader LOGIN IN ROLE eventstore_reader")
            queue = findings(psycopg.conninfo.make_conninfo(dsn, user="queue_reader"))[
                "notification queue"
            ]
            session.execute("DROP ROLE queue_reader")
        assert queue.advice.endswith("a member of pg_monitor sees which")
    found = findings(dsn)
    assert found["notification queue"].state == found["notifications"].state == "ok"
