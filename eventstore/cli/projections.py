"""`eventstore projections`: what projections do, how far they are, and what operators can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventstore.cli.asking import NameArgument, ask, ask_of
from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import counted, err, harmless, one_line, out, write_json
from eventstore.cli.projections_watch import NONE_YET, status_json, status_table, watch
from eventstore.cli.rebuild import drop, rebuild, switch
from eventstore.cli.target import Store
from eventstore.core.times import time_text

if TYPE_CHECKING:
    from eventstore.core.catalog import ParkedStream, ProjectionStatus

StreamArgument = Annotated[str, typer.Argument(metavar="STREAM", help="The parked stream.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, metavar="N", help="Default: the version that serves."),
]

projections_app = typer.Typer(name="projections", no_args_is_help=True, add_completion=False)


@projections_app.callback()
def projections() -> None:
    """See how far projections are, and operate them.

    \b
    eventstore projections list
    eventstore projections watch                 lag and rate, each second
    eventstore projections status orders         all of one, and what is parked
    eventstore projections wait orders --position 1200

    A worker runs them: eventstore worker myapp:app.
    """


@projections_app.command(name="list")
def list_(
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every version of every projection: state, checkpoint, lag, parked streams.

    \b
    eventstore projections list
    eventstore projections list --json | jq 'select(.lag_events > 0)'
    """
    found = ask(target_of(dsn, url, schema, data_dir), lambda store: store.projections.all())
    if as_json:
        for one in found:
            write_json(status_json(one))
    elif found:
        out().print(status_table(found))
    else:
        out().print(NONE_YET)


