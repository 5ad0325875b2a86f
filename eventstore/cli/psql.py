"""`eventstore psql`: psql on the store's database."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from eventstore.cli.options import DataDirOption, DsnOption
from eventstore.cli.where import Role, resolve_database
from eventstore.core.errors import EventStoreError


def psql(
    ctx: typer.Context,
    print_dsn: Annotated[
        bool,
        typer.Option("--print-dsn", help="Print a DSN for EventStore(dsn): as a worker logs in."),
    ] = False,
    admin: Annotated[
        bool,
        typer.Option("--admin", help="Log in as the local server's administrator."),
    ] = False,
    dsn: DsnOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Open psql on the store's database; every other option goes to psql.

    Without --dsn: that of the 'eventstore serve' that runs on this machine, as a
    login that may read, append and operate. --admin may do everything: whatever
    workers put into read tables then runs with an administrator's rights too.

    \b
    eventstore psql
    eventstore psql -c '\\d+ eventstore.events'
    eventstore psql -c "SELECT eventstore.append('order-1', 'OrderPlaced', '{}')"
    eventstore psql -At -c 'SELECT count(*) FROM eventstore.events'
    eventstore psql --admin -c 'SELECT eventstore.begin_epoch()'
    DSN=$(eventstore psql --print-dsn) python myapp.py
    """
    if print_dsn:
        role: Role = "admin" if admin else "worker"
        typer.echo(resolve_database(dsn, None, data_dir, os.environ, role=role).dsn)
        return
    role = "admin" if admin else "writer"
    database = resolve_database(dsn, None, data_dir, os.environ, role=role)
    program = _program(prefer_own=database.is_local)
    address, password = without_password(database.dsn)
    environment = dict(os.environ)
    if password is not None:  # a command line can be read by everyone on the machine
        environment["PGPASSWORD"] = password
    sys.stdout.flush()
    os.execve(program, [str(program), address, *ctx.args], environment)  # noqa: S606 - no shell is meant


def without_password(dsn: str) -> tuple[str, str | None]:
    """Take the password out of a DSN; give both."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = login.partition(":")
    if not colon:
        return dsn, None
    return urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}")), unquote(password)


def _program(*, prefer_own: bool) -> Path:
    """Find psql: the embedded server's own for that server, else the system's."""
    from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError  # noqa: PLC0415

    system = shutil.which("psql")
    if system is not None and not prefer_own:
        return Path(system)
    try:
        return EmbeddedPostgres(Path()).psql()
    except EmbeddedPostgresError as error:
        if system is not None:
            return Path(system)
        raise EventStoreError(
            f"there is no psql here ({error}); install PostgreSQL's client, e.g. "
            "apt install postgresql-client"
        ) from None
