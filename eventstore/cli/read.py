"""`eventstore read`: events of a stream or of the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import event_printer
from eventstore.cli.target import Store, Target, opened
from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery
from eventstore.core.reads import Direction

CategoryOption = Annotated[
    list[str] | None, typer.Option(help="Streams of this category; repeated: any of them.")
]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", help="Events of this type; repeated: any of them.")
]
TagOption = Annotated[
    list[str] | None, typer.Option(help="Events with this tag; repeated: all of them.")
]


def read(
    stream: Annotated[
        str | None,
        typer.Argument(metavar="STREAM", help="Default: the whole log", show_default=False),
    ] = None,
    category: CategoryOption = None,
    event_type: TypeOption = None,
    tag: TagOption = None,
    after: Annotated[
        int | None, typer.Option(help="Only behind this position (of a stream: revision).")
    ] = None,
    before: Annotated[
        int | None, typer.Option(help="Only before this position (of a stream: revision).")
    ] = None,
    backward: Annotated[bool, typer.Option("--backward", help="Newest first.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=0, help="At most so many. Default: all there are now")
    ] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print events, one a line.

    \b
    eventstore read order-1
    eventstore read --backward --limit 10
    eventstore read --category order --type OrderPlaced --tag customer:7
    eventstore read --after 1200 --json | jq .data
    """
    if stream is not None and (category or event_type or tag):
        raise typer.BadParameter(
            "--category, --type and --tag filter the log; leave out STREAM to use them"
        )
    query = query_of(category, event_type, tag)
    target = target_of(dsn, url, schema, data_dir)
    direction: Direction = "backward" if backward else "forward"

    def events(store: Store) -> AsyncIterator[RecordedEvent]:
        if stream is not None:
            return store.read_stream(
                stream, after=after, before=before, direction=direction, limit=limit
            )
        return store.read(query, after=after, before=before, direction=direction, limit=limit)

    asyncio.run(_print(target, events, as_json=as_json))


def query_of(
    category: list[str] | None, event_type: list[str] | None, tag: list[str] | None
) -> EventQuery:
    """Give the query that these options mean."""
    try:
        return EventQuery(categories=category or (), types=event_type or (), tags=tag or ())
    except InvalidInput as fault:
        raise typer.BadParameter(str(fault)) from None


async def _print(
    target: Target, events: Callable[[Store], AsyncIterator[RecordedEvent]], *, as_json: bool
) -> None:
    async with opened(target) as store:
        show = event_printer(as_json=as_json)
        async for event in events(store):
            show(event)
