"""`eventstore consumers`: what consumer groups do, how far they are, and what operators can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventstore.cli import groups
from eventstore.cli.asking import ask
from eventstore.cli.consumer_tables import print_groups, print_parked, print_status
from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import harmless, out, write_json
from eventstore.cli.read import CategoryOption, TagOption, TypeOption, query_of
from eventstore.cli.settling import GroupArgument, ack, drop, nack, receive, replay
from eventstore.cli.target import Store
from eventstore.core.times import time_text

if TYPE_CHECKING:
    from eventstore.core.delivery import GroupStatus, ParkedDelivery

consumers_app = typer.Typer(name="consumers", no_args_is_help=True, add_completion=False)


@consumers_app.callback()
def consumers() -> None:
    """Make consumer groups, see how far they are, and operate them.

    \b
    eventstore consumers create emails --type OrderPlaced
    eventstore consumers list
    eventstore consumers status emails           all of one, and what is parked
    eventstore consumers replay emails --all
    """


@consumers_app.command(name="list")
def list_(
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every consumer group: lag, buffered, in flight, parked, held, and how many run it.

    \b
    eventstore consumers list
    eventstore consumers list --json | jq 'select(.parked > 0)'
    """
    found = ask(target_of(dsn, url, schema, data_dir), lambda store: store.consumers.all())
    if as_json:
        for one in found:
            write_json(_status_json(one))
    elif found:
        print_groups(found)
    else:
        out().print("no consumer group yet; make one: eventstore consumers create NAME")


@consumers_app.command()
def status(
    name: GroupArgument,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything of one consumer group: who runs it, who holds what, and what is parked.

    \b
    eventstore consumers status emails
    eventstore consumers status emails --json
    """

    async def both(store: Store) -> tuple[GroupStatus, list[ParkedDelivery]]:
        return await store.consumers.get(name), await store.consumers.parked(name)

    found, parked = ask(target_of(dsn, url, schema, data_dir), both)
    if as_json:
        write_json({**_status_json(found), "parked_deliveries": list(map(_parked_json, parked))})
        return
    print_status(found)
    if parked:
        print_parked(parked)


@consumers_app.command()
def create(
    name: GroupArgument,
    category: CategoryOption = None,
    event_type: TypeOption = None,
    tag: TagOption = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="POSITION|head", help="Only events after it; when the group is made. Default: 0"
        ),
    ] = None,
    ordered: Annotated[
        bool | None,
        typer.Option(
            "--ordered/--unordered",
            help="In order per stream, or as fast as it goes. Default: ordered",
        ),
    ] = None,
    buffer: Annotated[int | None, typer.Option(help="How many may wait. Default: 200")] = None,
    lease: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long a member has a delivery. Default: 30"),
    ] = None,
    retries: Annotated[
        int | None, typer.Option(help="How often before an event is parked. Default: 5")
    ] = None,
    backoff: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Before the first retry; then doubled. Default: 1"),
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option(help="A projection that has to have applied an event.")
    ] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a consumer group, or change one: all but its ordering.

    Of a group that is there, what is not given stays as it is.
    --category, --type and --tag are given together: they replace its query.

    \b
    eventstore consumers create emails --type OrderPlaced --after customers
    eventstore consumers create emails --buffer 500
    eventstore consumers create audit --start head --unordered --buffer 1000
    """
    if start not in (None, "head") and not start.isdecimal():
        raise typer.BadParameter("--start is a position, or head")
    given = {
        "query": query_of(category, event_type, tag) if category or event_type or tag else None,
        "start": int(start) if start and start != "head" else start,
        "ordering": None if ordered is None else "stream" if ordered else "none",
        "buffer": buffer,
        "lease": lease,
        "retries": retries,
        "backoff": backoff,
        "after": after,
    }
    created = ask(
        target_of(dsn, url, schema, data_dir), lambda store: groups.create(store, name, given)
    )
    for line in groups.told(name, created):
        typer.echo(harmless(line))
    if start is not None and not created.made:
        typer.echo("--start counts only when a group is made", err=True)


@consumers_app.command()
def delete(
    name: GroupArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Remove a consumer group with all that it has not delivered yet.

    One that workers run as their reactor stays: end them first.

    \b
    eventstore consumers delete emails
    eventstore consumers delete emails --yes
    """
    if not yes:
        typer.confirm(f"Remove {name} with all that it has not delivered yet?", abort=True)
    ask(target_of(dsn, url, schema, data_dir), lambda store: store.consumers.delete(name))
    out().print(f"{name} is removed")


@consumers_app.command()
def parked(
    name: GroupArgument,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the events that are set aside, each with the reason.

    \b
    eventstore consumers parked emails
    eventstore consumers parked emails --json | jq -r .reason
    """
    found = ask(target_of(dsn, url, schema, data_dir), lambda store: store.consumers.parked(name))
    if as_json:
        for one in found:
            write_json(_parked_json(one))
    elif found:
        print_parked(found)
    else:
        out().print("nothing is parked")


for command in (receive, ack, nack, replay, drop):
    consumers_app.command()(command)


def _status_json(one: GroupStatus) -> dict[str, Any]:
    return {
        **one._asdict(),
        "query": json.loads(one.query.to_json()),
        "created_at": time_text(one.created_at),
    }


def _parked_json(one: ParkedDelivery) -> dict[str, Any]:
    members = {**one._asdict(), "parked_at": time_text(one.parked_at)}
    return {
        "position": members.pop("position"),
        "stream": members.pop("stream_name"),
        **members,
    }
