"""Commands through both clients: what the service's deciders say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from eventstore import (
    App,
    CommandRefused,
    EventData,
    EventStore,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Unavailable,
    UnreadableEvent,
)
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore_api import create_app
from tests.fix_database import Pg
from tests.fix_faces import Threaded
from tests.fix_service import served
from tests.projections.orders import Orders, counts, reached, working
from tests.wallet import new_wallet

pytestmark = pytest.mark.one_postgres
APP = App(deciders=[new_wallet()])


@asynccontextmanager
async def _async_client(dsn: str, app: App) -> AsyncIterator[Any]:
    async with EventStore(dsn) as store:
        transport = httpx.ASGITransport(create_app(store, app, manage=False))
        async with EventStoreClient("http://localhost", transport=transport) as client:
            yield client


@asynccontextmanager
async def _sync_client(dsn: str, app: App) -> AsyncIterator[Any]:
    with (
        served(EventStore(dsn), app) as (host, port),
        SyncEventStoreClient(f"http://{host}:{port}") as client,
    ):
        yield Threaded(client)


@pytest.fixture(params=[_async_client, _sync_client])
def opened(request: pytest.FixtureRequest) -> Any:
    """Each client in turn, to be opened on a service of an App."""
    return request.param


@pytest.fixture
async def client(opened: Callable[..., Any], dsn: str) -> AsyncIterator[Any]:
    """Each client in turn, of a service that has wallets."""
    async with opened(dsn, APP) as made:
        yield made


async def test_a_command_is_answered_with_what_it_causes(client: Any) -> None:
    options = {"tags": ["b", "a"], "metadata": {"correlation_id": "c"}}
    first = await client.command("wallet", "Deposit", {"amount": 5}, stream="wallet-1", **options)
    [event] = first.events
    assert (event.event_type, event.data, event.tags) == ("Deposited", {"amount": 5}, ["a", "b"])
    assert event.metadata == {"correlation_id": "c"}
    assert (first.stream_name, first.revision, first.position) == ("wallet-1", 0, 1)
    assert first.appended == ("wallet-1", 0, 0, 1, (event.event_id,), False, None)
    closing = await client.command("wallet", "Close", entity_id="1")
    assert [one.event_type for one in closing.events] == ["Withdrawn", "Closed"]
    assert (closing.appended.first_revision, closing.revision, closing.position) == (1, 2, 3)
    nothing = await client.command("wallet", "Touch", stream="wallet-2")
    assert nothing == ("wallet-2", (), None, 0, None)


async def test_refusals_and_faults_come_as_the_library_raises_them(client: Any) -> None:
    with pytest.raises(CommandRefused, match="there is not enough") as refused:
        await client.command("wallet", "Withdraw", {"amount": 1}, stream="wallet-1")
    assert refused.value.details == {"balance": 0}
    with pytest.raises(InvalidInput) as fault:
        await client.command("wallet", "Deposit", {"amount": "1"}, stream="wallet-1")
    assert fault.value.path == "$.data.amount"
    with pytest.raises(NotFound, match="no command"):
        await client.command("wallet", "Steal", stream="wallet-1")
    with pytest.raises(NotFound, match="no projection"):
        await client.command("wallet", "Touch", stream="wallet-1", wait_for="none")
    for bad in ({}, {"stream": "wallet-1", "entity_id": "1"}):
        with pytest.raises(InvalidInput, match="give stream"):
            await client.command("wallet", "Touch", **bad)
    for named in (("wallet", new_wallet()), (new_wallet(), "Touch")):
        with pytest.raises(InvalidInput, match=r"is named, as command\('order', 'PayOrder', "):
            await client.command(*named, stream="wallet-1")
    for bad_id in ("\n", "", "ż", "k" * 256):
        with pytest.raises(InvalidInput, match="a command id is"):
            await client.command("wallet", "Touch", stream="wallet-1", command_id=bad_id)
    await client.append("wallet-1", EventData("Deposited", {"amount": "5"}))
    with pytest.raises(UnreadableEvent, match="position 1") as unreadable:
        await client.command("wallet", "Touch", stream="wallet-1")
    assert unreadable.value.path == "$.data.amount"


async def test_a_command_with_an_id_is_handled_once(client: Any) -> None:
    ask = {"stream": "wallet-1", "command_id": "k"}
    first = await client.command("wallet", "Deposit", {"amount": 5}, **ask)
    await client.command("wallet", "Close", stream="wallet-1")
    again = await client.command("wallet", "Deposit", {"amount": 5}, **ask)
    assert again == first._replace(appended=first.appended._replace(replayed=True))
    assert (first.replayed, again.replayed) == (False, True)
    nothing = await client.command("wallet", "Touch", stream="wallet-1", command_id="n")
    assert not nothing.replayed


async def test_an_id_is_the_same_over_http_as_in_the_process(
    client: Any, store: EventStore
) -> None:
    for number, odd in enumerate(('"', '"k"', 'a"b\\c', "\\", " k ", 'k";x=1')):
        stream = f"wallet-{number}"
        sent = await client.command(
            "wallet", "Deposit", {"amount": 1}, stream=stream, command_id=odd
        )
        decider = APP.deciders[0]
        again = await store.handle(decider, stream, decider.commands["Deposit"](1), command_id=odd)
        assert (sent.replayed, again.replayed) == (False, True), odd


async def test_it_waits_for_a_projection(
    opened: Callable[..., Any], store: EventStore, dsn: str, connection: Pg
) -> None:
    made = App(deciders=[new_wallet(category="order")])
    async with opened(dsn, made) as client:
        options = {"entity_id": "1", "wait_for": "orders"}
        async with working(store, dsn, Orders().projection):
            await reached(connection, 0)
            answer = await client.command("wallet", "Deposit", {"amount": 5}, timeout=60, **options)
            assert answer.appended.unapplied is None
            assert await counts(connection) == {"order-1": 1}
        answer = await client.command("wallet", "Deposit", {"amount": 5}, timeout=0.2, **options)
        assert "no worker runs it" in str(answer.appended.unapplied)


class Losing(httpx.AsyncBaseTransport):
    """A line that breaks after the service has done its work, so many times."""

    def __init__(self, inner: httpx.AsyncBaseTransport, times: int) -> None:
        self._inner = inner
        self._times = times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        self._times -= 1
        if self._times >= 0:
            raise httpx.ReadError("broken", request=request)
        return answer


async def test_a_command_whose_answer_is_lost_is_sent_again_and_handled_once(
    store: EventStore,
) -> None:
    inner = httpx.ASGITransport(create_app(store, APP, manage=False))
    async with EventStoreClient("http://localhost", transport=Losing(inner, 2)) as client:
        answer = await client.command("wallet", "Deposit", {"amount": 5}, stream="wallet-1")
        assert answer.appended is not None
        assert (answer.revision, answer.appended.replayed) == (0, True)
    lost = Losing(inner, 100)
    async with EventStoreClient("http://localhost", transport=lost, retry_for=0) as client:
        with pytest.raises(OutcomeUnknown):
            await client.command("wallet", "Deposit", {"amount": 5}, stream="wallet-1")
        with pytest.raises(Unavailable):
            await client.head()
    assert (await store.head()).position == 2
