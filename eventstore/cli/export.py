"""`eventstore export`: the log, or a part of it, as NDJSON."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from eventstore.cli.options import DataDirOption, DsnOption, SchemaOption, UrlOption, target_of
from eventstore.cli.output import counted, every, progress
from eventstore.cli.read import CategoryOption, TagOption, TypeOption, query_of
from eventstore.cli.target import Target, opened
from eventstore.core.errors import EventStoreError
from eventstore.core.query import EventQuery


def export(
    category: CategoryOption = None,
    event_type: TypeOption = None,
    tag: TagOption = None,
    after: Annotated[int | None, typer.Option(help="Only behind this position.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: standard output"),
    ] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write events as NDJSON, one JSON object a line, in the order of the log.

    A file has its name once it is complete; until then it ends in .part.
    'eventstore import' reads what this writes.

    \b
    eventstore export -o backup.ndjson
    eventstore export --category order | gzip > orders.ndjson.gz
    eventstore export --after 1200 -o since.ndjson
    """
    query = query_of(category, event_type, tag)
    target = target_of(dsn, url, schema, data_dir)
    try:
        count = asyncio.run(_export(target, query, after, output))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EventStoreError(
            f"cannot write {error.filename or output}: {error.strerror}"
        ) from None
    if output is not None:
        typer.echo(f"{counted(count, 'event')} in {output}", err=True)


@contextmanager
def _file(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif output.exists() and not output.is_file():  # /dev/null, a named pipe
        with output.open("wb") as file:
            yield file
    else:
        part = output.with_name(f"{output.name}.part")
        with part.open("wb") as file:
            yield file
        part.replace(output)


async def _export(target: Target, query: EventQuery, after: int | None, output: Path | None) -> int:
    from eventstore.client.wire import encode_event  # noqa: PLC0415

    async with opened(target) as store:
        head = (await store.head()).position
        first = after or 0
        count = 0
        with _file(output) as file, progress("exporting", max(head - first, 1)) as advance:
            async for event in store.read(query, after=after):
                file.write(encode_event(event).encode() + b"\n")
                count += 1
                if every(count):
                    advance(event.position - first, count)
        return count
