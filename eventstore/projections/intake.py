"""Where a runner's batches come from: events that are brought here, or only how far the log is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from eventstore.core.backoff import delays
from eventstore.core.definition import Definition
from eventstore.core.errors import Unavailable
from eventstore.core.query import EventQuery
from eventstore.core.sql_projection import SqlProjection
from eventstore.core.streams import partition_of
from eventstore.projections.batch import Batch
from eventstore.store import EventStore

logger: Final = logging.getLogger("eventstore.projections")

BATCH: Final = 5_000
"""Most events of a batch, reached while catching up: at the head a batch is what has come."""
IDLE: Final = 0.1
"""Seconds until a checkpoint moves over events that are not the projection's."""
SPAN: Final = 10_000
"""Positions that a statement is given at once while it catches up."""


def intake_of(projection: Definition) -> type[Intake]:
    """Give the kind of intake that a projection needs."""
    return SpanIntake if isinstance(projection, SqlProjection) else Intake


class Intake:
    """Events of one partition. Use as `async with`.

    `interrupted` says whether to give what there is now.
    """

    def __init__(
        self,
        store: EventStore,
        projection: Definition,
        partition: int,
        *,
        after: int,
        epoch: int,
        interrupted: Callable[[], bool],
    ) -> None:
        self._store = store
        self._projection = projection
        self._partition = partition
        self._interrupted = interrupted
        self._after = after
        self._follower = store.follower(self._query, after=after, epoch=epoch, page=BATCH)

    @property
    def _query(self) -> EventQuery:
        return self._projection.query

    async def __aenter__(self) -> Intake:
        """Begin. Raises HistoryRewound if the log does not have that position in that epoch."""
        await self._follower.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._follower.__aexit__()

    @property
    def closed(self) -> bool:
        """Whether the store is being closed: nothing more will come."""
        return self._follower.closed

    async def next(self) -> Batch:
        """Give what comes next; wait for it. While the log cannot be read, try again."""
        waits = delays()
        while True:
            try:
                batch = await self._next()
            except Unavailable as error:
                if self._interrupted():
                    return Batch(self._after, self._after, [])
                logger.warning("%r cannot read the log: %s", self._projection, error)
                await asyncio.sleep(next(waits))
                continue
            if batch.upto > self._after or self.closed or self._interrupted():
                self._after = batch.upto
                return batch

    async def _next(self) -> Batch:
        events = await self._follower.next(IDLE)
        count, mine = self._projection.partitions, self._partition
        if count > 1:
            events = [event for event in events if partition_of(event.stream_name, count) == mine]
        return Batch(self._after, self._follower.position, events)


class SpanIntake(Intake):
    """Spans of the log of which no event is brought here, for a statement to read."""

    @property
    def _query(self) -> EventQuery:
        return EventQuery()

    async def __aenter__(self) -> SpanIntake:
        await super().__aenter__()
        self._head = (await self._store.head()).position
        return self

    async def _next(self) -> Batch:
        if self._head <= self._after:
            await self._follower.next(IDLE)  # wakes as soon as there is anything
            if self._follower.position > self._after:
                self._head = (await self._store.head()).position
        upto = max(self._after, min(self._head, self._after + SPAN))
        self._follower.position = upto
        return Batch(self._after, upto, None)
