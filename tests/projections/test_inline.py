"""Inline projections: applied in the transaction that appends, never behind, never in part."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from eventstore import EventData, EventStore, InvalidInput, Unavailable
from eventstore.core.definition import Definition
from tests.fix_database import Pg, new_pg
from tests.fix_psql import Login
from tests.fix_waiting import until
from tests.projections.orders import working
from tests.projections.test_kinds import STATEMENT, by_statement, placed, rows


def inline(statement: str = STATEMENT, version: int = 1) -> Definition:
    return by_statement(statement, inline=True, version=version)


async def attached(connection: Pg) -> None:
    async def holds() -> object:
        return await connection.fetchval(
            "SELECT coalesce(bool_or(inline AND lag_events = 0), false)"
            " FROM eventstore.projection_status"
        )

    await until(holds, "appends to apply it")


async def test_what_is_appended_is_in_the_table_at_once_with_a_worker_or_without(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await store.append("order-1", [placed("ann", "1"), EventData("Other")])
    async with working(store, dsn, inline()):
        await attached(connection)
        await store.append("order-1", placed("ann", "2"))
        assert await rows(connection) == {"ann": (Decimal(3), 2)}
    await store.append("order-1", [placed("ann", "4"), placed("bob", "1")])
    await connection.execute(
        "SELECT eventstore.append('order-2', 'Placed', '{\"customer\": \"bob\", \"total\": 2}')"
    )
    assert await rows(connection) == {"ann": (Decimal(7), 3), "bob": (Decimal(3), 2)}
    assert await store.wait_for("totals", position=6, timeout=0) == 6
    status = (await store.projections.get("totals"))._asdict()
    assert (status["state"], status["lag_events"]) == ("running", 0)


async def test_nothing_is_lost_or_counted_twice_while_it_is_attached_and_detached(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    going = True

    async def append(number: int) -> int:
        count = 0
        while going:
            await store.append(f"order-{number}", [placed("ann", "1")] * (1 + count % 3))
            count += 1 + count % 3
        return count

    appends = [asyncio.ensure_future(append(number)) for number in range(4)]
    async with working(store, dsn, inline()):
        for _ in range(chance.randint(3, 5)):
            await until(lambda: _is_inline(connection), "appends to apply it")
            await connection.execute("SELECT eventstore.pause_projection('totals')")
            await connection.execute("SELECT eventstore.resume_projection('totals')")
        await until(lambda: _is_inline(connection), "appends to apply it")
        going = False
        count = sum(await asyncio.gather(*appends))
        assert await rows(connection) == {"ann": (Decimal(count), count)}


async def test_versions_are_switched_while_appends_go_on(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    going = True

    async def append(number: int) -> None:
        while going:
            await store.append(f"order-{number}", placed("ann", "1"))

    async with working(store, dsn, inline(), inline(version=2)):
        await until(lambda: _all_inline(connection, 2), "appends to apply both")
        appends = [asyncio.ensure_future(append(number)) for number in range(3)]
        for version in (2, 1, 2):
            await store.projections.switch("totals", version)
            await until(lambda: _all_inline(connection, 2), "appends to apply both again")
        going = False
        await asyncio.gather(*appends)
        await store.projections.switch("totals", 1)  # nothing comes that would wake them
        await until(lambda: _all_inline(connection, 2), "appends to apply both again")
        total = (await store.head()).position
        for table in ("totals", "totals__v2"):
            assert await rows(connection, table) == {"ann": (Decimal(total), total)}


async def _all_inline(connection: Pg, count: int) -> bool:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM eventstore.projection_status WHERE inline"
    )
    return found == count


async def _is_inline(connection: Pg) -> bool:
    found: bool | None = await connection.fetchval(
        "SELECT inline FROM eventstore.projection_status"
    )
    return bool(found)


async def test_an_event_that_it_cannot_apply_is_refused_and_harms_nobody_else(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, inline()):
        await attached(connection)
        results = await asyncio.gather(
            *(
                store.append(f"order-{n}", placed("ann", "nothing" if n == 3 else "1"))
                for n in range(8)
            ),
            return_exceptions=True,
        )
    refused = [result for result in results if isinstance(result, BaseException)]
    assert [type(error) for error in refused] == [InvalidInput]
    assert "inline projection totals refuses it" in str(refused[0])
    assert await rows(connection) == {"ann": (Decimal(7), 7)}
    assert (await store.head()).position == 7


async def test_a_writer_who_may_not_touch_the_tables_appends(
    store: EventStore, dsn: str, connection: Pg, login: Login
) -> None:
    async with working(store, dsn, inline()):
        await attached(connection)
    async with new_pg(login("eventstore_writer", dsn)) as writer:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await writer.execute("DELETE FROM eventstore_read.totals")
        await writer.execute(
            "SELECT eventstore.append('o', 'Placed', '{\"customer\": \"a\", \"total\": 2}')"
        )
    assert await rows(connection) == {"a": (Decimal(2), 1)}
    owner = await connection.fetchval(
        "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'totals__inline_v1'"
    )
    assert owner == "eventstore_worker"


async def test_a_worker_of_its_role_alone_attaches_and_nobody_else_applies(
    store: EventStore, dsn: str, connection: Pg, login: Login
) -> None:
    await store.append("order-1", placed("ann", "1"))
    async with working(store, login("eventstore_worker", dsn), inline()):
        await attached(connection)
    for role in ("reader", "writer"):
        async with new_pg(login(f"eventstore_{role}", dsn)) as other:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await other.execute("SELECT eventstore_read.totals__inline_v1(0, 1)")
    await store.append("order-1", placed("ann", "1"))
    assert await rows(connection) == {"ann": (Decimal(2), 2)}


async def test_a_statement_that_works_only_elsewhere_never_comes_to_appends(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await connection.execute(
        "CREATE FUNCTION public.one() RETURNS bigint LANGUAGE sql AS 'SELECT 1'"
    )
    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, inline(STATEMENT.replace("count(*)", "one()"))):
        await until(lambda: _stopped(connection), "it to stop")
        await store.append("order-1", placed("ann", "1"))


async def _stopped(connection: Pg) -> bool:
    reason: str | None = await connection.fetchval(
        "SELECT reason FROM eventstore.projection_status"
    )
    return "one() does not exist" in (reason or "")


@pytest.mark.parametrize("events", [0, 1])
async def test_a_statement_that_refuses_an_empty_batch_never_comes_to_appends(
    store: EventStore, dsn: str, connection: Pg, events: int
) -> None:
    if events:
        await store.append("order-1", placed("ann", "1"))
    without_group = STATEMENT.replace("data ->> 'customer'", "'all'", 1).replace("GROUP BY 1", "")
    async with working(store, dsn, inline(without_group)):
        await until(lambda: _refuses(connection), "it to stop")
        await store.append("order-1", EventData("Other"))


async def _refuses(connection: Pg) -> bool:
    reason: str | None = await connection.fetchval(
        "SELECT reason FROM eventstore.projection_status WHERE state = 'stopped'"
    )
    return "totals refuses it: null value" in (reason or "")


async def test_texts_of_a_query_are_quoted(store: EventStore, dsn: str, connection: Pg) -> None:
    odd = "o'brien\\' $6::text[] {totals} $body$"
    projection = by_statement(inline=True, types=[odd, "Placed"], streams=["a"])
    async with working(store, dsn, projection):
        await attached(connection)
        await store.append("a", [EventData(odd, {"customer": "ann", "total": 1}), EventData("x")])
    assert await rows(connection) == {"ann": (Decimal(1), 1)}


async def test_a_statement_may_end_in_a_comment_and_name_a_column_as_plpgsql_does(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    found = STATEMENT.replace("FROM batch", "FROM (SELECT *, 1 AS found FROM batch) AS b")
    projection = inline(found.replace("count(*)", "sum(found)") + "-- done")
    await store.append("order-1", placed("ann", "1"))
    async with working(store, dsn, projection):
        await attached(connection)


async def test_one_that_is_broken_is_named_and_can_be_paused(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, inline()):
        await attached(connection)
    await connection.execute("ALTER TABLE eventstore_read.totals RENAME TO elsewhere")
    with pytest.raises(Unavailable, match="inline projection totals cannot be applied"):
        await store.append("order-1", placed("ann", "1"))
    await store.projections.pause("totals")
    await store.append("order-1", placed("ann", "1"))


async def test_in_another_history_it_is_not_applied(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, inline()):
        await attached(connection)
    await connection.execute("UPDATE eventstore.projection_partitions SET checkpoint = 9")
    await connection.execute("SELECT eventstore.begin_epoch()")  # the log came from an older backup
    await store.append("order-1", placed("ann", "1"))
    assert await rows(connection) == {}
    assert not await _is_inline(connection)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"partitions": 2, "keys_within_streams": True}, "one partition"),
        ({"on_failure": "park"}, "only stop"),
    ],
)
def test_what_cannot_be_inline_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        by_statement(inline=True, **options)
