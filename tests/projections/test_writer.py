"""Batches: applied once, all or nothing, whatever fails in the handler, the database or between."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from eventstore import EventData, EventStore, RecordedEvent
from eventstore.core.columns import Row
from eventstore.core.definition import OnFailure
from eventstore.core.errors import DefinitionChanged, InvalidInput
from eventstore.core.projection import Projection
from eventstore.projections.batch import Batch
from eventstore.projections.registry import register
from eventstore.projections.writer import LeaseLost, Place, Stopped, Writer
from tests.fix_database import Pg

orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("order_id", sa.Text, primary_key=True),
    sa.Column("total", sa.Integer, sa.CheckConstraint("total < 1000"), nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
)


def made(on_failure: OnFailure = "park", *, version: int = 1) -> Projection:
    """Orders with their largest total; an event with `fail` raises."""
    projection = Projection("orders", version=version, tables=[orders], on_failure=on_failure)

    @projection.fold(orders, key=lambda event: event.data.get("order", event.stream_name))
    def order(row: Row | None, event: RecordedEvent) -> Row | None:
        if event.event_type == "Gone":
            return None
        if "fail" in event.data:
            raise ValueError(event.data["fail"])
        row = row or {"total": 0, "events": 0}
        return {
            "total": max(event.data.get("total", 0), row["total"]),
            "events": row["events"] + 1,
        }

    return projection


async def leased(connection: Pg, on_failure: OnFailure = "park", owner: str = "me") -> Writer:
    projection = made(on_failure)
    await register(connection, projection, schema="eventstore")
    row = await connection.fetchrow(
        "SELECT * FROM eventstore.projection_lease_v1('orders', 1, $1, -1)", owner
    )
    assert row is not None
    return Writer(projection, schema="eventstore", place=Place(0, row["lease"]))


async def stored(store: EventStore, *events: tuple[str, dict[str, Any]]) -> list[RecordedEvent]:
    for stream, data in events:
        await store.append(stream, EventData("Changed", data))
    return [event async for event in store.read()]


async def rows(connection: Pg) -> dict[str, tuple[int, int]]:
    found = await connection.fetch("TABLE eventstore_read.orders")
    return {row["order_id"]: (row["total"], row["events"]) for row in found}


async def checkpoint(connection: Pg) -> int:
    found: int = await connection.fetchval("SELECT checkpoint FROM eventstore.projection_status")
    return found


async def failed(connection: Pg) -> list[tuple[int, str]]:
    found = await connection.fetch(
        "SELECT position, state FROM eventstore.projection_failures ORDER BY 1"
    )
    return [tuple(row) for row in found]


def held(events: Sequence[RecordedEvent], then: RecordedEvent | None = None) -> Batch:
    """What a parked stream has held back."""
    return Batch(events[0].position - 1, events[-1].position, events, "a", then)


def wrong(*numbers: int) -> Sequence[tuple[str, dict[str, Any]]]:
    """Twelve events of three streams; the ones named cannot be written by the database."""
    return [(f"order-{n % 3}", {"total": 5_000 if n in numbers else n}) for n in range(12)]


async def test_rows_and_checkpoint_are_written_together_and_once(
    store: EventStore, worker: Pg
) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {"total": 1}), ("b", {"total": 2}), ("a", {"total": 3}))
    for _ in range(2):
        assert await writer.write(worker, Batch(0, 3, events)) == []
        assert await rows(worker) == {"a": (3, 2), "b": (2, 1)}
    more = await stored(store, ("a", {"total": 4}), ("b", {}))
    await store.append("b", EventData("Gone"))
    more = [event async for event in store.read(after=2)]
    assert await writer.write(worker, Batch(0, 9, more)) == []
    assert await rows(worker) == {"a": (4, 3)}
    assert await checkpoint(worker) == 9
    assert await writer.write(worker, Batch(0, 12, [])) == []
    assert await checkpoint(worker) == 12


@pytest.mark.parametrize("fault", [{"fail": "no"}, {"total": 5_000}, {"order": ["list"]}])
@pytest.mark.parametrize(
    ("policy", "totals", "recorded"),
    [
        ("park", {"order-0": (9, 4), "order-1": (4, 2), "order-2": (11, 4)}, [(8, "parked")]),
        ("skip", {"order-0": (9, 4), "order-1": (10, 3), "order-2": (11, 4)}, [(8, "skipped")]),
    ],
)
async def test_an_event_that_fails_harms_its_stream_only(
    store: EventStore,
    worker: Pg,
    fault: dict[str, Any],
    policy: OnFailure,
    totals: dict[str, tuple[int, int]],
    recorded: list[tuple[int, str]],
) -> None:
    writer = await leased(worker, policy)
    history = list(wrong())
    history[7] = ("order-1", fault)
    failures = await writer.write(worker, Batch(0, 12, await stored(store, *history)))
    assert [failure.event.position for failure in failures] == [8]
    assert await rows(worker) == totals
    assert await failed(worker) == recorded
    assert await checkpoint(worker) == 12


@pytest.mark.parametrize("fault", [{"fail": "no"}, {"total": 5_000}])
async def test_a_projection_that_stops_has_applied_everything_before(
    store: EventStore, worker: Pg, fault: dict[str, Any]
) -> None:
    writer = await leased(worker, "stop")
    history = list(wrong())
    history[7] = ("order-1", fault)
    with pytest.raises(Stopped, match="position 8"):
        await writer.write(worker, Batch(0, 12, await stored(store, *history)))
    assert await rows(worker) == {"order-0": (6, 3), "order-1": (4, 2), "order-2": (5, 2)}
    row = await worker.fetchrow(
        "SELECT state, reason, checkpoint FROM eventstore.projection_status"
    )
    assert row is not None
    assert (row["state"], row["checkpoint"]) == ("stopped", 7)
    assert "'order-1' at position 8" in row["reason"]


@pytest.mark.parametrize("fault", [{"fail": "no"}, {"total": 5_000}])
async def test_what_a_projection_stopped_at_is_tried_again_or_left_out(
    store: EventStore, worker: Pg, fault: dict[str, Any]
) -> None:
    writer = await leased(worker, "stop")
    events = await stored(store, ("a", {}), ("a", fault), ("a", {}), ("b", {}))
    for _ in range(2):
        with pytest.raises(Stopped, match="position 2"):
            await writer.write(worker, Batch(0, 4, events))
        assert await failed(worker) == [(2, "stopped")]
        await worker.execute("SELECT eventstore.resume_projection('orders')")
        assert await failed(worker) == []
    with pytest.raises(Stopped):
        await writer.write(worker, Batch(0, 4, events))
    assert await worker.fetchval("SELECT eventstore.skip_parked('orders', 'a')") == 2
    await worker.execute("SELECT eventstore.resume_projection('orders')")
    assert await writer.write(worker, Batch(0, 4, events)) == []
    assert await rows(worker) == {"a": (0, 2), "b": (0, 1)}
    assert await failed(worker) == [(2, "skipped")]


async def test_several_events_that_the_database_refuses_are_all_found(
    store: EventStore, worker: Pg
) -> None:
    writer = await leased(worker)
    failures = await writer.write(worker, Batch(0, 12, await stored(store, *wrong(0, 5))))
    assert [failure.event.position for failure in failures] == [1, 6]
    assert await rows(worker) == {"order-1": (10, 4), "order-2": (2, 1)}


async def test_later_events_of_a_parked_stream_are_held_back(store: EventStore, worker: Pg) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {"fail": "no"}), ("a", {}), ("b", {}), ("a", {}))
    for event in events:
        await writer.write(worker, Batch(0, event.position, [event]))
    assert await rows(worker) == {"b": (0, 1)}
    assert await failed(worker) == [(1, "parked")]


async def test_a_stale_runner_writes_nothing(store: EventStore, worker: Pg) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {}))
    taken_over = await leased(worker, owner="other")
    with pytest.raises(LeaseLost):
        await writer.write(worker, Batch(0, 1, events))
    assert await rows(worker) == {}
    await taken_over.write(worker, Batch(0, 1, events))
    with pytest.raises(LeaseLost):
        await writer.write(worker, Batch(0, 1, events))
    assert await rows(worker) == {"a": (0, 1)}


async def test_two_spellings_of_a_key_are_one_row(store: EventStore, worker: Pg) -> None:
    numbers = sa.Table(
        "numbers",
        sa.MetaData(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("seen", sa.Integer),
    )
    projection = Projection("orders", tables=[numbers])

    @projection.fold(
        numbers,
        key=lambda event: event.data["key"],
        lookups={"same": (numbers, lambda event: str(event.data["key"]))},
    )
    def number(row: Row | None, event: RecordedEvent, same: Row | None) -> Row:
        assert row == same
        return {"seen": 1 if row is None else row["seen"] + 1}

    await register(worker, projection, schema="eventstore")
    lease = "SELECT l.lease FROM eventstore.projection_lease_v1('orders', 1, 'me', 60) AS l"
    place = Place(0, await worker.fetchval(lease))
    writer = Writer(projection, schema="eventstore", place=place)
    keys = (("a", 7), ("b", "7"), ("c", " 7"), ("d", "x"), ("e", 8))
    events = await stored(store, *[(stream, {"key": key}) for stream, key in keys])
    [failure] = await writer.write(worker, Batch(0, 5, events))
    assert failure.event.position == 4
    found = await worker.fetch("SELECT number, seen FROM eventstore_read.numbers ORDER BY 1")
    assert [tuple(row) for row in found] == [(7, 3), (8, 1)]


async def test_a_failure_of_the_database_is_no_failure_of_an_event(
    store: EventStore, worker: Pg
) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {}), ("b", {}))
    await worker.execute("ALTER TABLE eventstore_read.orders RENAME TO elsewhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await writer.write(worker, Batch(0, 2, events))
    assert (await checkpoint(worker), await failed(worker)) == (0, [])
    await worker.execute("ALTER TABLE eventstore_read.elsewhere RENAME TO orders")
    await writer.write(worker, Batch(0, 2, events))
    assert await rows(worker) == {"a": (0, 1), "b": (0, 1)}


async def test_a_failure_says_where_the_handler_failed(
    store: EventStore, worker: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {"fail": "no"}), ("b", {"order": [1]}))
    await writer.write(worker, Batch(0, 2, events))
    assert await errors(worker) == [
        f"ValueError: no (test_writer.py:{order_raises_at()} in order)",
        "InvalidInput: orders.order_id: a text is needed, not [1]",
    ]
    traces = [record.exc_text or "" for record in caplog.records]
    assert [trace.count("in order\n") for trace in traces] == [1, 0]


def order_raises_at() -> int:
    """The line of this file at which an event with `fail` raises."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return 1 + lines.index('            raise ValueError(event.data["fail"])')


