"""What workers put into read tables and inline functions runs with a worker's rights alone (G6)."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import EventStore
from eventstore.projections.registry import register
from tests.fix_database import new_pg
from tests.fix_psql import Login
from tests.projections.orders import working
from tests.projections.test_inline import attached, inline
from tests.projections.versions import Counting

FORGE = "UPDATE eventstore.log SET epoch = epoch + 1;"
MISLEAD = "PERFORM set_config('search_path', 'eventstore_read, pg_catalog', false);"


def as_worker(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as worker:
        worker.execute("SET ROLE eventstore_worker")
        for statement in statements:
            worker.execute(statement.encode())


def invoking(function: str, body: str, returns: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION eventstore_read.{function} RETURNS {returns}"
        f" LANGUAGE plpgsql SECURITY INVOKER AS $$ BEGIN {body} END $$"
    )


def altered(function: str) -> tuple[str, str]:
    """Make a function of the workers run as whoever calls it, and look for names elsewhere."""
    alter = f"ALTER FUNCTION eventstore.{function}"
    return f"{alter} SECURITY INVOKER", f"{alter} SET search_path = eventstore_read, pg_catalog"


def operator(name: str, type_: str, result: str) -> tuple[str, str]:
    """Make an operator that whoever finds it first runs with rights of his own."""
    return (
        invoking(f"forge({type_}, {type_})", f"{FORGE} RETURN {result};", "boolean"),
        f"CREATE OPERATOR eventstore_read.{name}"
        f" (LEFTARG = {type_}, RIGHTARG = {type_}, FUNCTION = eventstore_read.forge)",
    )


OPERATORS = (*operator("=", "text", "true"), *operator("<>", "name", "false"))


def operate(dsn: str, statement: str, *, refused: bool) -> None:
    with psycopg.connect(dsn, autocommit=True) as operator:
        if refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                operator.execute(statement.encode())
        else:
            operator.execute(statement.encode())


@pytest.mark.parametrize(
    ("body", "more", "refused"),
    [
        (FORGE, (), True),
        (FORGE, (*OPERATORS, *altered("run_inline")), True),
        (MISLEAD, OPERATORS, False),
    ],
    ids=["its body", "its caller altered", "its search_path"],
)
async def test_an_inline_function_that_a_worker_replaced_cannot_forge_the_log(
    store: EventStore,
    dsn: str,
    login: Login,
    body: str,
    more: tuple[str, ...],
    refused: bool,
) -> None:
    worker = login("eventstore_worker", dsn)
    async with working(store, worker, inline()), new_pg(dsn) as connection:
        await attached(connection)
    function = invoking("totals__inline_v1(bigint, bigint)", body, "void")
    as_worker(worker, function, *more)
    append = "SELECT eventstore.append('order-1', 'Placed')"
    operate(login("eventstore_writer", dsn), append, refused=refused)
    head = await store.head()
    assert (head.position, head.epoch) == (0 if refused else 1, 1)


@pytest.mark.parametrize(
    ("body", "more", "refused"),
    [
        (FORGE, (), True),
        (FORGE, (*OPERATORS, *altered("empty_read_table")), True),
        (MISLEAD, OPERATORS, False),
    ],
    ids=["its body", "its caller altered", "its search_path"],
)
async def test_a_trigger_on_a_read_table_cannot_forge_the_log_when_it_is_emptied(
    store: EventStore,
    dsn: str,
    login: Login,
    body: str,
    more: tuple[str, ...],
    refused: bool,
) -> None:
    worker = login("eventstore_worker", dsn)
    await registered(worker)
    as_worker(
        worker,
        invoking("forge()", f"{body} RETURN NULL;", "trigger"),
        "CREATE TRIGGER forge BEFORE TRUNCATE ON eventstore_read.orders__v2"
        " EXECUTE FUNCTION eventstore_read.forge()",
        *more,
    )
    rebuild = "SELECT eventstore.rebuild_projection('orders', 2)"
    operate(login("eventstore_writer", dsn), rebuild, refused=refused)
    assert (await store.head()).epoch == 1


@pytest.mark.parametrize("more", [(), altered("read_table_sum")], ids=["", "its caller altered"])
async def test_a_view_in_place_of_a_read_table_cannot_forge_the_log_when_it_is_compared(
    store: EventStore, dsn: str, login: Login, more: tuple[str, ...]
) -> None:
    worker = login("eventstore_worker", dsn)
    await registered(worker)
    as_worker(
        worker,
        invoking("forge()", f"{FORGE} RETURN 1;", "integer"),
        "DROP TABLE eventstore_read.orders__v2",
        "CREATE VIEW eventstore_read.orders__v2 AS"
        " SELECT 'order-1' AS order_id, eventstore_read.forge() AS events",
        *more,
    )
    compare = "SELECT eventstore.compare_projection('orders', 2, '0')"
    operate(login("eventstore_reader", dsn), compare, refused=True)
    assert (await store.head()).epoch == 1


async def registered(worker: str) -> None:
    async with new_pg(worker) as connection:
        for version in (1, 2):
            await register(connection, Counting(version).projection, schema="eventstore")
