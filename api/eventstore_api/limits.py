"""Limits on what HTTP itself costs: requests before anybody knows what they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Sizes are bytes, times seconds."""

    url_bytes: int = 256 << 10
    """A request's path and query, as they are sent. Default 256 KiB."""
    headers: int = 128
    """Header lines of one request."""
    header_bytes: int = 64 << 10
    """All header lines of one request. Default 64 KiB."""
    bodies_bytes: int = 128 << 20
    """Request bodies in flight, over all connections. Default 128 MiB."""
    head_seconds: float = 15.0
    """From a request's first byte, or from the beginning of a connection, to the end of its
    headers."""
    stalled_seconds: float = 10.0
    """After which a body has to have come on by `stalled_bytes`, again and again."""
    stalled_bytes: int = 1 << 10
    """What has to come of a body within `stalled_seconds`. Default 1 KiB."""


DEFAULT_HTTP_LIMITS: Final = HttpLimits()
