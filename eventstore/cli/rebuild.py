"""`eventstore projections rebuild|switch|drop`: a new version of a projection, without downtime."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from eventstore.cli.asking import NameArgument, ask, ask_of, run, there_are
from eventstore.cli.building import (
    Wanted,
    build_by_workers,
    build_here,
    definition_of,
    print_switched,
)
from eventstore.cli.loading import load_app
from eventstore.cli.options import DataDirOption, DsnOption, SchemaOption, UrlOption, target_of
from eventstore.cli.output import err, out
from eventstore.cli.where import resolve_database, schema_of
from eventstore.core.catalog import no_projection
from eventstore.core.errors import NotFound, ProjectionRefused

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", help="Which one.", min=1)]


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
    switch: Annotated[
        bool,
        typer.Option("--switch", help="Then let it serve; with --compare, unless it differs."),
    ] = False,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Build a new version of a projection beside the one that serves, and watch it.

    \b
    eventstore projections rebuild orders --app myapp:app --compare
    eventstore projections rebuild orders --switch     that workers build

    With --app it runs here until it has caught up, on the database itself;
    without, workers have to run it. Stop it and start it again: it goes on
    where it was. Meanwhile the other version serves. Only read tables are
    written.
    """
    wanted = Wanted(name, version, restart, compare, switch)
    if app is None:
        ask(target_of(dsn, url, schema, data_dir), lambda store: build_by_workers(store, wanted))
        return
    if url is not None:
        raise typer.BadParameter("with --app it runs here, on the database: give --dsn, not --url")
    definition = definition_of(load_app(app), name, version)
    database = resolve_database(dsn, schema, data_dir, os.environ, role="worker")
    run(build_here(database.dsn, schema_of(schema, os.environ), definition, wanted))


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
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
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

    before = ask_of(
        target_of(dsn, url, schema, data_dir),
        name,
        lambda store: store.projections.switch(
            name, version, even_if_behind=even_if_behind, timeout=timeout
        ),
        version=version,
    )
    print_switched(name, version, before)


def drop(
    name: NameArgument,
    version: Annotated[
        int | None,
        typer.Argument(metavar="[VERSION]", help="Default: all of them.", min=1),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Remove a version that does not serve, or a whole projection that no worker runs.

    \b
    eventstore projections drop orders 1
    eventstore projections drop orders             every version, what serves too

    Its read tables go with it. Take it out of your App as well: a worker
    that starts with it builds it anew. Workers that run a version leave it
    alone then; a projection as a whole goes only if none runs it, since what
    serves goes too.
    """
    target = target_of(dsn, url, schema, data_dir)
    known = ask(target, lambda store: store.projections.all())
    found = [one for one in known if one.projection == name and version in (None, one.version)]
    if not found:
        raise NotFound(f"{no_projection(name, version)}; {there_are(known)}")
    if version is not None and found[0].serving:
        raise ProjectionRefused(
            f"{name} version {version} serves; let another version serve first: "
            f"eventstore projections switch {name} VERSION"
        )
    what = f"{name} version {version}" if version else f"projection {name}"
    if not yes:
        tables = ", ".join(
            table if one.serving else f"{table}__v{one.version}"
            for one in found
            for table in one.tables
        )
        typer.confirm(f"Drop {what} with {tables}?", abort=True, err=True)
    ask(target, lambda store: store.projections.drop(name, version))
    out().print(f"{what} is dropped")
    if any(one.leased_partitions for one in found):
        err().print(
            f"a worker was running {what}: it leaves it alone, and the next one that starts with "
            "it builds it anew; take it out of the App"
        )
