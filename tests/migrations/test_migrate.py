"""Migrating: once, twice, three at once, printed, and by users with few rights."""

from __future__ import annotations

import io
import secrets
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from eventstore import EventData, EventStore, SchemaMismatch
from eventstore.postgres.schema import REQUIRED_REVISION, check_revision, migrate
from eventstore.sync import SyncEventStore
from tests.fix_database import NewDatabase, Psql
from tests.fix_psql import run_program
from tests.fix_server import Server
from tests.fix_waiting import DEADLINE, wait_until
from tests.migrations.schema_file import HEADER, SCHEMA_FILE, dump

MIGRATE = "import sys; from eventstore.postgres.schema import migrate; migrate(sys.argv[1])"
LOCK = "SELECT pg_advisory_lock(0x65766E74, hashtext('eventstore'))"

SET_REVISION = "UPDATE eventstore.alembic_version SET version_num ="


def revisions(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT version_num FROM eventstore.alembic_version").fetchall()
    return [row[0] for row in rows]


def test_three_at_once_migrate_once(new_database: NewDatabase) -> None:
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as referee:
        referee.execute(LOCK.replace("0x65766E74", str(0x65766E74)).encode())
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", MIGRATE, dsn], stderr=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        wait_until(
            lambda: referee.execute(waiting.encode()).fetchone() == (3,),
            "three migrations that wait for the lock",
        )
        referee.execute("SELECT pg_advisory_unlock_all()")
    for process in processes:
        _, said = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, said
    assert revisions(dsn) == [REQUIRED_REVISION]


async def test_migrating_again_changes_nothing(server: Server, dsn: str, store: EventStore) -> None:
    await store.append("a", EventData("T"))
    before = dump(server, dsn)
    migrate(dsn)
    assert dump(server, dsn) == before
    assert revisions(dsn) == [REQUIRED_REVISION]
    assert [e.position async for e in store.read()] == [1]


@pytest.mark.usefixtures("template")
def test_a_migration_that_fails_leaves_nothing_behind(new_database: NewDatabase) -> None:
    dsn = new_database()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE SCHEMA eventstore AUTHORIZATION eventstore_owner")
        connection.execute("CREATE TABLE eventstore.event_tags ()")  # in the way, half way
    with pytest.raises(DBAPIError, match="already exists"):
        migrate(dsn)
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'eventstore'::regnamespace"
        ).fetchall()
    assert tables == [("event_tags",)]


@pytest.mark.parametrize("schema", ["eventstore", "orders"])
def test_the_printed_sql_gives_the_same_schema(
    server: Server, new_database: NewDatabase, schema: str
) -> None:
    printed = io.StringIO()
    migrate("postgresql://nobody@nowhere.invalid/none", schema=schema, sql_output=printed)
    by_psql, by_migrate = new_database(), new_database()
    options = ("-X", "-q", "-v", "ON_ERROR_STOP=1")
    run_program(server, "psql", by_psql, *options, stdin=printed.getvalue())
    migrate(by_migrate, schema=schema)
    assert dump(server, by_psql, schema) == dump(server, by_migrate, schema)
    with SyncEventStore(by_psql, schema=schema) as store:
        assert store.append("a", EventData("T")).position == 1


@pytest.mark.one_postgres
def test_the_committed_schema_file_is_the_newest_revision(server: Server, dsn: str) -> None:
    if server.major != 18:
        pytest.skip("schema.sql is a dump of PostgreSQL 18")
    # Anew: python -m tests.migrations.schema_file
    assert SCHEMA_FILE.read_text(encoding="utf-8") == HEADER + dump(server, dsn)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("DROP SCHEMA eventstore CASCADE", r"no event store in schema 'eventstore'; {migrate}"),
        ("DELETE FROM eventstore.alembic_version", "no event store .*; {migrate}"),
        (f"{SET_REVISION} '0000'", "at revision 0000, older .*; {migrate}"),
        (f"{SET_REVISION} '9999'", r"at revision 9999, newer .*; run: pip install --upgrade .*"),
    ],
    ids=["no schema", "no revision", "older", "newer"],
)
async def test_another_revision_is_refused_with_the_command_to_run(
    sql: Psql, dsn: str, change: str, says: str
) -> None:
    sql.execute(change.encode())
    says = says.replace("{migrate}", "run: eventstore migrate") + "$"
    with pytest.raises(SchemaMismatch, match=says):
        async with EventStore(dsn):
            pass
    with pytest.raises(SchemaMismatch, match=says), SyncEventStore(dsn):
        pass


