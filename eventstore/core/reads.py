"""How a read is carried out: which statement, and where its next page begins. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery, QueryItem, check_query
from eventstore.core.streams import check_stream_name

Direction = Literal["forward", "backward"]
END: Final = 2**63 - 1
"""Beyond every position and revision."""


class LogHead(NamedTuple):
    """Which log this is and its last position (0 when empty)."""

    store_id: UUID
    epoch: int
    position: int


class NameCount(NamedTuple):
    """A category or event type, how many events it has, and the position of the last one."""

    name: str
    events: int
    last_position: int


class StreamHead(NamedTuple):
    """A stream and the revision of its last event."""

    stream_name: str
    revision: int


@dataclass(frozen=True, slots=True)
class Scan:
    """A read between two bounds (both exclusive), page by page.

    Bounds are revisions for a stream and positions for everything else.
    """

    statement: str
    key: tuple[Any, ...]
    after: int
    before: int
    backward: bool
    by_revision: bool

    def args(self, limit: int) -> tuple[Any, ...]:
        """Give the statement's arguments for a page of at most `limit` events."""
        return (*self.key, self.after, self.before, limit)

    def behind(self, event: RecordedEvent) -> Scan:
        """Give the rest of the read, behind this last event of a page."""
        bound = event.revision if self.by_revision else event.position
        return replace(self, before=bound) if self.backward else replace(self, after=bound)

    def up_to(self, head: int) -> Scan:
        """Give the same read as of this head: what is appended later is not part of it."""
        return replace(self, before=min(self.before, head + 1))

    def includes(self, event: RecordedEvent) -> bool:
        """Tell whether the event is between the bounds; not whether it is what is read."""
        return self.after < (event.revision if self.by_revision else event.position) < self.before

    @property
    def is_empty(self) -> bool:
        """Whether no event can be between the bounds."""
        return self.before - self.after <= 1


def stream_scan(
    stream_name: str, *, after: int | None, before: int | None, direction: Direction
) -> Scan:
    """Plan a read of one stream. Raises InvalidInput for a bad name, bound or direction."""
    check_stream_name(stream_name)
    low, high = _bounds(after, before, first=-1, what="revision")
    suffix = _suffix(direction)
    return Scan(f"stream_{suffix}", (stream_name,), low, high, suffix == "backward", True)


def log_scan(
    query: EventQuery, *, after: int | None, before: int | None, direction: Direction
) -> Scan:
    """Plan a read of the log. Plain shapes have statements of their own; the rest is matched."""
    low, high = _bounds(after, before, first=0, what="position")
    suffix = _suffix(direction)
    key: tuple[str, ...]
    if not check_query(query):
        name, key = "log", ()
    elif len(query.any_of) == 1 and query.any_of[0] == QueryItem(
        categories=query.any_of[0].categories[:1]
    ):
        name, key = "category", query.any_of[0].categories
    else:
        name, key = "matching", (query.to_json(),)
    return Scan(f"{name}_{suffix}", key, low, high, suffix == "backward", False)


def _suffix(direction: str) -> str:
    if direction not in ("forward", "backward"):
        raise InvalidInput(f"a direction is 'forward' or 'backward': {direction!r}")
    return direction


def _bounds(after: int | None, before: int | None, *, first: int, what: str) -> tuple[int, int]:
    low = first if after is None else after
    high = END if before is None else before
    for name, bound in (("after", low), ("before", high)):
        if isinstance(bound, bool) or not isinstance(bound, int) or not first <= bound <= END:
            raise InvalidInput(f"{name} is a {what}, {first} to {END}: {bound!r}")
    return low, high
