"""`eventstore projections rebuild|switch|drop`: a new version of a projection, without downtime."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from eventstore.cli.building import Wanted, build, definition_of, find, print_switched
from eventstore.cli.loading import load_app
from eventstore.cli.local import admin_dsn
from eventstore.cli.options import DataDirOption
from eventstore.cli.output import out
from eventstore.postgres.schema import DEFAULT_SCHEMA, check_schema_name

if TYPE_CHECKING:
    from eventstore.core.catalog import ProjectionStatus
    from eventstore.store import EventStore

T = TypeVar("T")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The projection.")]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", help="Which one.", min=1)]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="DSN",
        help="The database: postgresql://user@host/database. Env: EVENTSTORE_DSN. "
        "Default: that of the running 'eventstore serve'",
        rich_help_panel="Where",
    ),
]
SchemaNameOption = Annotated[
    str,
    typer.Option(
        "--schema",
        envvar="EVENTSTORE_SCHEMA",
        help="One store is one schema.",
        rich_help_panel="Where",
    ),
]


class Where(NamedTuple):
    """The store's database."""

    dsn: str
    schema: str


def rebuild(
    name: NameArgument,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Default: the newest one that there is."),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Run it here, as your App defines it."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew with the first event.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Then compare it with the version that serves.")
    ] = False,
    switch: Annotated[bool, typer.Option("--switch", help="Then let it serve.")] = False,
    dsn: DatabaseOption = None,
    schema: SchemaNameOption = DEFAULT_SCHEMA,
    data_dir: DataDirOption = None,
) -> None:
    """Build a new version of a projection beside the one that serves, and watch it.

    \b
    eventstore projections rebuild orders --app myapp:app --compare
    eventstore projections rebuild orders --switch     that workers build

    With --app it runs here until it has caught up; without, workers have to
    run it. Stop it and start it again: it goes on where it was. Meanwhile the
    other version serves. Only read tables are written.
    """
    definition = None if app is None else definition_of(load_app(app), name, version)
    wanted = Wanted(name, version, definition, restart, compare, switch)
    _on(_where(dsn, schema, data_dir), lambda store, dsn: build(store, dsn, wanted))


def switch(
    name: NameArgument,
    version: VersionArgument,
    even_if_behind: Annotated[
        bool,
        typer.Option(
            "--even-if-behind",
            help="As it is, also if it has not caught up, is paused or holds streams back: readers "
            "may see older rows than before.",
        ),
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until it is where the other one is.")
    ] = 10.0,
    dsn: DatabaseOption = None,
    schema: SchemaNameOption = DEFAULT_SCHEMA,
    data_dir: DataDirOption = None,
) -> None:
    """Let another version serve under the plain table names, or the old one again.

    \b
    eventstore projections switch orders 2
    eventstore projections switch orders 1        and back

    Readers notice nothing: tables change in one transaction, and whoever
    waited for an event finds it. The version that served goes on beside it,
    as long as workers run it.
    """

    async def ask(store: EventStore, _: str) -> None:
        before = await store.projections.switch(
            name, version, even_if_behind=even_if_behind, timeout=timeout
        )
        print_switched(name, version, before)

    _on(_where(dsn, schema, data_dir), ask)


def drop(
    name: NameArgument,
    version: VersionArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dsn: DatabaseOption = None,
    schema: SchemaNameOption = DEFAULT_SCHEMA,
    data_dir: DataDirOption = None,
) -> None:
    """Remove a version that does not serve, with its tables.

    \b
    eventstore projections drop orders 1

    Take it out of your App as well: a worker that starts with it builds it
    anew.
    """
    where = _where(dsn, schema, data_dir)

    async def look(store: EventStore, _: str) -> ProjectionStatus:
        return await find(store, name, version)

    async def ask(store: EventStore, _: str) -> None:
        await store.projections.drop(name, version)

    found = _on(where, look)
    if not yes and not found.serving:  # if it serves, it is refused below
        tables = ", ".join(f"{table}__v{version}" for table in found.tables)
        typer.confirm(f"Drop {name} version {version} with {tables}?", abort=True, err=True)
    _on(where, ask)
    out().print(f"{name} version {version} is dropped")


def _where(dsn: str | None, schema: str, data_dir: Path | None) -> Where:
    return Where(admin_dsn(dsn, data_dir, os.environ), check_schema_name(schema))


def _on(where: Where, work: Callable[[EventStore, str], Awaitable[T]]) -> T:
    """Do something with the store and its DSN; SIGTERM ends it in order, as Ctrl-C does."""

    async def main() -> T:
        from eventstore.store import EventStore  # noqa: PLC0415 - imports the driver

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio.run made it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with EventStore(where.dsn, schema=where.schema) as store:
            return await work(store, where.dsn)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
