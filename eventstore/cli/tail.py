"""`eventstore tail`: the last events, and with -f every event as it comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import ending_with_the_reader, event_printer
from eventstore.cli.read import CategoryOption, TagOption, TypeOption
from eventstore.cli.target import Store, Target, hide_passwords, opened
from eventstore.core.errors import EventStoreError, HistoryRewound, InvalidInput, Unavailable
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery

DEFAULT_LAST: Final = 10
MOST_LAST: Final = 10_000
"""The last events are read backwards, so they are held in memory to be printed forwards."""


def tail(
    stream: Annotated[
        str | None,
        typer.Argument(metavar="STREAM", help="Default: the whole log", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with every event as it comes.")
    ] = False,
    last: Annotated[
        int | None,
        typer.Option("-n", "--last", min=0, max=MOST_LAST, help="So many of the last. Default: 10"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="start|head|POSITION",
            help="Instead of the last: everything, only what is to come, or what is behind a "
            "position of the log.",
        ),
    ] = None,
    category: CategoryOption = None,
    event_type: TypeOption = None,
    tag: TagOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the last events, one a line, and with -f every event as it comes.

    \b
    eventstore tail -n 20
    eventstore tail -f --category order --type OrderPlaced
    eventstore tail -f order-1 --from start
    eventstore tail -f --from 1200 --json | jq .data

    With -f it reconnects by itself, and no event is left out or repeated.
    Ctrl-C ends it.
    """
    if last is not None and start is not None:
        raise typer.BadParameter("-n and --from both say where to begin; give one of them")
    try:
        query = EventQuery(
            streams=() if stream is None else (stream,),
            categories=category or (),
            types=event_type or (),
            tags=tag or (),
        )
    except InvalidInput as fault:
        raise typer.BadParameter(str(fault)) from None
    beginning = _beginning(start, DEFAULT_LAST if last is None else last)
    target = target_of(dsn, url, schema, data_dir)
    try:
        asyncio.run(_tail(target, query, beginning, follow=follow, as_json=as_json))
    except KeyboardInterrupt:
        if not follow:  # that ends by itself, so this was before its end
            raise


class Beginning(NamedTuple):
    """Where to begin: with so many of the last events, or behind a position."""

    last: int
    after: int | None


def _beginning(start: str | None, last: int) -> Beginning:
    if start is None:
        return Beginning(last, None)
    if start == "head":
        return Beginning(0, None)
    if start == "start":
        return Beginning(0, 0)
    if start.isascii() and start.isdecimal():
        return Beginning(0, int(start))
    raise typer.BadParameter(f"--from is 'start', 'head' or a position, 0 or more: {start!r}")


async def _tail(
    target: Target, query: EventQuery, beginning: Beginning, *, follow: bool, as_json: bool
) -> None:
    show = event_printer(as_json=as_json, live=True)
    async with opened(target) as store:
        head = await store.head()
        after = beginning.after
        if after is None:
            for event in await _last(store, query, head.position, beginning.last):
                show(event)
            after = head.position
        if after > head.position:
            raise InvalidInput(f"--from {after}: the log ends at position {head.position}")
        if follow:
            with ending_with_the_reader():
                await _follow(store, query, Line(target, after), head.epoch, show)
        else:
            async for event in store.read(query, after=after, before=head.position + 1):
                show(event)


async def _last(store: Store, query: EventQuery, head: int, count: int) -> list[RecordedEvent]:
    newest_first = store.read(query, before=head + 1, direction="backward", limit=count)
    return [event async for event in newest_first][::-1]


async def _follow(
    store: Store, query: EventQuery, line: Line, epoch: int, show: Callable[[RecordedEvent], None]
) -> None:
    # What the library logs of a lost line is told by `line`.
    logging.getLogger("eventstore").addHandler(logging.NullHandler())
    try:
        async for event in store.follow(
            query, after=line.position, epoch=epoch, on_lost=line.lost, on_back=line.back
        ):
            line.back()  # an event may be faster than the news
            show(event)
            line.position = event.position
    except HistoryRewound as rewound:
        raise EventStoreError(
            f"{rewound}. What was printed after position {rewound.head} may be gone; "
            "begin anew: eventstore tail -f --from start"
        ) from rewound


class Line:
    """The line to the log: tells people once that it is lost, and that it is back."""

    def __init__(self, target: Target, position: int) -> None:
        """`position` is the one behind which events come next; it moves on with them."""
        self.position = position
        self._title = target.title
        self._lost_at: float | None = None

    def lost(self, error: Unavailable) -> None:
        """Tell that the line is lost, if that is new."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            _say(
                f"lost {self._title} ({error}); "
                f"reconnecting by itself, to go on after position {self.position}"
            )

    def back(self) -> None:
        """Tell that the line is back, if it was lost."""
        if self._lost_at is not None:
            away = time.monotonic() - self._lost_at
            self._lost_at = None
            _say(f"back after {away:.1f} s; going on after position {self.position}")


def _say(text: str) -> None:
    typer.echo(f"eventstore: {hide_passwords(text)}", err=True)
