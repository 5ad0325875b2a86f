"""The worker of an App: projections and reactors together, and what ends neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from eventstore import App, ConsumerRefused, EventStore, InvalidInput
from eventstore.worker import Worker
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until
from tests.projections.orders import Orders
from tests.reactors.reacting import Handling, happen, reactor


@asynccontextmanager
async def working(store: EventStore, app: App, dsn: str) -> AsyncIterator[Worker]:
    worker = Worker(store, app, dsn=dsn)
    task = asyncio.ensure_future(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE):
            await task


async def test_a_reactor_comes_after_a_projection_of_its_own_app(
    store: EventStore, dsn: str
) -> None:
    """The projection is new, too: it is made known first."""
    handling = Handling()
    app = App(projections=[Orders().projection], reactors=[reactor(handling, after=["orders"])])
    await happen(store, "order-1", 3)
    async with working(store, app, dsn):
        assert await handling.reach(3) == [("order-1", 0), ("order-1", 1), ("order-1", 2)]


async def test_two_workers_share_the_events_of_a_reactor(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    handling = Handling()
    handling.may_end.clear()
    for number in range(6):
        await happen(store, f"a-{number}")
    app = App(reactors=[reactor(handling, concurrency=1)])
    async with working(store, app, dsn), working(store, app, dsn):
        await handling.reach_begun(2)
        status = await store.consumers.get("emails")
        assert sorted(status.members.values()) == [2, 2]
        handling.may_end.set()
        assert len(set(await handling.reach(6))) == 6


async def test_what_cannot_run_is_told_before_anything_runs(store: EventStore, dsn: str) -> None:
    await store.consumers.create("emails", ordering="none")
    with pytest.raises(ConsumerRefused, match="another ordering"):
        await Worker(store, App(reactors=[reactor(Handling())]), dsn=dsn).run()
    app = App(reactors=[reactor(Handling(), after=["orders"])])
    with pytest.raises(InvalidInput, match="there is no projection 'orders'"):
        await Worker(store, app, dsn=dsn).run()


async def test_a_group_that_is_deleted_and_made_anew_is_worked_on_again(
    store: EventStore, dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventstore.worker.PAUSE", 0.01)
    handling = Handling()
    app = App(reactors=[reactor(handling)])
    async with working(store, app, dsn):
        await happen(store, "a-1")
        await handling.reach(1)
        await store.consumers.delete("emails")

        async def told() -> bool:
            return "there is no consumer group" in caplog.text

        await until(told, "a word about the group that is gone")
        await reactor_group(store)
        assert await handling.reach(2) == [("a-1", 0)] * 2


async def reactor_group(store: EventStore) -> None:
    await store.consumers.create("emails", reactor(Handling()).query)
