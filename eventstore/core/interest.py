"""Which followers an event may concern, found without asking each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery
from eventstore.core.streams import category

Key = tuple[str, str]
EVERY_EVENT: Final[Key] = ("", "")


def keys_of_query(query: EventQuery) -> frozenset[Key]:
    """Give keys of which every event that the query means has at least one.

    Of each item the dimension that leaves out most: streams, one tag, types, categories.
    """
    keys: set[Key] = set()
    for item in query.any_of:
        if item.streams:
            keys.update(("stream", name) for name in item.streams)
        elif item.tags:
            keys.add(("tag", item.tags[0]))
        elif item.types:
            keys.update(("type", name) for name in item.types)
        elif item.categories:
            keys.update(("category", name) for name in item.categories)
        else:
            return frozenset([EVERY_EVENT])
    return frozenset(keys)


def keys_of_event(event: RecordedEvent) -> Iterator[Key]:
    """Give every key that the event has."""
    yield EVERY_EVENT
    yield "stream", event.stream_name
    yield "category", category(event.stream_name)
    yield "type", event.event_type
    for tag in event.tags:
        yield "tag", tag
