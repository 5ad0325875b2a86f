"""A database that is emptied for the next test instead of being made again.

Emptying takes a few milliseconds, a clone of the template some fifty. It puts back rows only, so a
database in which a test has changed anything else (a table, a function, a grant, a setting) is
told by its catalogs, thrown away, and replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[tuple[Any, ...]]

RECYCLING: Final = "recycling"
"""The application name of the connection that is kept to each database."""

MOST_USES: Final = 100
"""Tests after which a database is replaced all the same: what they deleted slows it down."""

# A row of a catalog that is changed gets another xmin. Statistics and the relation's size are
# written in place, and so change nothing here. Triggers are compared by what they say, since
# emptying switches them off and on again.
_BY_XMIN: Final = (
    "pg_attribute",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_default_acl",
    "pg_event_trigger",
    "pg_extension",
    "pg_index",
    "pg_namespace",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_rewrite",
    "pg_type",
)
_CATALOGS: Final = " UNION ALL ".join(
    [
        *(
            f"SELECT '{name}', count(*), sum(xmin::text::bigint) FROM pg_catalog.{name}"
            for name in _BY_XMIN
        ),
        "SELECT 'pg_trigger', count(*), sum(hashtext(t::text)) FROM pg_catalog.pg_trigger AS t",
        "SELECT 'pg_db_role_setting', count(*), sum(hashtext(s::text))"
        " FROM pg_catalog.pg_db_role_setting AS s"
        " WHERE setdatabase = 0 OR setdatabase ="
        " (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())",
        "SELECT 'pg_database', count(*), sum(hashtext(concat(datacl, datdba)))"
        " FROM pg_catalog.pg_database WHERE datname = current_database()",
    ]
)
_TABLES: Final = """
SELECT c.oid::regclass::text FROM pg_class AS c
 WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
 ORDER BY c.oid
"""
# Triggers that fire whatever session_replication_role says.
_ALWAYS: Final = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgenabled = 'A' AND NOT tgisinternal
"""
_OTHERS_END: Final = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class _Database:
    """A clone of the template: how to empty it, and how its catalogs are while it can be.

    The connection stays open, idle, while the database is lent: what PostgreSQL has to look up for
    a new one takes longer than all the rest.
    """

    dsn: str
    drop: Callable[[], None]
    connection: Connection
    emptying: Composed
    catalogs: list[tuple[Any, ...]]
    uses: int = 0


class Recycler:
    """Lends databases one after the other. `new` makes one and gives its DSN and how to drop it."""

    def __init__(self, new: Callable[[], tuple[str, Callable[[], None]]]) -> None:
        self._new = new
        self._database: _Database | None = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Lend a database that is as the template; give its DSN."""
        database = self._database or self._made()
        self._database = None
        try:
            yield database.dsn
        finally:
            database.uses += 1
            if database.uses < MOST_USES and _emptied(database):
                self._database = database
            else:
                _drop(database)

    def close(self) -> None:
        """Drop what is left."""
        if self._database is not None:
            _drop(self._database)

    def _made(self) -> _Database:
        dsn, drop = self._new()
        connection = _connect(dsn)
        return _Database(dsn, drop, connection, _emptying(connection), _catalogs(connection))


def _connect(dsn: str) -> Connection:
    return psycopg.connect(dsn, autocommit=True, application_name=RECYCLING)


def _drop(database: _Database) -> None:
    database.connection.close()
    database.drop()


def _catalogs(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(_CATALOGS.encode()).fetchall()


def _emptying(connection: Connection) -> Composed:
    """Write the statements that leave every table with the rows that it has now."""
    tables = [SQL(name) for (name,) in connection.execute(_TABLES.encode())]
    always = [(SQL(name), Identifier(t)) for name, t in connection.execute(_ALWAYS.encode())]
    statements = [SQL("SET session_replication_role = {}").format(Literal("replica"))]
    statements += [SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(*found) for found in always]
    for table in tables:
        statements.append(SQL("DELETE FROM {}").format(table))
        rows = connection.execute(SQL("SELECT to_jsonb(t) FROM {} AS t").format(table)).fetchall()
        if rows:
            kept = Literal(Jsonb([row for (row,) in rows]))
            statements.append(
                SQL(
                    "INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, {1})"
                ).format(table, kept)
            )
    statements += [
        SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(*found) for found in always
    ]
    return SQL("; ").join(statements)


def _emptied(database: _Database) -> bool:
    """Empty a database, unless more than its rows was changed."""
    try:
        database.connection.execute(_OTHERS_END.encode())
    except psycopg.OperationalError:  # the test has ended every connection
        database.connection = _connect(database.dsn)
        database.connection.execute(_OTHERS_END.encode())
    if _catalogs(database.connection) != database.catalogs:
        return False
    database.connection.execute(database.emptying)
    return True
