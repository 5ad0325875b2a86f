"""How many events to read at once: pages are bounded in bytes, whatever the size of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eventstore.core.events import RecordedEvent

PAGE_BYTES: Final = 4 << 20
"""Characters of JSON text that a page is to have at most. Large events make small pages."""
FIRST: Final = 100
"""Events of a page before anything is known of their size."""


class PageSize:
    """The size of one reader's pages, told by the events that it has read.

    A page is too large only where events are suddenly much larger than those of the page before,
    and the next one is not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._next = min(FIRST, most)

    def __call__(self, left: int | None = None) -> int:
        """Give the size of the next page; `left` is what the reader wants in all (None: all)."""
        return self._next if left is None else min(self._next, left)

    def read(self, page: Sequence[RecordedEvent]) -> None:
        """Learn from a page that was read."""
        if not page:
            return
        fits = PAGE_BYTES * len(page) // max(1, size_of(page))
        grown = max(self._next, 4 * len(page))
        self._next = max(1, min(fits, self._most, grown))


def size_of(page: Sequence[RecordedEvent]) -> int:
    """Give the characters of JSON text of some events."""
    return sum([len(event.data_json) + len(event.metadata_json) for event in page])
