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
from tests.reactors.reacting import Handling, deliveries, happen, reactor


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


async def test_a_group_that_is_gone_is_made_anew_where_it_was(
    store: EventStore,
    dsn: str,
    connection: Pg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only a superuser, or who comes while a worker stands still, can remove it under a worker."""
    monkeypatch.setattr("eventstore.worker.PAUSE", 0.01)
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)
    handling = Handling()
    app = App(reactors=[reactor(handling, start="head")])
    async with working(store, app, dsn):
        await run_by(store, 1)
        await happen(store, "a-1", 2)
        await handling.reach(2)
        handling.may_end.clear()
        await happen(store, "a-2")
        await handling.reach_begun(3)

        async def one_is_left() -> bool:
            return [stream for _, stream, _ in await deliveries(connection)] == ["a-2"]

        await until(one_is_left, "the others to be settled")
        for _ in range(2):  # whoever says the second word has had the answer to the first
            await heard(connection)
        async with connection.transaction():
            await connection.execute("DELETE FROM eventstore.deliveries")
            await connection.execute("DELETE FROM eventstore.consumer_groups")
            await happen(store, "a-3")  # nobody has looked at it
        handling.may_end.set()

        async def last() -> bool:
            return ("a-3", 0) in handling.done

        await until(last, "the event that nobody has looked at")
    # What was in hand may have ended just then; then it is done twice.
    assert handling.done[:2] == [("a-1", 0), ("a-1", 1)]
    assert set(handling.done[2:]) == {("a-2", 0), ("a-3", 0)}
    ended, begins = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "no consumer group" in ended.getMessage()
    assert "its group is gone; it begins anew after 2" in begins.getMessage()
    assert (ended.exc_info, begins.exc_info) == (None, None)


async def run_by(store: EventStore, workers: int) -> None:
    """Wait until so many workers run the only group."""

    async def enough() -> bool:
        return [len(group.workers) for group in await store.consumers.all()] == [workers]

    await until(enough, f"{workers} workers")


async def heard(connection: Pg) -> None:
    """Wait for the next word of the only worker."""
    seen = "SELECT max(seen_until) FROM eventstore.consumer_workers"
    first = await connection.fetchval(seen)

    async def again() -> bool:
        return bool(await connection.fetchval(seen) > first)

    await until(again, "a heartbeat")


async def test_what_a_worker_runs_is_neither_removed_nor_changed_by_others(
    store: EventStore, dsn: str
) -> None:
    app = App(reactors=[reactor(Handling())])
    async with working(store, app, dsn) as one, working(store, app, dsn) as other:
        await run_by(store, 2)
        before = await store.consumers.get("emails")
        assert before.workers == tuple(sorted((one.name, other.name)))
        with pytest.raises(ConsumerRefused, match=f"2 workers: end them first.*{one.name}"):
            await store.consumers.delete("emails")
        with pytest.raises(ConsumerRefused, match="2 workers"):
            await store.consumers.create("emails", retries=0)
        after = await store.consumers.get("emails")
        assert (after.query, after.retries) == (before.query, before.retries)
    assert (await store.consumers.get("emails")).workers == ()
    await store.consumers.delete("emails")


async def test_a_worker_with_another_definition_takes_over(store: EventStore, dsn: str) -> None:
    """As in a deployment in which the workers are replaced one by one."""
    async with working(store, App(reactors=[reactor(Handling(), buffer=7)]), dsn):
        await run_by(store, 1)
        async with working(store, App(reactors=[reactor(Handling(), buffer=8)]), dsn):
            await run_by(store, 2)
            assert (await store.consumers.get("emails")).buffer == 8
