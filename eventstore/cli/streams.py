"""`eventstore streams`: which streams there are."""

from __future__ import annotations

import asyncio
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
from eventstore.cli.output import write_json, write_line
from eventstore.cli.target import Target, opened

PAGE = 1_000


def streams(
    prefix: Annotated[str, typer.Option(help="Names that begin so.", show_default=False)] = "",
    category: Annotated[str | None, typer.Option(help="Streams of this category.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many. Default: all")] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List streams in name order, with the revision of their last event.

    \b
    eventstore streams
    eventstore streams --category order --limit 20
    eventstore streams --prefix order-2026 --json
    """
    target = target_of(dsn, url, schema, data_dir)
    asyncio.run(_list(target, prefix, category, limit, as_json=as_json))


async def _list(
    target: Target, prefix: str, category: str | None, limit: int | None, *, as_json: bool
) -> None:
    after = ""
    left = limit
    async with opened(target) as store:
        while left != 0:
            size = PAGE if left is None else min(PAGE, left)
            page = await store.list_streams(
                prefix=prefix, category=category, after=after, limit=size
            )
            for name, revision in page:
                if as_json:
                    write_json({"stream": name, "revision": revision})
                else:
                    write_line(f"{revision:>8}  {name}")
            if len(page) < size:
                return
            after = page[-1].stream_name
            left = None if left is None else left - len(page)
