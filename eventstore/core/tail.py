"""The newest events of the log, shared by all who follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eventstore.core.events import RecordedEvent

TAIL_EVENTS: Final = 4_096
TAIL_BYTES: Final = 16 << 20


class Tail:
    """A bounded ring of events without gaps: positions `start` + 1 to `head`.

    Bounded in events and in characters of their JSON, whichever comes first; the newest event is
    always kept.
    """

    def __init__(self, *, events: int = TAIL_EVENTS, size: int = TAIL_BYTES) -> None:
        self._most_events = events
        self._most_bytes = size
        self.reset(0)

    def reset(self, position: int) -> None:
        """Forget everything; what comes next is the event after this position."""
        self.start = position
        self._events: list[RecordedEvent] = []
        self._bytes = 0

    @property
    def head(self) -> int:
        """Position of the newest event, or the position that it was reset to."""
        return self.start + len(self._events)

    def extend(self, events: Sequence[RecordedEvent]) -> None:
        """Add events that follow the newest one directly. Raises ValueError at a gap."""
        for expected, event in enumerate(events, self.head + 1):
            if event.position != expected:
                raise ValueError(f"position {event.position} comes where {expected} should")
        self._events += events
        self._bytes += sum(map(_size, events))
        if len(self._events) > self._most_events or self._bytes > self._most_bytes:
            self._shorten()

    def after(self, position: int, limit: int) -> list[RecordedEvent] | None:
        """Give at most `limit` events after a position; None if the ring begins later."""
        skipped = position - self.start
        return None if skipped < 0 else self._events[skipped : skipped + limit]

    def _shorten(self) -> None:
        # To seven eighths, so that a full ring is not moved for every event.
        events, size = self._most_events * 7 // 8, self._most_bytes * 7 // 8
        gone = 0
        while gone < len(self._events) - 1 and (
            len(self._events) - gone > events or self._bytes > size
        ):
            self._bytes -= _size(self._events[gone])
            gone += 1
        del self._events[:gone]
        self.start += gone


def _size(event: RecordedEvent) -> int:
    return len(event.data_json) + len(event.metadata_json) + 500  # the object itself
