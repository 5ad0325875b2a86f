"""Batches: what is applied in one transaction, and how it is divided to find the event at fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eventstore.core.events import RecordedEvent


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything after one position up to another.

    `events` are those that the projection takes, in order; None: they are not brought here, as a
    statement reads them where they are. A retried batch is of one stream, and `then` is the
    stream's next event to come after it.
    """

    after: int
    upto: int
    events: Sequence[RecordedEvent] | None
    stream_name: str | None = None
    then: RecordedEvent | None = None

    @property
    def is_single(self) -> bool:
        """Whether it cannot be divided any more."""
        return self.upto - self.after <= 1 if self.events is None else len(self.events) <= 1

    def halves(self) -> tuple[Batch, Batch]:
        """Divide it, so that one event at fault comes to stand alone."""
        if self.events is None:
            middle = (self.after + self.upto) // 2
            return replace(self, upto=middle), replace(self, after=middle)
        count = len(self.events) // 2
        first, second = self.events[:count], self.events[count:]
        middle = first[-1].position
        return (
            replace(self, upto=middle, events=first, then=second[0]),
            replace(self, after=middle, events=second),
        )

    def beyond(self, position: int) -> Batch:
        """Give what of it comes after a position."""
        if position <= self.after:
            return self
        events = self.events
        if events is not None:
            events = [event for event in events if event.position > position]
        return replace(self, after=position, upto=max(self.upto, position), events=events)
