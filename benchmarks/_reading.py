"""What the read benchmarks share: a filled log, and all of it read by the library and by hand."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

import asyncpg

from eventstore import Append, EventData, EventStore

from ._data import EVENT_TYPE, STREAMS, payload, stream_name
from ._report import Measurement

PAGE: Final = 500
"""Rows of one fetch by hand."""
_BATCH: Final = 500


async def fill(store: EventStore, events: int, *, streams: int = STREAMS) -> None:
    """Append so many events of 200 bytes, neighbours in different streams."""
    for low in range(0, events, _BATCH):
        numbers = range(low, min(low + _BATCH, events))
        await store.append_many(
            [Append(stream_name(n, streams), [EventData(EVENT_TYPE, payload(n))]) for n in numbers]
        )


async def read_library(store: EventStore, events: int) -> Measurement:
    """Read the log forward through EventStore.read, event by event, without decoding data."""
    count = 0
    started = perf_counter()
    async for _ in store.read(limit=events):
        count += 1
    return checked(Measurement(count, perf_counter() - started), events)


async def fetch_pages(
    connection: asyncpg.Connection[Any], statement: str, events: int
) -> Measurement:
    """Fetch the log forward by hand, each page from behind the last position of the one before."""
    count = position = 0
    started = perf_counter()
    while count < events:
        rows = await connection.fetch(statement, position, events + 1, PAGE)
        if not rows:
            break
        count += len(rows)
        position = rows[-1][0]
    return checked(Measurement(count, perf_counter() - started), events)


def checked(measurement: Measurement, events: int) -> Measurement:
    """Raise RuntimeError unless all events were read."""
    if measurement.events != events:
        raise RuntimeError(f"read {measurement.events} events, not {events}")
    return measurement
