"""The checker: whether a log, what writers were told of it and what readers saw agree."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID

from eventstore.core.append import Appended
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery

POSITIONS: Final = "positions are dense from 1"
REVISIONS: Final = "revisions are dense from 0 in each stream"
EVENT_IDS: Final = "event ids are unique"
RECORDED_AT: Final = "every event has the time it was recorded"
TAGS: Final = "tags are sorted and without repeats"
ACKNOWLEDGED: Final = "every acknowledged append is there, once, where it was told"
SEEN: Final = "what readers saw is the log in order, without gap or repeat"

LOG_CHECKS: Final = (POSITIONS, REVISIONS, EVENT_IDS, RECORDED_AT, TAGS)
KEPT_VIOLATIONS: Final = 20
"""Violations of one check that are kept with their text; all are counted."""


class Violation(NamedTuple):
    """One thing that must not be: which check it breaks, and how."""

    check: str
    problem: str


class History:
    """Feed it the log's events in order, and what was told and seen; then ask for `violations`.

    A whole history (the default) keeps every event, so that `acknowledged` and `seen` can be
    compared with them. A live check of a long log gives `newest_ids`: nothing is kept then but
    one number a stream and that many of the newest event ids (0: none, where the database itself
    is asked whether ids are unique).
    """

    def __init__(self, *, newest_ids: int | None = None) -> None:
        self.events = 0
        self.counts: Counter[str] = Counter()
        self._violations: list[Violation] = []
        self._position = 0
        self._heads: dict[str, int] = {}
        self._is_whole = newest_ids is None
        self._log: list[RecordedEvent] = []
        self._by_id: dict[UUID, int] = {}
        self._newest: deque[UUID] = deque(maxlen=newest_ids)
        self._newest_set: set[UUID] = set()

    @property
    def streams(self) -> int:
        """How many streams the events fed so far are of."""
        return len(self._heads)

    @property
    def violations(self) -> list[Violation]:
        """The first violations of each check; `counts` has how many there are."""
        return list(self._violations)

    def feed(self, event: RecordedEvent) -> None:
        """Take the next event of the log."""
        self.events += 1
        position, stream_name, revision = event[:3]
        if position != self._position + 1:
            self._violate(POSITIONS, f"position {position} follows {self._position}")
        self._position = position
        head = self._heads.get(stream_name, -1)
        if revision != head + 1:
            self._violate(
                REVISIONS,
                f"position {position}: revision {revision} of stream {stream_name!r} follows "
                + (str(head) if head >= 0 else "no event"),
            )
        self._heads[stream_name] = revision
        if event.recorded_at is None or event.recorded_at.tzinfo is None:
            self._violate(RECORDED_AT, f"position {position} has no time")
        if len(event.tags) > 1 and event.tags != sorted(set(event.tags)):
            self._violate(TAGS, f"position {position}: {event.tags}")
        self._remember(event)

    def _remember(self, event: RecordedEvent) -> None:
        if self._is_whole:
            first = self._by_id.setdefault(event.event_id, len(self._log))
            is_repeat = first != len(self._log)
            self._log.append(event)
        elif self._newest.maxlen == 0:
            return
        else:
            is_repeat = event.event_id in self._newest_set
            if len(self._newest) == self._newest.maxlen:
                self._newest_set.discard(self._newest[0])
            self._newest.append(event.event_id)
            self._newest_set.add(event.event_id)
        if is_repeat:
            self._violate(EVENT_IDS, f"position {event.position}: {event.event_id} came before")

    def end(self, head: int) -> None:
        """Say that every event is fed: the last one must be at the head (0: an empty log)."""
        if self._position != head:
            self._violate(POSITIONS, f"the head is {head}, the last event is at {self._position}")

    def acknowledged(self, appended: Appended) -> None:
        """Compare what a writer was told with the log, which is fed already."""
        log = self._whole_log()
        what = f"append to {appended.stream_name!r} at position {appended.position}"
        found = [self._by_id.get(UUID(event_id)) for event_id in appended.event_ids]
        missing = found.count(None)
        if missing or not found:
            self._violate(ACKNOWLEDGED, f"{what}: {missing} of {len(found)} events are not there")
            return
        events = [log[index] for index in found if index is not None]
        told = range(appended.first_revision, appended.revision + 1)
        if any(event.stream_name != appended.stream_name for event in events):
            self._violate(ACKNOWLEDGED, f"{what}: its events are in another stream")
        elif [event.revision for event in events] != list(told):
            self._violate(
                ACKNOWLEDGED,
                f"{what}: told revisions {appended.first_revision} to {appended.revision}, stored "
                f"{[event.revision for event in events]}",
            )
        elif events[-1].position != appended.position:
            self._violate(ACKNOWLEDGED, f"{what}: it is at {events[-1].position}")
        elif not appended.replayed and appended.position - events[0].position != len(events) - 1:
            # A replay may be of events that were first stored by several appends.
            self._violate(ACKNOWLEDGED, f"{what}: other events lie between its own")

    def seen(
        self,
        events: Iterable[RecordedEvent],
        *,
        reader: str = "a reader",
        query: EventQuery | None = None,
        after: int = 0,
    ) -> None:
        """Compare what a reader saw, from after a position on, with the log, which is fed already.

        It must be the log's events (those that `query` means) in order, up to wherever the reader
        was: the first difference is reported.
        """
        query = query or EventQuery()
        log = self._whole_log()
        first = bisect_right(log, after, key=attrgetter("position"))
        due = (event for event in islice(log, first, None) if query.matches(event))
        for number, event in enumerate(events, 1):
            expected = next(due, None)
            if event != expected:
                at = "nothing" if expected is None else f"position {expected.position}"
                self._violate(
                    SEEN, f"{reader}: event {number} was position {event.position}, {at} was due"
                )
                return

    def _whole_log(self) -> list[RecordedEvent]:
        if not self._is_whole:
            raise ValueError("a history with newest_ids keeps no events to compare with")
        return self._log

    def _violate(self, check: str, problem: str) -> None:
        self.counts[check] += 1
        if self.counts[check] <= KEPT_VIOLATIONS:
            self._violations.append(Violation(check, problem))