async def errors(connection: Pg) -> list[str]:
    found = await connection.fetch("TABLE eventstore.projection_failures ORDER BY position")
    return [row["error"] for row in found]


async def test_a_changed_definition_needs_a_new_version(worker: Pg) -> None:
    assert await register(worker, made(), schema="eventstore")
    assert not await register(worker, made(), schema="eventstore")
    await worker.execute("UPDATE eventstore.projection_partitions SET checkpoint = 1")  # begun
    changed = Projection("orders", categories=["order"], tables=[orders])
    problem = "is known with another query: .* version 2; handlers may"
    with pytest.raises(DefinitionChanged, match=problem):
        await register(worker, changed, schema="eventstore")
    wider = orders.to_metadata(sa.MetaData())
    wider.append_column(sa.Column("more", sa.Text))
    changed = Projection("orders", query=made().query, tables=[wider])
    with pytest.raises(DefinitionChanged, match=r"known with other columns of table orders \("):
        await register(worker, changed, schema="eventstore")
    assert await register(worker, made(version=2), schema="eventstore")
    names = await worker.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'eventstore_read'"
    )
    assert {row[0] for row in names} == {"orders", "orders__v2"}


async def test_a_table_of_somebody_else_is_not_taken(worker: Pg) -> None:
    await worker.execute("CREATE TABLE eventstore_read.orders (mine text)")
    with pytest.raises(InvalidInput, match="belongs to something else"):
        await register(worker, made(), schema="eventstore")
    assert await worker.fetchval("SELECT count(*) FROM eventstore.projection_versions") == 0