@projections_app.command()
def status(
    name: NameArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything of one projection, with the streams that are parked.

    \b
    eventstore projections status orders
    eventstore projections status orders --version 2 --json
    """

    async def both(store: Store) -> tuple[ProjectionStatus, list[ParkedStream]]:
        found = await store.projections.get(name, version=version)
        return found, await store.projections.parked(name, version=version)

    target = target_of(dsn, url, schema, data_dir)
    found, parked = ask_of(target, name, both, version=version)
    if as_json:
        write_json({**status_json(found), "parked": list(map(_parked_json, parked))})
        return
    _print_status(found)
    if parked:
        _print_parked(parked)


@projections_app.command()
def parked(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Default: all of them", show_default=False),
    ] = None,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the streams that are held back, each from the event on that could not be applied.

    \b
    eventstore projections parked
    eventstore projections parked orders --json | jq -r .stream
    """
    if name is None and version is not None:
        raise typer.BadParameter("--version goes with NAME")

    async def listed(store: Store) -> list[tuple[ProjectionStatus, ParkedStream]]:
        if name is not None:
            of = [await store.projections.get(name, version=version)]
        else:
            of = [one for one in await store.projections.all() if one.parked_streams]
        return [
            (one, stream)
            for one in of
            for stream in await store.projections.parked(one.projection, version=one.version)
        ]

    target = target_of(dsn, url, schema, data_dir)
    found = ask(target, listed) if name is None else ask_of(target, name, listed, version=version)
    if as_json:
        for of, stream in found:
            whose = {"projection": of.projection, "version": of.version} if name is None else {}
            write_json({**whose, **_parked_json(stream)})
    elif found:
        titles = [f"{of.projection} v{of.version}" for of, _ in found] if name is None else []
        _print_parked([stream for _, stream in found], titles)
    else:
        out().print("no stream is parked")


@projections_app.command()
def pause(
    name: NameArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Let a projection rest, on every worker, until it is resumed.

    \b
    eventstore projections pause orders
    eventstore projections pause orders --version 2
    """
    ask_of(
        target_of(dsn, url, schema, data_dir),
        name,
        lambda store: store.projections.pause(name, version=version),
        version=version,
    )
    out().print(f"{name} is paused; go on: eventstore projections resume {name}")


@projections_app.command()
def resume(
    name: NameArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Let a projection that is paused or stopped go on where it was.

    \b
    eventstore projections resume orders
    eventstore projections resume orders --version 2
    """
    ask_of(
        target_of(dsn, url, schema, data_dir),
        name,
        lambda store: store.projections.resume(name, version=version),
        version=version,
    )
    out().print(f"{name} goes on")


@projections_app.command()
def retry(
    name: NameArgument,
    stream: Annotated[
        str | None, typer.Argument(metavar="STREAM", help="The parked stream.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every parked stream.")] = False,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Try a parked stream again from the event that failed: say, after a fix of its handler.

    \b
    eventstore projections retry orders order-4
    eventstore projections retry orders --all

    Restart the workers with the fix first: the version stays the same.
    """
    if (stream is None) is not everything:
        raise typer.BadParameter("name a parked stream, or give --all")

    async def retried(store: Store) -> tuple[int, ProjectionStatus]:
        count = await store.projections.retry(name, stream, version=version)
        return count, await store.projections.get(name, version=version)

    target = target_of(dsn, url, schema, data_dir)
    count, found = ask_of(target, name, retried, version=version)
    marked = f"{counted(count, 'stream')} marked to be tried again"
    out().print(f"{marked}; see: eventstore projections status {name}")
    if count and found.state == "waiting":
        err().print(f"no worker runs {name}: start one, eventstore worker MODULE:NAME")
    elif count and found.state != "running":
        err().print(f"{name} is {found.state}: eventstore projections resume {name}")


@projections_app.command()
def skip(
    name: NameArgument,
    stream: StreamArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Leave out, for good, the event on which a parked stream waits, and go on behind it.

    \b
    eventstore projections skip orders order-4
    eventstore projections skip orders order-4 --version 2
    """
    position = ask_of(
        target_of(dsn, url, schema, data_dir),
        name,
        lambda store: store.projections.skip(name, stream, version=version),
        version=version,
    )
    out().print(f"the event at position {position} is left out of {name}")


@projections_app.command()
def wait(
    name: NameArgument,
    position: Annotated[
        int | None, typer.Option(min=0, help="A position of the log, as an append gave it.")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="A stream, with --revision.")] = None,
    revision: Annotated[int | None, typer.Option(min=0, help="A revision of it.")] = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="0: only look.")] = 5.0,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until a projection has applied a position, or a revision of a stream.

    Exit code 0: it has. 1: not in time, or in vain (paused, stopped, parked),
    and why.

    \b
    eventstore projections wait orders --position 1200
    eventstore projections wait orders --stream order-4 --revision 7 --timeout 30
    """
    if (position is None) is (stream is None) or (stream is None) is not (revision is None):
        raise typer.BadParameter("give --position, or --stream and --revision")
    reached = ask_of(
        target_of(dsn, url, schema, data_dir),
        name,
        lambda store: store.wait_for(
            name, position=position, stream=stream, revision=revision, timeout=timeout
        ),
    )
    if as_json:
        write_json({"projection": name, "position": reached, "reached": True})
    else:
        out().print(f"{name} is at position {reached}")


for command in (watch, rebuild, switch, drop):
    projections_app.command()(command)


def _parked_json(one: ParkedStream) -> dict[str, Any]:
    members = {**one._asdict(), "failed_at": time_text(one.failed_at)}
    return {"stream": members.pop("stream_name"), **members}


def _print_status(one: ProjectionStatus) -> None:
    from rich.table import Table  # noqa: PLC0415 - keeps --json and --help fast

    state = one.state + (f": {one_line(one.reason)}" if one.reason else "")
    behind = f"{counted(one.lag_events, 'event')}, {one.lag_seconds:.1f} s behind"
    moved = "never" if one.moved_at is None else one.moved_at.isoformat(" ", "seconds")
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (
        ("projection", f"{one.projection} version {one.version}"),
        ("serves", "yes" if one.serving else "no"),
        ("state", state),
        ("checkpoint", f"{one.checkpoint} of {one.head}: {behind}"),
        ("moved at", moved),
        ("partitions", f"{one.partitions}, {one.leased_partitions} of them run now"),
        ("tables", ", ".join(one.tables)),
        ("parked", counted(one.parked_streams, "stream")),
        ("skipped", counted(one.skipped_events, "event")),
    ):
        table.add_row(name, value)
    out().print(table)


def _print_parked(parked: Sequence[ParkedStream], whose: Sequence[str] = ()) -> None:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    titles = ("parked stream", "position", "tries", "state", "failed at", "error")
    for title in ("projection", *titles) if whose else titles:
        table.add_column(title, justify="right" if title in ("position", "tries") else "left")
    for number, one in enumerate(parked):
        table.add_row(
            *whose[number : number + 1],
            harmless(f"{one.stream_name}@{one.revision}"),
            str(one.position),
            str(one.attempts),
            one.state,
            one.failed_at.isoformat(" ", "seconds"),
            one_line(one.error),
        )
    out().print(table)
