"""What workers put into read tables and inline functions runs with a worker's rights alone (G6)."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import EventData, EventStore
from eventstore.projections.registry import register
from eventstore.sync import SyncEventStore
from tests.fix_database import Psql, new_pg
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


def operator(name: str, type_: str, result: str) -> tuple[str, ...]:
    """Make an operator that whoever finds it first runs with rights of his own."""
    return (
        f"DROP OPERATOR IF EXISTS eventstore_read.{name} ({type_}, {type_})",
        invoking(f"forge({type_}, {type_})", f"{FORGE} RETURN {result};", "boolean"),
        f"CREATE OPERATOR eventstore_read.{name}"
        f" (LEFTARG = {type_}, RIGHTARG = {type_}, FUNCTION = eventstore_read.forge)",
    )


OPERATORS = (*operator("=", "text", "true"), *operator("<>", "name", "false"))


def refused(dsn: str, statement: str) -> None:
    """Run a statement that may not be carried out, and see that the session is as it was."""
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("DO $$ BEGIN END $$")  # loads PL/pgSQL, which has settings of its own
        before = session.execute("SELECT name, setting FROM pg_settings").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(statement.encode())
        assert session.execute("SELECT name, setting FROM pg_settings").fetchall() == before


HARM = {
    "the log": (FORGE,),
    "its search_path, with operators of its own there": (MISLEAD, *OPERATORS),
    "how durable a commit is": ("SET synchronous_commit = off;",),
    "how durable this commit is": ("SET LOCAL synchronous_commit = off;",),
    "a timeout": ("PERFORM set_config('statement_timeout', '1ms', false);",),
    "the time zone": ("SET TimeZone = 'Asia/Tokyo';",),
    "who runs it": ("ALTER FUNCTION eventstore.run_inline SECURITY INVOKER;",),
    "where its caller is": ("ALTER FUNCTION eventstore.run_inline SET SCHEMA eventstore_read;",),
    "whether its caller is": ("DROP FUNCTION eventstore.empty_read_table;",),
}
"""What the code of a worker tries to change, and what that takes besides."""


async def test_an_inline_function_that_a_worker_replaced_changes_read_tables_alone(
    store: EventStore, dsn: str, login: Login, subtests: pytest.Subtests
) -> None:
    worker = login("eventstore_worker", dsn)
    async with working(store, worker, inline()), new_pg(dsn) as connection:
        await attached(connection)
    for name, (body, *more) in HARM.items():
        with subtests.test(name):
            as_worker(worker, invoking("totals__inline_v1(bigint, bigint)", body, "void"), *more)
            refused(
                login("eventstore_writer", dsn), "SELECT eventstore.append('order-1', 'Placed')"
            )
    head = await store.head()
    assert (head.position, head.epoch) == (0, 1)


async def test_a_trigger_on_a_read_table_changes_read_tables_alone_when_it_is_emptied(
    store: EventStore, dsn: str, login: Login, subtests: pytest.Subtests
) -> None:
    worker = login("eventstore_worker", dsn)
    await registered(worker)
    for name, (body, *more) in HARM.items():
        with subtests.test(name):
            as_worker(
                worker,
                invoking("harm()", f"{body} RETURN NULL;", "trigger"),
                "CREATE OR REPLACE TRIGGER harm BEFORE TRUNCATE ON eventstore_read.orders__v2"
                " EXECUTE FUNCTION eventstore_read.harm()",
                *more,
            )
            rebuild = "SELECT eventstore.rebuild_projection('orders', 2)"
            refused(login("eventstore_writer", dsn), rebuild)
    assert (await store.head()).epoch == 1


async def test_a_view_in_place_of_a_read_table_changes_nothing_when_it_is_compared(
    store: EventStore, dsn: str, login: Login, subtests: pytest.Subtests
) -> None:
    worker = login("eventstore_worker", dsn)
    await registered(worker)
    as_worker(worker, "DROP TABLE eventstore_read.orders__v2")
    for name, (body, *more) in HARM.items():
        with subtests.test(name):
            as_worker(
                worker,
                invoking("harm()", f"{body} RETURN 1;", "integer"),
                "CREATE OR REPLACE VIEW eventstore_read.orders__v2 AS"
                " SELECT 'order-1' AS order_id, eventstore_read.harm() AS events",
                *more,
            )
            compare = "SELECT eventstore.compare_projection('orders', 2, '0')"
            refused(login("eventstore_reader", dsn), compare)
    assert (await store.head()).epoch == 1


@pytest.mark.parametrize("function", ["run_inline", "empty_read_table", "read_table_sum"])
async def test_a_worker_cannot_touch_a_function_of_the_store(
    dsn: str, login: Login, sync_store: SyncEventStore, function: str
) -> None:
    worker = login("eventstore_worker", dsn)
    for change in (
        "DROP FUNCTION {}",
        "ALTER FUNCTION {} SET SCHEMA eventstore_read",
        "ALTER FUNCTION {} RENAME TO mine",
        "ALTER FUNCTION {} SECURITY INVOKER",
        "ALTER FUNCTION {} SET search_path = eventstore_read",
        "ALTER FUNCTION {} OWNER TO CURRENT_USER",
        "GRANT EXECUTE ON FUNCTION {} TO PUBLIC",
    ):
        refused(worker, change.format(f"eventstore.{function}"))
    refused(worker, "SET ROLE eventstore_inline")
    sync_store.append("order-1", EventData("Placed"))


def test_every_setting_that_a_session_may_change_is_looked_at(sql: Psql) -> None:
    unknown = sql.execute(
        "SELECT s.name FROM pg_settings AS s, pg_proc AS p"
        " WHERE p.proname = 'surroundings_v1' AND s.context = 'user'"
        " AND s.name !~ '^transaction_(isolation|read_only|deferrable)$'"  # end with it
        r" AND p.prosrc !~ ('\y' || s.name || '\y')"
    )
    assert unknown.fetchall() == []


async def registered(worker: str) -> None:
    async with new_pg(worker) as connection:
        for version in (1, 2):
            await register(connection, Counting(version).projection, schema="eventstore")