async def test_a_retry_that_is_asked_for_twice_is_done_once(store: EventStore, worker: Pg) -> None:
    writer = await leased(worker)
    events = await stored(store, ("a", {"fail": "once"}), ("a", {}), ("a", {}), ("a", {}))
    await writer.write(worker, Batch(0, 4, events))
    assert await rows(worker) == {}
    events = [event._replace(data_json="{}") for event in events]  # its handler is mended
    # Nobody has asked for it yet.
    assert await writer.retry(worker, held(events), 4) == []
    assert await rows(worker) == {}
    await worker.execute("SELECT eventstore.retry_parked('orders')")
    # In chunks, each of which comes again when others have gone further.
    chunks = [held(events[:2], events[2]), held(events[2:3], events[3]), held(events[3:])]
    assert await writer.retry(worker, held(events[:3]), 3) == []  # read too early
    assert await rows(worker) == {}
    for done, number in ((2, 0), (2, 0), (3, 1), (3, 0), (3, 1), (4, 2), (4, 0), (4, 2)):
        assert await writer.retry(worker, chunks[number], 4) == []
        assert await rows(worker) == {"a": (0, done)}
    assert await failed(worker) == []


async def test_what_a_retry_skips_is_recorded_and_the_rest_goes_on(
    store: EventStore, worker: Pg
) -> None:
    writer = await leased(worker)
    later: list[tuple[str, dict[str, Any]]] = [("a", {"total": n}) for n in (1, 5_000, 2, 5_000, 3)]
    events = await stored(store, ("a", {"fail": "once"}), *later)
    await writer.write(worker, Batch(0, 6, events))
    await worker.execute("SELECT eventstore.retry_parked('orders')")
    events[0] = events[0]._replace(data_json="{}")
    lenient = Writer(made("skip"), schema="eventstore", place=writer.place)
    failures = await lenient.retry(worker, held(events), 6)
    assert [failure.event.position for failure in failures] == [3, 5]
    assert await rows(worker) == {"a": (3, 4)}
    assert await failed(worker) == [(3, "skipped"), (5, "skipped")]


async def test_a_key_that_is_too_long_for_its_index_is_a_failure_of_its_event(
    store: EventStore, worker: Pg
) -> None:
    writer = await leased(worker)
    long = random.Random(1).randbytes(5_000).hex()  # it cannot be compressed
    events = await stored(store, ("a", {}), ("b", {"order": long}), ("c", {}))
    await writer.write(worker, Batch(0, 3, events))
    assert await rows(worker) == {"a": (0, 1), "c": (0, 1)}
    assert await failed(worker) == [(2, "parked")]
