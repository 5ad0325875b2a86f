"""pgbouncer between the store and the database: what works, and what is said of the rest."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx
import psycopg
import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.postgres.doctor import Finding, examine
from eventstore.postgres.listener import Listener
from eventstore.sync import SyncEventStore
from eventstore_api import create_app
from tests.fix_bouncer import keeps_prepared_statements, needs_pgbouncer, new_bouncer
from tests.fix_waiting import DEADLINE, until

pytestmark = [pytest.mark.one_postgres, needs_pgbouncer]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that soon finds out that nothing comes."""
    monkeypatch.setattr("eventstore.store.Listener", partial(Listener, deadline=0.5))


def notifications(dsn: str) -> Finding:
    """Give what the doctor says of notifications."""
    [found] = [found for found in examine(dsn) if found.name == "notifications"]
    return found


async def test_in_transaction_mode_all_goes_on_by_polling_and_says_so(
    dsn: str, store: EventStore
) -> None:
    # An old one forgets prepared statements when it changes the connection: it is given only one.
    with new_bouncer(
        dsn, mode="transaction", connections=20 if keeps_prepared_statements() else 1
    ) as pooled_dsn:
        async with EventStore(pooled_dsn) as pooled:
            follow = pooled.follow()

            async def take(number: int) -> list[int]:
                async with asyncio.timeout(DEADLINE):
                    return [(await anext(follow)).position for _ in range(number)]

            following = asyncio.ensure_future(take(100))
            for number in range(25):
                await pooled.append("through", EventData("T"))
                await store.append(f"past-{number % 3}", EventData("T"))
            await asyncio.gather(*[pooled.append("at-once", EventData("T")) for _ in range(50)])
            assert await following == list(range(1, 101))
            assert [event.position async for event in pooled.read()] == list(range(1, 101))

            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(create_app(pooled, manage=False)),
                base_url="http://localhost",
            )

            async def told() -> bool:
                answer = await http.get("/health/ready")
                [*reasons] = answer.json()["reasons"]
                return answer.status_code == 200 and any(
                    "pgbouncer in transaction mode" in reason for reason in reasons
                )

            await until(told, "the service to say that notifications do not arrive")
            coming = asyncio.ensure_future(take(1))
            await store.append("past-1", EventData("T"))
            assert await coming == [101]
            await http.aclose()
        with SyncEventStore(pooled_dsn) as synchronous:
            appended = await asyncio.to_thread(synchronous.append, "a", EventData("T"))
            assert appended.position == 102


def test_in_transaction_mode_the_doctor_says_what_to_do(dsn: str) -> None:
    with new_bouncer(dsn, mode="transaction") as pooled_dsn:
        found = notifications(pooled_dsn)
        assert found.state == ("warn" if keeps_prepared_statements() else "bad")
        assert ("max_prepared_statements" in found.advice) != keeps_prepared_statements()
        assert "session mode" in found.advice


async def test_a_prepared_statement_that_is_forgotten_is_explained(dsn: str) -> None:
    with new_bouncer(dsn, mode="transaction") as pooled_dsn:
        async with EventStore(pooled_dsn, max_connections=1) as store:
            await store.head()
            # It gets the connection that is free: the one on which the store's statements are.
            with psycopg.connect(pooled_dsn) as other:
                other.execute("SELECT 1")
                if keeps_prepared_statements():
                    assert (await store.head()).position == 0
                else:
                    with pytest.raises(Unavailable, match="max_prepared_statements"):
                        await store.head()


async def test_in_session_mode_nothing_is_different(dsn: str, store: EventStore) -> None:
    with new_bouncer(dsn, mode="session") as pooled_dsn:
        async with EventStore(pooled_dsn) as pooled:
            pooled.start_following()

            async def live() -> bool:
                return not pooled.following_troubles

            await until(live, "notifications to arrive")
        assert notifications(pooled_dsn).state == "ok"
