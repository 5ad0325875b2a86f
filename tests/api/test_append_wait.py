"""Prefer: wait=2; for="orders" on an append: answered after the projection has applied it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import EventData, EventStore
from tests.api.rest import EVENT, problem
from tests.fix_database import Pg
from tests.fix_waiting import until
from tests.projections.orders import Orders, counts, reached, working

FOR_ORDERS = {"prefer": 'wait=60; for="orders"'}


@pytest.fixture
async def made(store: EventStore, dsn: str, connection: Pg) -> AsyncIterator[Orders]:
    """A projection that is run, and fails at Fragile events while it is told to."""
    made = Orders()
    async with working(store, dsn, made.projection):
        await reached(connection, 0)
        yield made


@pytest.mark.usefixtures("made")
async def test_it_is_applied_when_the_answer_comes(http: httpx.AsyncClient, connection: Pg) -> None:
    for n, prefer in enumerate(
        ('wait=60; for="orders"', "wait=60;for=orders", 'respond-async, Wait="60" ; FOR = "orders"')
    ):
        answer = await http.post("/streams/order-1", json=EVENT, headers={"prefer": prefer})
        assert answer.status_code == 201
        assert answer.headers["preference-applied"] == 'wait=55; for="orders"'
        assert answer.json()["wait"] == {"projection": "orders", "reached": True}
        assert await counts(connection) == {"order-1": n + 1}
    several = [{"stream": f"order-{n}", "events": [EVENT]} for n in (2, 3)]
    answer = await http.post("/appends", json={"appends": several}, headers=FOR_ORDERS)
    assert answer.json()["wait"]["reached"]
    assert await counts(connection) == {"order-1": 3, "order-2": 1, "order-3": 1}


@pytest.mark.usefixtures("made")
async def test_without_for_nothing_is_waited_for(http: httpx.AsyncClient) -> None:
    answer = await http.post("/streams/order-1", json=EVENT, headers={"prefer": "wait=60"})
    assert answer.status_code == 201
    assert "wait" not in answer.json()
    assert "preference-applied" not in answer.headers


async def test_what_is_not_applied_is_answered_as_stored_with_the_reason(
    http: httpx.AsyncClient, made: Orders
) -> None:
    made.broken = True
    fragile = {"type": "Fragile"}
    keyed = {**FOR_ORDERS, "idempotency-key": "k"}
    for status in (201, 200):
        answer = await http.post("/streams/order-1", json=fragile, headers=keyed)
        assert answer.status_code == status
        assert "preference-applied" not in answer.headers
        assert answer.json()["wait"]["reached"] is False
        told = answer.json()["wait"]["problem"]
        assert told["type"] == "urn:eventstore:problem:stream-parked"
        assert (told["stream"], told["revision"]) == ("order-1", 0)
    await http.post("/projections/orders/pause")
    answer = await http.post("/streams/order-2", json=EVENT, headers=FOR_ORDERS)
    assert answer.status_code == 201
    assert "paused" in answer.json()["wait"]["problem"]["detail"]


async def test_a_projection_that_is_behind_says_how_far_it_is(
    http: httpx.AsyncClient, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
    only_look = {"prefer": 'wait=0; for="orders"'}
    answer = await http.post("/streams/order-1", json=EVENT, headers=only_look)
    assert answer.status_code == 201
    told = answer.json()["wait"]["problem"]
    assert told["type"] == "urn:eventstore:problem:projection-behind"
    assert (told["checkpoint"], told["is_run"]) == (1, False)


async def test_an_unknown_projection_is_refused_and_nothing_is_stored(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    for name in ("none", "", "x y"):
        headers = {"prefer": f'wait=2; for="{name}"'}
        answer = await http.post("/streams/order-1", json=EVENT, headers=headers)
        problem(answer, 404, "not-found", "there is no projection")
    assert (await store.head()).position == 0


async def test_a_service_that_ends_meanwhile_says_that_the_append_is_stored(
    http: httpx.AsyncClient, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)

    async def is_stored() -> bool:
        return (await store.head()).position == 1

    request = http.post("/streams/order-1", json=EVENT, headers=FOR_ORDERS)
    waiting = asyncio.ensure_future(request)
    await until(is_stored, "the append")
    await until(lambda: _is_waiting(store), "the wait")
    waiting.cancel()  # what the server does to requests when it has waited long enough
    answer = await waiting
    assert answer.status_code == 201
    assert "shutting down" in answer.json()["wait"]["problem"]["detail"]


async def _is_waiting(store: EventStore) -> bool:
    assert store._progress is not None
    return bool(store._progress.waiting)
