"""Retrying parked streams: what one has held back is applied, in order, when somebody asks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Final, Protocol, TypeVar

from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery
from eventstore.projections.batch import Batch
from eventstore.projections.connection import Connection
from eventstore.projections.writer import Writer
from eventstore.store import EventStore

MOST_TRIES: Final = 3
"""How often an event, or a parked stream, is tried that seems to end its process."""
HELD_PAGE: Final = 500
"""Events of a parked stream that are tried again in one transaction."""

T = TypeVar("T")


class Crashed(Exception):
    """Handling an event has ended the process, again and again."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_TRIES} workers ended without a word while they tried this event")


class Persistently(Protocol):
    """Does something on a connection, again until what passes has passed."""

    async def __call__(self, act: Callable[[Connection], Awaitable[T]]) -> T: ...


class Retries:
    """The streams of one partition that are to be tried again."""

    def __init__(
        self,
        store: EventStore,
        writer: Writer,
        persistently: Persistently,
        on_moved: Callable[[int], None],
    ) -> None:
        """Plan to retry. `on_moved` is told the checkpoint after every part of what was held."""
        self._store = store
        self._writer = writer
        self._persistently = persistently
        self._on_moved = on_moved
        self._asked: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._asked)

    def ask(self, stream_name: str, position: int) -> None:
        """Try a stream, from the event at this position on."""
        self._asked[stream_name] = position

    async def one(self, checkpoint: int) -> None:
        """Go on in a stream from the event that failed, up to the checkpoint.

        After a crash event by event, so that the next one stands beside the event that causes it.
        """
        stream_name, position = self._asked.popitem()
        projection = self._writer.projection
        held = EventQuery(streams=[stream_name])
        scan = self._store.read(held, after=position - 1, before=checkpoint + 1)
        tries = await self._count(stream_name)
        page = HELD_PAGE if tries <= 1 else 1
        async with contextlib.aclosing(
            _chunks(scan, projection.query, stream_name, page)
        ) as chunks:
            async for batch in chunks:
                failed = await self._try(batch, checkpoint, tries)
                self._on_moved(checkpoint)
                if batch.then is None or (failed and projection.on_failure != "skip"):
                    return
                tries = await self._count(stream_name)

    async def _try(self, batch: Batch, checkpoint: int, tries: int) -> bool:
        """Apply a part of what is held back; give whether an event of it failed."""

        async def attempt(connection: Connection) -> bool:
            if tries > MOST_TRIES and batch.events:
                await self._writer.refuse_retried(connection, batch, checkpoint, Crashed())
                return True
            return bool(await self._writer.retry(connection, batch, checkpoint))

        return await self._persistently(attempt)

    async def _count(self, stream_name: str) -> int:
        return await self._persistently(
            lambda connection: self._writer.count_retry(connection, stream_name)
        )


async def _chunks(
    events: AsyncIterator[RecordedEvent], query: EventQuery, stream_name: str, page: int
) -> AsyncGenerator[Batch, None]:
    """Give a stream's events that the query means in batches, the last one with none to come."""
    chunk: list[RecordedEvent] = []

    def batch(then: RecordedEvent | None) -> Batch:
        after = chunk[0].position - 1 if chunk else 0
        upto = chunk[-1].position if chunk else 0
        return Batch(after, upto, chunk, stream_name, then)

    async for event in events:
        if not query.matches(event):
            continue
        if len(chunk) == page:
            yield batch(event)
            chunk = []
        chunk.append(event)
    yield batch(None)
