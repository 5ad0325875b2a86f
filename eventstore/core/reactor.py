"""A reactor: code with side effects, run on events. What it is, without running it."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, Literal, TypeAlias, TypedDict, TypeVar, Unpack, get_args

from eventstore.core.definition import check_options, is_projection_name
from eventstore.core.delivery import MOST_RECEIVED, Ordering
from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.functions import check_function, described, of
from eventstore.core.query import EventQuery, QueryItem, names

Handler: TypeAlias = Callable[[RecordedEvent, Any], Coroutine[Any, Any, None]]
"""`async (event, context)`; what it raises fails the event, which is tried again."""
LONGEST_BACKOFF: Final = 3_600.0
"""Seconds between two attempts at most."""
MOST_CONCURRENT: Final = MOST_RECEIVED // 2
"""Events that one worker handles at a time, at most: as many are in hand besides."""

H = TypeVar("H", bound=Handler)

_NAMESPACE: Final = uuid.UUID("a3b6f7ce-4d0f-5b8e-9c55-6f0f5d1c2f64")
"""Of the ids that reactors derive. Never to be changed: they would append again."""


class Dimensions(TypedDict, total=False):
    """Which events, beside their types: see `EventQuery`."""

    streams: Iterable[str]
    categories: Iterable[str]
    tags: Iterable[str]


class Reactor:
    """Runs a handler on each event that it is for, at least once: sends the email, calls the API.

    A worker runs it as the consumer group `name` (a-z, 0-9 and _, at most 41 characters), which
    any number of workers share. Which events: the types of its handlers, in these `streams`,
    `categories` and with these `tags` (default: any). `start` is the position after which a new
    reactor begins: "head" (default) is the log's at that time, 0 the beginning of history. If its
    types change, those of the worker that has started last count, for what is not taken into the
    buffer yet.

    `concurrency` (default 4, at most 500) is how many events one worker handles at a time, `buffer`
    (default 200) how many wait, at most, in the group. With `ordering` "stream" (default) an event
    is not handled before all earlier ones of its stream are done with; with "none" as they come.
    `after` names projections: an event is handled once each of them has applied it, so a read
    table that the handler looks at is at least as new as the event.

    A handler has `deadline` seconds (default 30). One that raises or is late is tried again,
    `retries` times (default 5), after `backoff` seconds (default 1) and twice that each time;
    then the event is parked, with its reason and, under ordering "stream", what comes after it in
    its stream, until somebody replays or drops it. Every other stream goes on.

    Raises InvalidInput for a definition that does not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        start: int | Literal["head"] = "head",
        concurrency: int = 4,
        buffer: int = 200,
        after: Iterable[str] = (),
        ordering: Ordering = "stream",
        deadline: float = 30.0,
        retries: int = 5,
        backoff: float = 1.0,
        **dimensions: Unpack[Dimensions],
    ) -> None:
        if not is_projection_name(name):
            raise InvalidInput(f"a reactor's name is a-z, 0-9 and _, at most 41: {name!r}")
        if not 1 <= concurrency <= MOST_CONCURRENT:
            raise InvalidInput(f"{name}: concurrency is 1 to {MOST_CONCURRENT}: {concurrency}")
        if buffer < 1:
            raise InvalidInput(f"{name}: buffer is 1 or more: {buffer}")
        if ordering not in get_args(Ordering):
            raise InvalidInput(f"{name}: ordering is stream or none: {ordering!r}")
        if not 0 < deadline <= 3600:
            raise InvalidInput(f"{name}: a deadline is up to 3600 seconds: {deadline}")
        if not retries >= 0 or not backoff > 0:
            raise InvalidInput(f"{name}: retries are 0 or more, backoff is more than 0 seconds")
        check_options(name, dimensions, Dimensions)
        self.name = name
        self.start = start
        self.concurrency = concurrency
        self.buffer = buffer
        with of(name):
            self.after = names(after, "after")
            self._dimensions = EventQuery(**dimensions).any_of[0]
        self.ordering: Ordering = ordering
        self.deadline = deadline
        self.retries = retries
        self.backoff = backoff
        self._handlers: dict[str, Handler] = {}

    def __repr__(self) -> str:
        return f"<Reactor {self.name}>"

    def on(self, *types: str) -> Callable[[H], H]:
        """Make the decorated coroutine function the handler of events of these types.

        It is called as `(event, context)`: see `eventstore.reactors.Context`. It may be called
        again for an event that it has handled, if its process died before that was recorded; so
        it hands `context.idempotency_key` to the outside, and appends by `context.append`.
        """
        if not types or any(map(inspect.isfunction, types)):  # that which was to be decorated
            raise InvalidInput(f"{self.name}: name the types that a handler is for: on('SomeType')")
        with of(self.name):
            meant = names(types, "types")

        def register(handler: H) -> H:
            if not inspect.iscoroutinefunction(handler):
                raise InvalidInput(
                    f"{self.name}: a handler is an 'async def' function: {described(handler)}"
                )
            check_function(handler, f"{self.name}: a handler", ["event", "context"])
            for event_type in meant:
                if self._handlers.setdefault(event_type, handler) is not handler:
                    raise InvalidInput(f"{self.name}: {event_type} has a handler already")
            return handler

        return register

    @property
    def query(self) -> EventQuery:
        """Which events it is for. Raises InvalidInput while it has no handler."""
        if not self._handlers:
            raise InvalidInput(f"{self.name} has no handler: decorate one with on('SomeType')")
        item: QueryItem = self._dimensions._replace(types=tuple(sorted(self._handlers)))
        return EventQuery(any_of=[item])

    def handler_of(self, event_type: str) -> Handler:
        """Give the handler of a type. Raises InvalidInput for a type that it is not for."""
        try:
            return self._handlers[event_type]
        except KeyError:
            raise InvalidInput(
                f"{self.name} has no handler of {event_type} here: another version of it had one"
            ) from None

    def delay_after(self, attempt: int) -> float | None:
        """Give the seconds until an event that failed is tried again, as the group has them.

        None: that was the last attempt, and the event is parked.
        """
        if attempt > self.retries:
            return None
        return min(self.backoff * 2.0 ** min(attempt - 1, 30), LONGEST_BACKOFF)


def idempotency_key(reactor: str, event: RecordedEvent) -> str:
    """Give a UUID (RFC 9562, version 5) for what a reactor does about an event, however often."""
    return str(uuid.uuid5(_NAMESPACE, f"{reactor} {event.event_id}"))


def derived_ids(key: str, stream_name: str, first: int, count: int) -> list[str]:
    """Give the ids of the events that a handler appends to a stream, from its `first` (0) on."""
    return [
        str(uuid.uuid5(uuid.UUID(key), f"{number} {stream_name}"))
        for number in range(first, first + count)
    ]
