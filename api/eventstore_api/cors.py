"""Pages of other origins: which may use the service from a browser, and what they get to see."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from eventstore import InvalidInput

METHODS: Final = ("GET", "HEAD", "POST")
SENT: Final = (
    "Content-Type",
    "Event-Position",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
)
"""Request headers that a page may send."""
SEEN: Final = (
    "Allow",
    "ETag",
    "Event-Position",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
)
"""Response headers that a page may read."""
_ORIGIN: Final = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?/?"
).fullmatch
_PORTS: Final = {"http": "80", "https": "443"}


def allow_origins(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Let pages of these origins (see `check_origin`) read and append; without any, change nothing.

    To a page of another origin a browser shows no answer, and it sends no append for it.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=SENT,
        expose_headers=SEEN,
    )


def check_origin(text: str) -> str:
    """Give an origin as browsers send it, or raise InvalidInput.

    `*` is none: every page that somebody has open anywhere could append to the log.
    """
    found = _ORIGIN(text.lower())
    if found is None:
        raise InvalidInput(
            f"an origin is like https://app.example or http://localhost:3000, not {text!r}"
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" if port in (None, _PORTS[scheme]) else f"{scheme}://{host}:{port}"
