"""Running a reactor's handler without a database: part of `eventstore.testing`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from eventstore.core.append import Appended, encode_append
from eventstore.core.delivery import Delivery
from eventstore.core.errors import InvalidInput, NotFound
from eventstore.core.events import EncodedEvent, EventData, RecordedEvent, encode_event
from eventstore.core.reactor import Reactor
from eventstore.core.readtables import DEFAULT_ROWS, TablePage
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.reactors import Context

if TYPE_CHECKING:
    from eventstore.store import EventStore
    from eventstore.testing import Outcome

_rows: Final = msgspec.json.Encoder(decimal_format="number")


def react(
    reactor: Reactor, event: RecordedEvent, *read_tables: Outcome, attempt: int = 1
) -> Reacted:
    """Let a reactor handle an event. What the handler raises is raised.

    `read_tables` are what `context.store.projections.rows` finds:
    `react(letters, placed, given(contacts, [registered]))`, in no order. Nothing is stored: what it
    appends is recorded, whatever revision it expects. The same event has the same idempotency key
    each time; `attempt` is how often it has been handed out.

    It runs an event loop of its own, so call it from a test that is no coroutine. Raises
    InvalidInput for an event that the reactor is not for.
    """
    if not isinstance(event, RecordedEvent):
        raise InvalidInput(
            f"{reactor.name} handles one event, as event('order-1', 'OrderPlaced'): {event!r:.60}"
        )
    if not reactor.query.matches(event):
        raise InvalidInput(f"{reactor.name} is not for {event.event_type} of {event.stream_name}")
    recorder = _Recorder(read_tables)
    until = event.recorded_at + timedelta(seconds=reactor.deadline)
    delivery = Delivery(f"{max(event.position, 1)}-1", attempt, until, event)
    context = Context(cast("EventStore", recorder), reactor, delivery)
    asyncio.run(reactor.handler_of(event.event_type)(event, context))
    return Reacted(recorder.appended)


class Reacted:
    """What a reactor has done: `appended` is its events by stream, in order, with their ids."""

    def __init__(self, appended: dict[str, list[EventData]]) -> None:
        self.appended = appended

    def then(self, appended: Mapping[str, EventData | Sequence[EventData]]) -> Reacted:
        """Expect these events by stream, and no other: their types, data and tags.

        Raises AssertionError with what differs.
        """
        wanted = {
            stream: [events] if isinstance(events, EventData) else list(events)
            for stream, events in appended.items()
        }
        differences = [
            f"  {stream}:\n    expected {_shown(wanted.get(stream))}"
            f"\n    found    {_shown(self.appended.get(stream))}"
            for stream in {**wanted, **self.appended}
            if _compared(wanted.get(stream)) != _compared(self.appended.get(stream))
        ]
        if differences:
            raise AssertionError("\n".join(["it appends something else:", *differences]))
        return self


class _Recorder:
    """What a handler sees of a store: read tables as they are given, and appends."""

    def __init__(self, read_tables: Sequence[Outcome]) -> None:
        self.appended: dict[str, list[EventData]] = {}
        self.projections = SimpleNamespace(rows=self._rows)
        self._read_tables = {one.projection.name: one for one in read_tables}
        self._position = 0

    async def append(
        self,
        stream_name: str,
        events: Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
    ) -> Appended:
        encode_append(stream_name, events, expected_revision)  # or the store would not take it
        stream = self.appended.setdefault(stream_name, [])
        first = len(stream)
        stream += events
        self._position += len(events)
        ids = tuple(str(event.event_id) for event in events)
        return Appended(stream_name, first, len(stream) - 1, self._position, ids)

    async def _rows(
        self,
        projection: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        limit: int = DEFAULT_ROWS,
        position: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - as that of a store
    ) -> TablePage:
        try:
            outcome = self._read_tables[projection]
        except KeyError:
            raise NotFound(f"give react() the read tables of {projection!r}") from None
        if outcome.failures:
            raise outcome.failures[0].error
        found = [
            row
            for row in outcome.rows(table).values()
            if all(row[column] == value for column, value in (where or {}).items())
        ]
        return TablePage(_rows.encode(found[:limit]).decode(), 0, None)


def _compared(events: Sequence[EventData] | None) -> list[tuple[object, ...]]:
    return [(one.event_type, json.loads(one.data), one.tags) for one in map(_encoded, events or ())]


def _encoded(event: EventData) -> EncodedEvent:
    return encode_event(event)


def _shown(events: Sequence[EventData] | None) -> str:
    shown = [f"{one.event_type} {one.data} {sorted(one.tags) or ''}" for one in events or ()]
    return ", ".join(one.rstrip() for one in shown) or "nothing"
