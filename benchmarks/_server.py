"""The database of a benchmark: an embedded PostgreSQL of its own, or a schema of a given one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate

from ._options import Options

SCHEMA: Final = "eventstore_bench"
_ROLES: Final = ("owner", "inline", "writer", "reader", "worker")


@dataclass(frozen=True, slots=True)
class Database:
    """Where an empty store is."""

    dsn: str
    schema: str


@contextmanager
def database(options: Options) -> Iterator[Database]:
    """Give an empty store; in the end nothing is left of it."""
    if options.dsn is not None:
        with _store_in(options.dsn, drop=options.drop) as store:
            yield store
        return
    with _room() as room, EmbeddedPostgres(room / "data") as server:
        dsn = server.dsn()
        migrate(dsn, schema=SCHEMA)
        yield Database(dsn, SCHEMA)


@contextmanager
def _room() -> Iterator[Path]:
    """Give a directory that the server's OS user can enter; below /tmp, for sockets' paths."""
    path = Path(tempfile.mkdtemp(prefix="eventstore-bench-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def _store_in(dsn: str, *, drop: bool) -> Iterator[Database]:
    if drop:
        _drop(dsn)
    elif _exists(dsn):
        raise SystemExit(f"there is a schema {SCHEMA} already: say --drop to drop it")
    try:
        migrate(dsn, schema=SCHEMA)
        yield Database(dsn, SCHEMA)
    finally:
        _drop(dsn)


def _exists(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (SCHEMA,))
        return found.rowcount > 0


def _drop(dsn: str) -> None:
    """Drop the schemas and the roles that its migration made."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for schema in (SCHEMA, f"{SCHEMA}_read"):
            connection.execute(
                sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
            )
        for role in _ROLES:
            # Another database of the cluster may have a schema of this name, with these roles.
            with contextlib.suppress(
                psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege
            ):
                connection.execute(
                    sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{SCHEMA}_{role}"))
                )
