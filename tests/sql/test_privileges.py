"""Roles: a writer appends and reads, a reader reads, nobody changes, removes or forges (G6)."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from eventstore import EventData, EventQuery, EventStore
from eventstore.postgres.errors import AccessDenied
from eventstore.projections.registry import register
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_psql import Login
from tests.projections.versions import Counting, names

FORBIDDEN = [
    "INSERT INTO eventstore.events VALUES"
    " (99, 0, '2000-01-01', gen_random_uuid(), 'a', 'T', '{}', '{}', '{}')",
    "COPY eventstore.events FROM '/dev/null'",
    "UPDATE eventstore.events SET data = '{}'",
    "UPDATE eventstore.events SET position = 99",
    "UPDATE eventstore.events SET recorded_at = now()",
    "DELETE FROM eventstore.events",
    "TRUNCATE eventstore.events",
    "INSERT INTO eventstore.event_tags VALUES ('forged', 1)",
    "DELETE FROM eventstore.event_tags",
    "UPDATE eventstore.log SET epoch = epoch + 1",
    "DELETE FROM eventstore.log",
    "INSERT INTO eventstore.log DEFAULT VALUES",
    "SELECT eventstore.begin_epoch()",
    "SELECT FROM eventstore.log FOR UPDATE",
    "DO 'BEGIN LOCK TABLE eventstore.events IN EXCLUSIVE MODE; END'",
    "UPDATE eventstore.alembic_version SET version_num = '0000'",
    "ALTER TABLE eventstore.events DISABLE TRIGGER ALL",
    "ALTER TABLE eventstore.events DISABLE TRIGGER events_append_only",
    "DROP TRIGGER events_append_only ON eventstore.events",
    "DROP TABLE eventstore.event_tags",
    "DROP SCHEMA eventstore CASCADE",
    "CREATE TABLE eventstore.mine ()",
    "CREATE FUNCTION eventstore.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "ALTER FUNCTION eventstore.append_v1 RESET lock_timeout",
    "UPDATE eventstore.projection_partitions SET checkpoint = 0",
    "DELETE FROM eventstore.projection_failures",
    "INSERT INTO eventstore.projection_workers VALUES ('orders', 1, 'me', 'infinity')",
    "UPDATE eventstore.consumer_groups SET checkpoint = 0",
    "DELETE FROM eventstore.deliveries",
    "DELETE FROM eventstore.consumer_workers",
    "SELECT eventstore.consumer_park_v1('emails', '{1}', true)",
    "SET session_replication_role = replica",
    "SET ROLE eventstore_owner",
    "GRANT eventstore_owner TO CURRENT_USER",
]


@pytest.mark.parametrize("role", ["writer", "reader", "worker"])
def test_no_role_can_change_remove_or_forge_an_event(
    login: Login, dsn: str, sync_store: SyncEventStore, role: str
) -> None:
    sync_store.append("order-1", EventData("T", tags=["t"]))
    before = list(sync_store.read())
    with psycopg.connect(login(f"eventstore_{role}", dsn), autocommit=True) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    assert list(sync_store.read()) == before


async def test_a_writer_appends_and_reads(login: Login, dsn: str) -> None:
    async with EventStore(login("eventstore_writer", dsn)) as store:
        appended = await store.append("order-1", EventData("T", tags=["t"]), idempotency_key="k")
        again = await store.append("order-1", EventData("T", tags=["t"]), idempotency_key="k")
        assert again == appended._replace(replayed=True)
        for query in (EventQuery(), EventQuery(tags=["t"]), EventQuery(categories=["order"])):
            assert [e.position async for e in store.read(query)] == [1]
        assert await store.list_streams() == [("order-1", 0)]
        assert await store.categories() == [("order", 1, 1)]
        assert (await store.head()).position == 1


async def test_a_reader_reads_and_cannot_append(login: Login, dsn: str, store: EventStore) -> None:
    await store.append("order-1", EventData("T", tags=["t"]))
    reader = login("eventstore_reader", dsn)
    async with EventStore(reader) as reading, new_pg(reader) as connection:
        for query in (EventQuery(), EventQuery(tags=["t"]), EventQuery(categories=["order"])):
            assert [e.position async for e in reading.read(query)] == [1]
        with pytest.raises(AccessDenied, match="append_v1"):
            await reading.append("order-1", EventData("T"))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT eventstore.append('a', 'T')")
        for view in ("streams", "categories", "event_types", "health"):
            assert len(await connection.fetch(f"SELECT * FROM eventstore.{view}")) == 1
        assert len(await connection.fetch("SELECT * FROM eventstore.read_all()")) == 1
    assert (await store.head()).position == 1


async def test_a_stranger_may_do_nothing(login: Login, dsn: str) -> None:
    stranger = login("pg_read_all_settings", dsn)
    async with new_pg(stranger) as connection:
        for statement in (
            "SELECT * FROM eventstore.events",
            "SELECT eventstore.append('a', 'T')",
            "SELECT * FROM eventstore.read_all()",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    with pytest.raises(AccessDenied):
        async with EventStore(stranger):
            pass
    with pytest.raises(AccessDenied), SyncEventStore(stranger):
        pass


RUN = (
    "SELECT eventstore.projection_register_v1('orders', 1, '{}', '{t}', 'f', 1)",
    "SELECT eventstore.projection_beat_v1('orders', 1, 'me', 60)",
    "SELECT eventstore.projection_begin_v1('orders', 1, 0, p.lease, '{}')"
    " FROM eventstore.projection_partitions AS p",
    "SELECT eventstore.projection_fail_v1('orders', 1, 'a', 0, 1, 'parked', 'why')",
    "SELECT eventstore.projection_unpark_v1('orders', 1, 'a')",
    "SELECT eventstore.projection_checkpoint_v1('orders', 1, 0, p.lease, 1)"
    " FROM eventstore.projection_partitions AS p",
    "SELECT eventstore.projection_stop_v1('orders', 1, 'why')",
    "SELECT eventstore.projection_release_v1('orders', 1, 'me')",
    "CREATE TABLE eventstore_read.t ()",
)
OPERATE = (
    "SELECT eventstore.pause_projection('orders')",
    "SELECT eventstore.resume_projection('orders')",
    "SELECT eventstore.retry_parked('orders')",
    "SELECT eventstore.skip_parked('orders', 'a')",
)
LOOK = (
    "SELECT * FROM eventstore.projection_status",
    "SELECT * FROM eventstore.projection_positions",
    "SELECT * FROM eventstore.projection_failures",
    "SELECT eventstore.projection_position('orders', 'a')",
    "SELECT eventstore.wait_for('orders', 0, '0'::interval)",
)


CONSUME = (
    "SELECT eventstore.receive('emails')",
    "SELECT eventstore.ack('emails', '1-1')",
    "SELECT eventstore.nack('emails', '1-1')",
    "SELECT eventstore.consumer_beat_v1('emails', 'me', '{}', '{}')",
    "SELECT eventstore.consumer_leave_v1('emails', 'me')",
)
DEFINE = (
    "SELECT eventstore.consumer_create_v1('emails', _buffer => 7)",
    "SELECT eventstore.create_consumer('emails', types => '{T}')",
    "SELECT eventstore.replay_parked('emails')",
    "SELECT eventstore.drop_parked('emails', 'a')",
    "SELECT eventstore.delete_consumer('none')",
)
LOOK_AT_GROUPS = (
    "SELECT * FROM eventstore.consumer_status",
    "SELECT * FROM eventstore.parked",
    "SELECT * FROM eventstore.deliveries",
)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("worker", [*CONSUME, *DEFINE, *LOOK_AT_GROUPS], []),
        ("writer", [*CONSUME, *DEFINE, *LOOK_AT_GROUPS], []),
        ("reader", LOOK_AT_GROUPS, [*CONSUME, *DEFINE]),
    ],
)
def test_workers_and_writers_consume_and_readers_look(
    login: Login,
    dsn: str,
    sync_store: SyncEventStore,
    role: str,
    may: list[str],
    may_not: list[str],
) -> None:
    sync_store.append("a", EventData("T"))
    sync_store.consumers.create("emails")
    with psycopg.connect(login(f"eventstore_{role}", dsn), autocommit=True) as connection:
        for statement in may:
            connection.execute(statement.encode())
        for statement in may_not:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_login_may_be_given_to_consume_and_nothing_else(
    login: Login, dsn: str, sql: Psql, sync_store: SyncEventStore
) -> None:
    sync_store.consumers.create("emails")
    member = login("eventstore_reader", dsn)
    name = urlsplit(member).username
    for function in ("consumer_receive_v1", "consumer_ack_v1", "consumer_nack_v1"):
        sql.execute(f"GRANT EXECUTE ON FUNCTION eventstore.{function} TO {name}".encode())
    with SyncEventStore(member) as store:
        assert store.consumers.receive("emails") == []
        for change in (
            lambda: store.consumers.create("emails", buffer=7),
            lambda: store.consumers.delete("emails"),
            lambda: store.consumers.replay("emails"),
        ):
            with pytest.raises(AccessDenied):
                change()
    sql.execute(f"DROP OWNED BY {name}".encode())


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("worker", [*RUN, *OPERATE, *LOOK], []),
        ("writer", [*OPERATE, *LOOK], RUN),
        ("reader", LOOK, [*RUN, *OPERATE]),
    ],
)
def test_workers_run_projections_writers_operate_and_readers_look(
    login: Login, dsn: str, sql: Psql, role: str, may: list[str], may_not: list[str]
) -> None:
    if role != "worker":
        sql.execute(RUN[0].encode())
    with psycopg.connect(login(f"eventstore_{role}", dsn), autocommit=True) as connection:
        for statement in may:
            connection.execute(statement.encode())
        for statement in may_not:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_workers_may_call_all_that_is_for_workers(sql: Psql) -> None:
    [(count, refused)] = sql.execute(
        "SELECT count(*), array_agg(p.proname) FILTER"
        "       (WHERE NOT has_function_privilege('eventstore_worker', p.oid, 'EXECUTE'))"
        "  FROM pg_proc AS p WHERE obj_description(p.oid) LIKE 'For workers:%'"
    ).fetchall()
    assert (count > 10, refused) == (True, None)


def test_the_owner_cannot_log_in(sql: Psql) -> None:
    row = sql.execute(
        "SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'eventstore_owner'"
    ).fetchone()
    assert row == (False, False)


def test_a_writers_search_path_and_temporary_tables_lead_nowhere(
    login: Login, dsn: str, sync_store: SyncEventStore
) -> None:
    with psycopg.connect(login("eventstore_writer", dsn), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE events (LIKE eventstore.events)")
        connection.execute("CREATE TEMP TABLE log (LIKE eventstore.log)")
        connection.execute("SET search_path = pg_temp, public")
        connection.execute("SELECT eventstore.append('order-1', 'T')")
    assert [event.stream_name for event in sync_store.read()] == ["order-1"]


def test_a_writer_does_not_choose_position_or_time(
    login: Login, dsn: str, sync_store: SyncEventStore
) -> None:
    arguments = "ARRAY[1], ARRAY['a'], ARRAY[-2], ARRAY[1], ARRAY[%s::uuid], ARRAY['T']"
    with psycopg.connect(login("eventstore_writer", dsn)) as connection:
        started = connection.execute("SELECT now()").fetchone()
        connection.execute(
            f"SELECT eventstore.append_v1({arguments}, ARRAY['{{}}'::jsonb],"
            " ARRAY['{}'::jsonb])".encode(),
            [uuid.uuid4()],
        )
    [event] = sync_store.read()
    assert started is not None
    assert (event.position, event.revision) == (1, 0)
    assert event.recorded_at > started[0]


async def test_writers_and_workers_switch_what_workers_made_and_readers_look(
    login: Login, dsn: str, connection: Pg
) -> None:
    async with new_pg(login("eventstore_worker", dsn)) as worker:
        for version in (1, 2):
            await register(worker, Counting(version).projection, schema="eventstore")
    looks = "SELECT count(*) FROM eventstore.compare_projection('orders', 2)"
    for role in ("writer", "worker"):
        async with new_pg(login(f"eventstore_{role}", dsn)) as operator:
            assert await operator.fetchval("SELECT eventstore.switch_projection('orders', 2)") == 1
            assert await operator.fetchval("SELECT eventstore.switch_projection('orders', 1)") == 2
            await operator.execute("SELECT eventstore.rebuild_projection('orders', 2)")
            assert await operator.fetchval(looks) == 2
    async with new_pg(login("eventstore_reader", dsn)) as reader:
        assert await reader.fetchval(looks) == 2
        for operate in (
            "switch_projection('orders', 2)",
            "drop_projection('orders', 2)",
            "rebuild_projection('orders', 2)",
            "lock_read_tables('{orders}')",
            "freeze_projection('orders', 2)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(f"SELECT eventstore.{operate}")
    async with new_pg(login("eventstore_writer", dsn)) as writer:
        await writer.execute("SELECT eventstore.drop_projection('orders', 2)")
    assert await names(connection) == ["orders"]