def test_the_command_to_run_names_the_schema() -> None:
    with pytest.raises(SchemaMismatch, match=r"run: eventstore migrate --schema orders$"):
        check_revision(None, schema="orders")
    check_revision(REQUIRED_REVISION)


ROLES = ("owner", "writer", "reader", "worker", "inline")


class Tenant:
    """A database of its own user, and a store's name for which the server has no roles yet."""

    def __init__(self, server: Server, dsn: str) -> None:
        self.schema = f"tenant_{secrets.token_hex(4)}"
        self.user = f"{self.schema}_user"
        self.admin = psycopg.connect(dsn, autocommit=True)
        host = urlsplit(dsn).netloc.rpartition("@")[2]
        self.dsn = urlunsplit(urlsplit(dsn)._replace(netloc=f"{self.user}:secret@{host}"))
        self.run(f"CREATE USER {self.user} PASSWORD 'secret'")
        self.run(f"ALTER DATABASE {urlsplit(dsn).path[1:]} OWNER TO {self.user}")

    def run(self, statement: str) -> None:
        self.admin.execute(statement.encode())

    def is_there(self) -> bool:
        found = self.admin.execute(
            "SELECT to_regnamespace(%s) IS NOT NULL", [self.schema]
        ).fetchone()
        return found == (True,)

    def works(self) -> bool:
        migrate(self.dsn, schema=self.schema)
        migrate(self.dsn, schema=self.schema)
        with SyncEventStore(self.dsn, schema=self.schema) as store:
            return store.append("a", EventData("T")).position == 1


@pytest.fixture
def tenant(server: Server, new_database: NewDatabase) -> Iterator[Tenant]:
    made = Tenant(server, new_database())
    yield made
    with made.admin:
        roles = made.admin.execute(
            "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [made.schema]
        ).fetchall()
        made.run(f"REASSIGN OWNED BY {', '.join(role for (role,) in roles)} TO CURRENT_USER")
        for (role,) in roles:
            made.run(f"DROP OWNED BY {role}")
        for (role,) in roles:
            made.run(f"DROP ROLE {role}")


def test_a_user_who_may_not_create_roles_is_told_what_an_administrator_has_to_do(
    tenant: Tenant,
) -> None:
    with pytest.raises(DBAPIError, match=f"role {tenant.schema}_owner is missing") as refused:
        migrate(tenant.dsn, schema=tenant.schema)
    said = str(refused.value)
    for role in ROLES:
        assert f"CREATE ROLE {tenant.schema}_{role} NOLOGIN" in said
    for role in ROLES:
        tenant.run(f"CREATE ROLE {tenant.schema}_{role} NOLOGIN")
    with pytest.raises(DBAPIError, match=f"run: GRANT {tenant.schema}_owner TO {tenant.user}"):
        migrate(tenant.dsn, schema=tenant.schema)
    tenant.run(f"GRANT {tenant.schema}_owner TO {tenant.user}")
    for role, member in (("worker", "inline"), ("inline", "owner")):
        grant = f"GRANT {tenant.schema}_{role} TO {tenant.schema}_{member}"
        with pytest.raises(DBAPIError, match=f"run: {grant}"):
            migrate(tenant.dsn, schema=tenant.schema)
        tenant.run(grant)
    assert tenant.works()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_was_there_for_something_else_is_not_handed_the_log(
    tenant: Tenant, role: str, subtests: pytest.Subtests
) -> None:
    tenant.run(f"ALTER ROLE {tenant.user} CREATEROLE")
    name = f"{tenant.schema}_{role}"
    tenant.run(f"CREATE ROLE {name}")
    for attribute, says in (
        ("LOGIN", "can log in"),
        ("SUPERUSER", "is a superuser"),
        ("CREATEROLE", "may create roles"),
        ("REPLICATION", "may replicate"),
        ("BYPASSRLS", "may bypass row security"),
    ):
        with subtests.test(attribute):
            tenant.run(f"ALTER ROLE {name} {attribute}")
            with pytest.raises(DBAPIError, match=f"role {name} {says}") as refused:
                migrate(tenant.dsn, schema=tenant.schema)
            assert f"ALTER ROLE {name} NOLOGIN" in str(refused.value)
            assert not tenant.is_there()
            tenant.run(f"ALTER ROLE {name} NO{attribute}")
    tenant.run(f"GRANT {name} TO {tenant.user} WITH ADMIN OPTION")
    assert tenant.works()


def test_a_user_who_may_create_roles_needs_no_administrator(tenant: Tenant) -> None:
    tenant.run(f"ALTER ROLE {tenant.user} CREATEROLE")
    assert tenant.works()
