"""Limits on everything that comes from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes are bytes of UTF-8 JSON text; counts are events."""

    event_bytes: int = 1 << 20
    """Data and metadata of one event together, as compact JSON with numbers written out. Default,
    and the most that the database takes: 1 MiB."""
    append_bytes: int = 16 << 20
    """One append request (an HTTP body, or all events of one call). Default 16 MiB."""
    append_events: int = 10_000
    """Events in one append request."""
    event_tags: int = 64
    """Tags of one event."""
    query_items: int = 64
    """Items of a query or an append condition."""
    query_values: int = 256
    """Streams, categories, types and tags that one query names in all."""
    page_events: int = 1_000
    """Most events of one page; the default page is 100."""
    pending_appends: int = 4_096
    """Append requests that may wait in the appender; beyond it they are turned away at once."""
    pending_bytes: int = 64 << 20
    """Bytes that may wait in the appender."""
    followers: int = 10_000
    """Responses that follow the log at the same time."""


DEFAULT_LIMITS: Final = Limits()
_UNBOUNDED: Final = 1 << 62
NO_LIMITS: Final = Limits(
    event_bytes=_UNBOUNDED,
    append_bytes=_UNBOUNDED,
    append_events=_UNBOUNDED,
    event_tags=_UNBOUNDED,
)
"""For an append that somebody else will check."""
