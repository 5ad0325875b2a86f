"""What readers saw of a log, each in order, and how far they are."""

from __future__ import annotations

import asyncio

from eventstore import EventQuery, RecordedEvent
from eventstore.core.history import History
from tests.service.running import DEADLINE


class Seen:
    """What one reader saw of the events that a query means, from after a position on."""

    def __init__(
        self, name: str, query: EventQuery, after: int, known: dict[int, RecordedEvent]
    ) -> None:
        self.name = name
        self.query = query
        self.after = after
        self.events: list[RecordedEvent] = []
        self.losses = 0
        """How often it lost its line, or what was behind it."""
        self._known = known
        self._more = asyncio.Event()

    @property
    def position(self) -> int:
        """Where it is: to be read on from here."""
        return self.events[-1].position if self.events else self.after

    def add(self, event: RecordedEvent) -> None:
        """Note the next event that it was given."""
        # Readers of one log share its events, so that a long run fits into memory.
        known = self._known.setdefault(event.position, event)
        self.events.append(known if known == event else event)
        self._more.set()

    def lose(self, _why: object = None) -> None:
        """Note that it has to come back."""
        self.losses += 1

    async def reach(self, position: int) -> None:
        """Wait until it has been given the event at a position, or a later one."""
        try:
            async with asyncio.timeout(DEADLINE):
                while self.position < position:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(
                f"{self.name} is at {self.position}, and {position} does not come"
            ) from None


class Readers:
    """Everybody who reads one log."""

    def __init__(self) -> None:
        self.all: list[Seen] = []
        self._known: dict[int, RecordedEvent] = {}

    def new(self, name: str, query: EventQuery | None = None, *, after: int = 0) -> Seen:
        """Add a reader."""
        seen = Seen(name, query or EventQuery(), after, self._known)
        self.all.append(seen)
        return seen

    @property
    def losses(self) -> dict[str, int]:
        """How often each came back."""
        return {seen.name: seen.losses for seen in self.all}

    def check(self, history: History) -> None:
        """Expect that each saw the log in order, without gap or repeat (C3)."""
        for seen in self.all:
            history.seen(seen.events, reader=seen.name, query=seen.query, after=seen.after)
        assert not history.violations, history.violations
