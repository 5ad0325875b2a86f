"""A database that stays away: unknown if the append was sent, unavailable if it was not (G5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from eventstore import EventData, EventStore, OutcomeUnknown, Unavailable
from eventstore.core.append import Appended, AppendRequest, encode_append, make_request
from eventstore.core.batching import Outcome
from eventstore.ids import new_event_ids
from eventstore.postgres.lane import Lane
from eventstore.postgres.statements import statements
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, new_pg
from tests.fix_proxy import Proxy, new_proxy
from tests.fix_waiting import dense, until


def one(stream: str) -> AppendRequest:
    return make_request([encode_append(stream, [EventData("T")])], new_ids=new_event_ids(1))


def is_stored(outcome: Outcome) -> bool:
    return isinstance(outcome, tuple) and isinstance(outcome[0], Appended)


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    """A line to the test's database."""
    async with new_proxy(dsn) as line:
        yield line


@pytest.fixture
async def lane(proxy: Proxy) -> AsyncIterator[Lane]:
    """A lane behind the proxy that gives up soon."""
    made = Lane(proxy.dsn, statements()["append"], reconnect_within=0.3)
    yield made
    await made.close()


async def sent_and_lost(
    lane: Lane, proxy: Proxy, connection: Pg, request: AppendRequest
) -> Outcome:
    """Let the append be stored and its answer be lost, with no way back to the server."""
    [warm] = await lane.store([one("warm")])
    assert is_stored(warm)
    proxy.swallows = True
    sending = asyncio.create_task(lane.store([request]))

    async def stored() -> bool:
        return await dense(connection) == 2

    await until(stored, "the event to be stored")
    await proxy.refuse()
    proxy.cut()
    proxy.swallows = False
    [outcome] = await sending
    return outcome


async def test_an_append_that_was_never_sent_is_unavailable(
    lane: Lane, proxy: Proxy, connection: Pg
) -> None:
    await proxy.refuse()
    [outcome] = await lane.store([one("a")])
    assert isinstance(outcome, Unavailable)
    assert "not stored" in str(outcome)
    assert await dense(connection) == 0
    await proxy.listen()
    [outcome] = await lane.store([one("a")])
    assert is_stored(outcome)


async def test_an_append_that_was_sent_and_lost_is_unknown_and_a_retry_finds_out(
    lane: Lane, proxy: Proxy, connection: Pg
) -> None:
    request = one("a")
    outcome = await sent_and_lost(lane, proxy, connection, request)
    assert isinstance(outcome, OutcomeUnknown)
    assert outcome.event_ids == tuple(request.event_ids)
    await proxy.listen()
    [again] = await lane.store([request._replace(ids_known=True)])
    assert isinstance(again, tuple)
    assert (again[0].replayed, again[0].position) == (True, 2)
    assert await dense(connection) == 2


async def refuse_connections(dsn: str, *, refused: bool) -> None:
    """Let the server turn away, or take, whoever wants to connect to the database."""
    dbname = urlsplit(dsn).path[1:]
    async with new_pg(urlunsplit(urlsplit(dsn)._replace(path="/postgres"))) as connection:
        await connection.execute(f"ALTER DATABASE {dbname} ALLOW_CONNECTIONS {not refused}")


async def test_a_lost_append_is_unknown_also_where_the_way_back_is_refused(
    proxy: Proxy, connection: Pg, dsn: str
) -> None:
    lane = Lane(proxy.dsn, statements()["append"], reconnect_within=0.3)
    [warm] = await lane.store([one("warm")])
    assert is_stored(warm)
    await refuse_connections(dsn, refused=True)
    proxy.swallows = True
    sending = asyncio.create_task(lane.store([one("a")]))
    await proxy.swallowed.wait()
    proxy.swallows = False
    proxy.cut()
    [outcome] = await sending
    assert isinstance(outcome, OutcomeUnknown)
    [outcome] = await lane.store([one("b")])
    assert isinstance(outcome, Unavailable)
    await refuse_connections(dsn, refused=False)
    [outcome] = await lane.store([one("c")])
    assert is_stored(outcome)
    await lane.close()


@pytest.mark.parametrize("connected", [True, False])
async def test_a_sync_append_that_could_not_connect_is_unavailable(
    proxy: Proxy, connection: Pg, connected: bool
) -> None:
    store = SyncEventStore(proxy.dsn)
    if connected:
        await asyncio.to_thread(store.open)
    await asyncio.to_thread(store.close)
    await proxy.refuse()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await asyncio.to_thread(store.append, "a", EventData("T"))
    assert await dense(connection) == 0


async def test_a_store_that_cannot_be_reached_does_not_open(proxy: Proxy) -> None:
    await proxy.refuse()
    with pytest.raises(Unavailable, match="cannot be reached"):
        async with EventStore(proxy.dsn):
            pass
    with pytest.raises(Unavailable, match="cannot be reached"), SyncEventStore(proxy.dsn):
        pass


async def test_reads_are_unavailable_while_the_database_is_away_and_work_again_after(
    proxy: Proxy,
) -> None:
    async with EventStore(proxy.dsn) as store:
        await store.append("a", EventData("T"))
        await proxy.refuse()
        proxy.cut()
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await store.head()
        with pytest.raises(Unavailable):
            [event async for event in store.read()]
        await proxy.listen()
        assert [e.position async for e in store.read()] == [1]


async def test_a_database_that_does_not_exist_is_said_to_be_so(dsn: str) -> None:
    nowhere = urlunsplit(urlsplit(dsn)._replace(path="/nowhere"))
    with pytest.raises(Unavailable, match="no such database"):
        async with EventStore(nowhere):
            pass
    with pytest.raises(Unavailable, match="nowhere"), SyncEventStore(nowhere):
        pass
