"""Batches that are planned while another one is stored: what is done ahead changes no outcome."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventstore import EventData, EventStore, RecordedEvent
from eventstore.core.projection import Projection
from eventstore.projections.batch import Batch
from eventstore.projections.registry import register
from eventstore.projections.writer import Place, Writer
from tests.fix_database import Pg
from tests.fix_waiting import until
from tests.projections.orders import Orders, counts, orders, reached, working

pytestmark = pytest.mark.one_postgres


class Asked:
    """Counts the events of each order, and notes of which events it was asked for the key."""

    def __init__(self, deadline: float = 30.0) -> None:
        self.positions: list[int] = []
        self.asked: Callable[[RecordedEvent], object] = lambda _: None
        self.projection = Projection("orders", tables=[orders], deadline=deadline)
        self.projection.fold(orders, key=self._key)(
            lambda row, event: {"events": event.data["n"] + (row["events"] if row else 0)}
        )

    def _key(self, event: RecordedEvent) -> str:
        self.positions.append(event.position)
        self.asked(event)
        return event.stream_name

    async def writer(self, connection: Pg) -> Writer:
        await register(connection, self.projection, schema="eventstore")
        lease = await connection.fetchval(
            "SELECT lease FROM eventstore.projection_lease_v1('orders', 1, 'me', 60)"
        )
        return Writer(self.projection, schema="eventstore", place=Place(0, lease))


async def batches(store: EventStore, *streams: str) -> list[Batch]:
    """Append an event to each stream; give a batch of each."""
    for stream in streams:
        await store.append(stream, EventData("T", {"n": 1}))
    events = [event async for event in store.read()]
    return [Batch(event.position - 1, event.position, [event]) for event in events]


async def hold_back(connection: Pg, stream: str) -> None:
    await connection.execute(
        "SELECT eventstore.projection_fail_v1('orders', 1, $1, 0, 1, 'parked', 'why')", stream
    )


async def test_a_batch_is_planned_while_the_rows_of_the_one_before_are_stored(
    store: EventStore, worker: Pg, connection: Pg
) -> None:
    made = Asked()
    writer = await made.writer(worker)
    first, second, third = await batches(store, "a", "a", "b")
    await writer.prepare(first)
    assert made.positions == []  # nobody knows yet whether a stream is held back
    async with connection.transaction():
        await connection.execute("LOCK eventstore_read.orders IN SHARE MODE")
        writing = asyncio.ensure_future(writer.write(worker, first))
        await until(lambda: _asks(made, [1]), "the first batch to be planned")
        await writer.prepare(second)
        assert made.positions == [1, 2]
        assert not writing.done()
    assert await writing == []
    assert await writer.write(worker, second) == []
    assert await writer.write(worker, third) == []
    assert made.positions == [1, 2, 3]
    assert await counts(connection) == {"a": 2, "b": 1}


async def _asks(made: Asked, positions: list[int]) -> bool:
    return made.positions == positions


async def test_a_stream_that_is_held_back_meanwhile_is_left_alone(
    store: EventStore, worker: Pg, connection: Pg
) -> None:
    made = Asked()
    writer = await made.writer(worker)
    first, second, third, fourth = await batches(store, "a", "b", "a", "b")
    await writer.write(worker, first)
    both = Batch(1, 3, [*(second.events or ()), *(third.events or ())])
    await writer.prepare(both)
    assert made.positions == [1, 2, 3]
    await hold_back(connection, "a")
    await writer.write(worker, both)
    assert await counts(connection) == {"a": 1, "b": 1}
    made.positions.clear()
    await writer.prepare(fourth)
    assert made.positions == []  # it might be of that stream, and end the process
    await writer.write(worker, fourth)
    assert await counts(connection) == {"a": 1, "b": 2}


@pytest.mark.parametrize("fault", [{}, {"n": 1_000}])
async def test_nothing_is_planned_after_an_event_that_failed(
    store: EventStore, worker: Pg, connection: Pg, fault: dict[str, int]
) -> None:
    made = Asked()
    writer = await made.writer(worker)
    await connection.execute("ALTER TABLE eventstore_read.orders ADD CHECK (events < 100)")
    await store.append("a", [EventData("T", {"n": 1}), EventData("T", fault)])
    first, second, third = await batches(store, "b")
    await writer.write(worker, first)
    [failure] = await writer.write(worker, second)
    assert failure.event.position == 2
    made.positions.clear()
    await writer.prepare(third)
    assert made.positions == []
    await writer.write(worker, third)
    assert await counts(connection) == {"a": 1, "b": 1}


async def test_a_key_that_takes_too_long_is_blamed_when_its_turn_comes(
    store: EventStore, worker: Pg, connection: Pg
) -> None:
    made, endless = Asked(deadline=0.2), threading.Event()
    made.asked = lambda event: event.stream_name == "a" and event.revision == 1 and endless.wait()
    writer = await made.writer(worker)
    first, second, third = await batches(store, "a", "a", "b")
    await writer.write(worker, first)
    both = Batch(1, 3, [*(second.events or ()), *(third.events or ())])
    await writer.prepare(both)
    [failure] = await writer.write(worker, both)
    endless.set()
    assert failure.event.position == 2
    assert await counts(connection) == {"a": 1, "b": 1}


@pytest.mark.parametrize("crashes", [0, 1])
async def test_nothing_is_done_ahead_beside_an_event_that_may_end_the_process(
    store: EventStore, dsn: str, connection: Pg, monkeypatch: pytest.MonkeyPatch, crashes: int
) -> None:
    monkeypatch.setattr("eventstore.projections.intake.BATCH", 10)
    done: list[tuple[str, int]] = []
    prepare, write = Writer.prepare, Writer.write

    async def prepared(self: Writer, batch: Batch) -> None:
        done.append(("prepared", batch.upto))
        await prepare(self, batch)

    async def written(self: Writer, connection: Any, batch: Batch) -> Any:
        result = await write(self, connection, batch)
        done.append(("written", batch.upto))
        return result

    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
    monkeypatch.setattr(Writer, "prepare", prepared)
    monkeypatch.setattr(Writer, "write", written)
    await connection.execute("UPDATE eventstore.projection_partitions SET crashes = $1", crashes)
    await store.append("order-1", [EventData("T")] * 20)
    async with working(store, dsn, Orders().projection):
        await reached(connection, 20)
    ahead = ("prepared", 10) in done[: done.index(("written", 10))]
    assert ahead is (crashes == 0)
