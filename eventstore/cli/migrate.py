"""`eventstore migrate`: the database's schema, to the revision that this eventstore needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from eventstore.cli.options import DataDirOption, DsnOption, JsonOption, SchemaOption
from eventstore.cli.output import write_json
from eventstore.cli.where import resolve_database, schema_of
from eventstore.core.errors import EventStoreError
from eventstore.postgres.schema import (
    REQUIRED_REVISION,
    check_revision,
)
from eventstore.postgres.schema import migrate as migrate_schema

migrate_app = typer.Typer(
    name="migrate", invoke_without_command=True, no_args_is_help=False, add_completion=False
)


@migrate_app.callback()
def migrate(
    ctx: typer.Context,
    print_sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL of every migration; connect to nothing.")
    ] = False,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Bring the database to the revision that this eventstore needs.

    Safe to run again and by several at once. The user must be able to create
    roles, or be a member of <schema>_owner where an administrator made them.

    \b
    eventstore migrate --dsn postgresql://postgres@db/shop
    eventstore migrate --sql               what it runs on an empty database
    eventstore migrate current --dsn ...   which revision is installed
    eventstore migrate check --dsn ...     exit code 1 unless it is the needed one
    """
    if ctx.invoked_subcommand is not None:
        if print_sql or dsn or schema or data_dir:
            raise typer.BadParameter(f"put the options behind {ctx.invoked_subcommand!r}")
        return
    chosen = schema_of(schema, os.environ)
    if print_sql:
        with _translated():
            migrate_schema("", schema=chosen, sql_output=sys.stdout)
        return
    admin = resolve_database(dsn, schema, data_dir, os.environ).dsn
    before = _installed(admin, chosen)
    if before is not None and before > REQUIRED_REVISION:
        check_revision(before, schema=chosen)
    with _translated():
        migrate_schema(admin, schema=chosen)
    after = _installed(admin, chosen)
    done = "nothing to do" if before == after else f"was {before or 'empty'}"
    typer.echo(f"schema {chosen} is at revision {after} ({done})")


@migrate_app.command()
def current(
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the revision that is installed, and the one that this eventstore needs."""
    chosen = schema_of(schema, os.environ)
    installed = _installed(resolve_database(dsn, schema, data_dir, os.environ).dsn, chosen)
    if as_json:
        write_json({"schema": chosen, "installed": installed, "needed": REQUIRED_REVISION})
    else:
        typer.echo(f"schema {chosen}: installed {installed or 'none'}, needed {REQUIRED_REVISION}")


@migrate_app.command()
def check(
    dsn: DsnOption = None, schema: SchemaOption = None, data_dir: DataDirOption = None
) -> None:
    """Exit with 0 if the installed revision is the one needed, else with 1 and what to run."""
    chosen = schema_of(schema, os.environ)
    database = resolve_database(dsn, schema, data_dir, os.environ)
    check_revision(_installed(database.dsn, chosen), schema=chosen)
    typer.echo(f"schema {chosen} is at revision {REQUIRED_REVISION}, as needed")


def _installed(dsn: str, schema: str) -> str | None:
    from eventstore.sync import SyncEventStore  # noqa: PLC0415 - imports the driver

    store = SyncEventStore(dsn, schema=schema)
    try:
        return store.installed_revision()
    finally:
        store.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Make a migration's failure one line, with what PostgreSQL advises."""
    import psycopg  # noqa: PLC0415
    import sqlalchemy.exc  # noqa: PLC0415

    from eventstore.postgres.errors import translate  # noqa: PLC0415

    try:
        yield
    except (psycopg.Error, sqlalchemy.exc.DBAPIError) as error:
        cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        text = str(translate(cause or error))
        hint = cause.diag.message_hint if isinstance(cause, psycopg.Error) else None
        raise EventStoreError(f"not migrated: {text}" + (f"; {hint}" if hint else "")) from error
