"""The embedded default: a private PostgreSQL with the store's database in it, kept running."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from eventstore.postgres.errors import translate
from eventstore.postgres.schema import (
    DEFAULT_SCHEMA,
    REQUIRED_REVISION,
    check_revision,
    check_schema_name,
    migrate,
)

logger: Final = logging.getLogger("eventstore.local")

DATABASE: Final = "eventstore"
MOST_CRASHES: Final = 5
"""Crashes of the server within a minute after which it is not started again."""


class LocalDatabase:
    """The store's database on an embedded server. `start`, use `service_dsn`, `stop`.

    The service connects as a login role that may append and read and nothing else, a worker as one
    that may run projections. A server that dies (kill -9, out of memory) is started again; callers
    see a short outage.
    """

    def __init__(
        self,
        server: EmbeddedPostgres,
        *,
        schema: str = DEFAULT_SCHEMA,
        on_failure: Callable[[str], None] = logger.critical,
    ) -> None:
        self.server = server
        self._schema = check_schema_name(schema)
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._turn = threading.Lock()

    @property
    def admin_dsn(self) -> str:
        """For people and migrations: the superuser of this private server."""
        return self.server.dsn(dbname=DATABASE)

    @property
    def service_dsn(self) -> str:
        """For the service: may append and read."""
        return self.server.dsn(user=f"{self._schema}_service", dbname=DATABASE)

    @property
    def worker_dsn(self) -> str:
        """For workers: may read, run projections and write read tables."""
        return self.server.dsn(user=f"{self._schema}_runner", dbname=DATABASE)

    def start(self) -> None:
        """Start the server, make and migrate the database if needed, then watch over it.

        Raises EmbeddedPostgresError or SchemaMismatch with what is wrong and what to do.
        """
        self.server.start()
        try:
            self._prepare()
        except psycopg.Error as error:  # PGOPTIONS and the like are taken by every client
            self.server.stop()
            raise EmbeddedPostgresError(
                f"the private PostgreSQL runs, but cannot be used: {translate(error)}; look at "
                "the PG* variables of the environment"
            ) from error
        except BaseException:
            self.server.stop()
            raise
        threading.Thread(target=self._watch, name="postgres supervisor", daemon=True).start()

    def stop(self) -> None:
        """Stop watching, then the server, in order."""
        self._stopping.set()
        with self._turn:  # not in the middle of a restart
            self.server.stop()

    def _prepare(self) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        # Importing alembic costs half a second, so it is only asked when there is work for it.
        installed = self._installed_revision()
        if installed is not None and installed >= REQUIRED_REVISION:
            check_revision(installed, schema=self._schema)
        else:
            logging.getLogger("alembic").setLevel(logging.WARNING)
            migrate(self.admin_dsn, schema=self._schema)
            logger.info("migrated schema %s to revision %s", self._schema, REQUIRED_REVISION)
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            for login, group in (("service", "writer"), ("runner", "worker")):
                names = f"{self._schema}_{login}", f"{self._schema}_{group}"
                known = connection.execute(
                    "SELECT 1 FROM pg_roles WHERE rolname = %s", names[:1]
                ).fetchone()
                if known is None:
                    connection.execute(
                        sql.SQL("CREATE ROLE {} LOGIN IN ROLE {}").format(
                            *map(sql.Identifier, names)
                        )
                    )

    def _installed_revision(self) -> str | None:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            table = f"{self._schema}.alembic_version"
            if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
                return None
            query = sql.SQL("SELECT version_num FROM {}").format(
                sql.Identifier(self._schema, "alembic_version")
            )
            row = connection.execute(query).fetchone()
            return None if row is None else str(row[0])

    def _watch(self) -> None:
        crashes: deque[float] = deque(maxlen=MOST_CRASHES)
        while True:
            code = self.server.wait()
            with self._turn:
                if self._stopping.is_set():
                    return
                crashes.append(time.monotonic())
                if len(crashes) == MOST_CRASHES and crashes[-1] - crashes[0] < 60:
                    self._on_failure(f"PostgreSQL has crashed {MOST_CRASHES} times in a minute")
                    return
                logger.error("PostgreSQL has ended by itself (%s); starting it again", code)
                try:
                    self.server.restart_after_crash()
                except EmbeddedPostgresError as error:
                    self._on_failure(f"PostgreSQL cannot be started again: {error}")
                    return
                logger.warning("PostgreSQL is back")
