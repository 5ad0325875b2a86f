"""Projections by a statement and by handlers with a connection: the same guarantees as folds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from eventstore import (
    EventData,
    EventQuery,
    EventStore,
    InvalidInput,
    Projection,
    RecordedEvent,
    SqlProjection,
)
from eventstore.core.definition import Definition
from eventstore.projections.connection import Connection
from tests.fix_database import Pg
from tests.fix_waiting import until
from tests.projections.orders import reached, working

pytestmark = pytest.mark.one_postgres

totals = sa.Table(
    "totals",
    sa.MetaData(),
    sa.Column("customer", sa.Text, primary_key=True),
    sa.Column("total", sa.Numeric, nullable=False),
    sa.Column("orders", sa.BigInteger, nullable=False),
)
STATEMENT = """
    INSERT INTO {totals} AS t (customer, total, orders)
    SELECT data ->> 'customer', sum((data ->> 'total')::numeric), count(*) FROM batch GROUP BY 1
    ON CONFLICT (customer) DO UPDATE
       SET total = t.total + excluded.total, orders = t.orders + excluded.orders
"""


def by_statement(statement: str = STATEMENT, **options: Any) -> SqlProjection:
    options = {"types": ["Placed"], **options}
    return SqlProjection("totals", tables=[totals], statement=statement, **options)


def by_handler(**options: Any) -> Projection:
    projection = Projection("totals", tables=[totals], types=["Placed"], **options)

    @projection.execute()
    async def placed(
        connection: Connection, event: RecordedEvent, name: Callable[[sa.Table], str]
    ) -> None:
        await connection.execute(
            f"INSERT INTO {name(totals)} AS t VALUES ($1, $2::text::numeric, 1)"
            " ON CONFLICT (customer) DO UPDATE"
            "    SET total = t.total + excluded.total, orders = t.orders + 1",
            event.data["customer"],
            event.data["total"],
        )

    return projection


KINDS: dict[str, Callable[..., Definition]] = {"statement": by_statement, "handler": by_handler}


def placed(customer: str, total: str) -> EventData:
    return EventData("Placed", {"customer": customer, "total": total})


async def rows(connection: Pg, table: str = "totals") -> dict[str, tuple[Decimal, int]]:
    found = await connection.fetch(f'TABLE eventstore_read."{table}"')
    return {row["customer"]: (row["total"], row["orders"]) for row in found}


async def failures(connection: Pg) -> list[tuple[int, str]]:
    found = await connection.fetch("SELECT position, state FROM eventstore.projection_failures")
    return [tuple(row) for row in found]


@pytest.mark.parametrize("kind", KINDS)
async def test_events_are_applied_once_while_it_catches_up_and_live(
    store: EventStore, dsn: str, connection: Pg, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.projections.intake.SPAN", 7)
    for n in range(20):
        await store.append(f"order-{n}", [placed("ann", "1.5"), EventData("Other")])
    async with working(store, dsn, KINDS[kind]()):
        await store.append("order-1", placed("bob", "2"))
        await reached(connection, 41)
        assert await rows(connection) == {"ann": (Decimal(30), 20), "bob": (Decimal(2), 1)}
        for n in range(5):
            at = await store.append("order-1", placed("bob", str(n)))
            await store.wait_for("totals", position=at.position, timeout=60)
            assert (await rows(connection))["bob"][1] == n + 2
    async with working(store, dsn, KINDS[kind]()):
        await store.append("order-1", placed("bob", "0"))
        await reached(connection, 47)
    assert await rows(connection) == {"ann": (Decimal(30), 20), "bob": (Decimal(12), 7)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("partitions", [1, 3])
async def test_an_event_that_fails_is_found_and_parks_its_stream_only(
    store: EventStore, dsn: str, connection: Pg, kind: str, partitions: int
) -> None:
    for n in range(30):
        total = "nothing" if n == 17 else "1"
        await store.append(f"order-{n % 5}", placed(f"customer {n % 5}", total))
    projection = KINDS[kind](partitions=partitions, keys_within_streams=True)
    async with working(store, dsn, projection):
        await reached(connection, 30)
        assert await failures(connection) == [(18, "parked")]
        expected = {f"customer {n}": (Decimal(6), 6) for n in range(5)}
        assert await rows(connection) == expected | {"customer 2": (Decimal(3), 3)}
        assert await connection.fetchval("SELECT eventstore.skip_parked('totals', 'order-2')") == 18
        await until(lambda: _is_skipped_only(connection), "what was held back to be applied")
        assert await rows(connection) == expected | {"customer 2": (Decimal(5), 5)}


async def _is_skipped_only(connection: Pg) -> bool:
    return await failures(connection) == [(18, "skipped")]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_never_ends_is_broken_off(
    store: EventStore, dsn: str, connection: Pg, kind: str
) -> None:
    if kind == "statement":
        slow = STATEMENT.replace("count(*)", "count(pg_sleep((data ->> 'sleep')::float))")
        projection: Definition = by_statement(slow, deadline=0.3)
    else:
        sleeping = Projection("totals", tables=[totals], deadline=0.3)

        @sleeping.execute()
        async def wait(connection: Connection, event: RecordedEvent, _: object) -> None:
            if event.data["sleep"]:
                await asyncio.Event().wait()

        projection = sleeping

    for n in range(3):
        data = {"customer": "ann", "total": "1", "sleep": 60 if n == 1 else 0}
        await store.append(f"order-{n}", EventData("Placed", data))
    async with working(store, dsn, projection):
        await reached(connection, 3)
    assert await failures(connection) == [(2, "parked")]
    error = await connection.fetchval("SELECT error FROM eventstore.projection_failures")
    assert "more than 0.3 s" in error


async def test_a_statement_that_cannot_work_stops_its_projection_and_says_why(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await store.append("order-1", placed("ann", "1"))
    wrong = "INSERT INTO {totals} SELECT nothing, 1, 1 FROM batch"
    async with working(store, dsn, by_statement(wrong)):
        await until(lambda: _stopped(connection), "it to stop")
    assert await failures(connection) == []


async def _stopped(connection: Pg) -> bool:
    reason: str | None = await connection.fetchval(
        "SELECT reason FROM eventstore.projection_status"
    )
    return 'column "nothing" does not exist' in (reason or "")


async def test_tables_that_are_built_beside_others_have_names_of_their_own(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, by_statement()):
        await reached(connection, 1)
    for kind, version in (("statement", 2), ("handler", 3)):
        async with working(store, dsn, KINDS[kind](version=version)):
            await until(partial(_is_built, connection, version), f"version {version}")
            assert await rows(connection, f"totals__v{version}") == {"ann": (Decimal(1), 1)}
    assert await rows(connection) == {"ann": (Decimal(1), 1)}


async def _is_built(connection: Pg, version: int) -> bool:
    reached: int | None = await connection.fetchval(
        "SELECT checkpoint FROM eventstore.projection_status WHERE version = $1", version
    )
    return reached == 1


async def test_a_statement_may_have_tables_of_its_own_in_front(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    with_cte = STATEMENT.replace("FROM batch GROUP", "FROM paid GROUP").replace(
        "INSERT", "with paid AS (SELECT * FROM batch) INSERT"
    )
    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, by_statement(with_cte)):
        await reached(connection, 1)
    assert await rows(connection) == {"ann": (Decimal(1), 1)}


async def test_a_query_is_the_same_for_a_statement(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    for n in range(40):
        tags = ["red"] if n % 3 else ["red", "blue"]
        event = EventData(f"T{n % 4}", {"customer": "ann", "total": str(2**n)}, tags=tags)
        await store.append(f"{'ab'[n % 2]}-{n % 5}", event)
    query = EventQuery(categories=["a"], types=["T0", "T1"], tags=["blue"]) | EventQuery(
        streams=["b-1", "b-3"]
    )
    async with working(store, dsn, by_statement(types=(), query=query)):
        await reached(connection, 40)
    found = [event async for event in store.read(query)]
    assert 1 < len(found) < 40
    assert await rows(connection) == {
        "ann": (sum(Decimal(event.data["total"]) for event in found), len(found))
    }


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("INSERT INTO {totals} SELECT 1", "batch"),
        ("INSERT INTO totals SELECT * FROM batch", "{totals}"),
    ],
)
def test_a_statement_that_does_not_fit_is_refused(statement: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        by_statement(statement)


def test_a_projection_folds_or_executes() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        by_handler().fold(totals, key=lambda event: event.stream_name)


async def test_a_handler_whose_append_is_refused_has_failed(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    projection = Projection("totals", tables=[totals], categories=["order"])

    @projection.execute()
    async def handler(connection: asyncpg.Connection[Any], event: RecordedEvent, _: Any) -> None:
        await connection.execute("SELECT eventstore.append('a', 'T', expected_revision => 5)")

    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, projection):
        await reached(connection, 1)
    assert await failures(connection) == [(1, "parked")]


async def test_a_handler_is_not_to_blame_for_the_line(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    projection = Projection("totals", tables=[totals])
    calls = 0

    @projection.execute()
    async def handler(connection: asyncpg.Connection[Any], event: RecordedEvent, name: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await connection.execute(f"INSERT INTO {name(totals)} VALUES ('ann', 1, 1)")

    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, projection):
        await reached(connection, 1)
    assert (await rows(connection), await failures(connection)) == ({"ann": (Decimal(1), 1)}, [])


async def test_a_handler_that_goes_on_after_an_error_is_to_blame(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    projection = Projection("totals", tables=[totals])

    @projection.execute()
    async def handler(connection: Connection, event: RecordedEvent, name: Any) -> None:
        with contextlib.suppress(asyncpg.DivisionByZeroError):
            await connection.execute("SELECT 1 / 0")
        await connection.execute("SELECT 1")

    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, projection):
        await reached(connection, 1)
    assert await failures(connection) == [(1, "parked")]


async def test_what_a_handler_sets_on_its_connection_is_gone_with_the_batch(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    projection = Projection("totals", tables=[totals])
    found: list[str] = []

    @projection.execute()
    async def handler(connection: Connection, event: RecordedEvent, name: Any) -> None:
        found.append(await connection.fetchval("SHOW lock_timeout"))
        await connection.execute("SET lock_timeout = '7s'")

    async with working(store, dsn, projection):
        for position in range(1, 6):  # a pool of three
            await store.append("order-1", placed("ann", "1"))
            await reached(connection, position)
    assert found == ["0"] * 5


@pytest.mark.parametrize("is_retried", [True, False])
async def test_a_line_that_breaks_again_and_again_is_no_crash(
    store: EventStore, dsn: str, connection: Pg, is_retried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    projection = Projection("totals", tables=[totals])
    calls = -1 if is_retried else 0
    if not is_retried:
        monkeypatch.setattr("eventstore.projections.runner.CAUTIOUS", 0)

    @projection.execute()
    async def handler(connection: Connection, event: RecordedEvent, name: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 0:
            raise ValueError("not yet")
        if calls <= 4:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        await connection.execute(f"INSERT INTO {name(totals)} VALUES ('ann', 1, 1)")

    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, projection):
        await reached(connection, 1)
        if is_retried:
            await connection.execute("SELECT eventstore.retry_parked('totals')")
            await until(lambda: _is_tried(connection), "it to be tried")
    assert (await rows(connection), await failures(connection)) == ({"ann": (Decimal(1), 1)}, [])


async def _is_tried(connection: Pg) -> bool:
    return "retrying" not in dict(await failures(connection)).values()
