"""Pages of other origins: which may use the service from a browser, and what they get to see."""

from __future__ import annotations

import re
from typing import Final

from starlette.types import Message, Send

from eventstore import InvalidInput

METHODS: Final = ("DELETE", "GET", "HEAD", "POST", "PUT")
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
"""Response headers that a page may read, beside those that the standard shows to every page."""
REMEMBERED: Final = 7_200
"""Seconds for which a browser need not ask again; no browser keeps an answer for longer."""

_ORIGIN: Final = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?/?"
).fullmatch
_PORTS: Final = {"http": "80", "https": "443"}
_SEEN: Final = (b"access-control-expose-headers", ", ".join(SEEN).encode())
_VARY: Final = (b"vary", b"origin")


def check_origin(text: str) -> str:
    """Return an origin as browsers send it. Raises InvalidInput.

    `*` is none: every page that somebody has open anywhere could append to the log.
    """
    found = _ORIGIN(text.lower())
    if found is None:
        raise InvalidInput(
            f"an origin is like https://app.example or http://localhost:3000, not {text!r}"
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" if port in (None, _PORTS[scheme]) else f"{scheme}://{host}:{port}"


def readable(send: Send, origin: bytes | None) -> Send:
    """Return a `send` whose answers the scripts of this origin may read; of none, if it is None.

    Cookies are not asked for (no Access-Control-Allow-Credentials): the service knows none, and a
    script that has a token sends it as Authorization.
    """
    added = [_VARY]
    if origin is not None:
        added += [(b"access-control-allow-origin", origin), _SEEN]

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_with


def preflight(wanted: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return what tells a browser that a page of an allowed origin may send its request.

    Whatever headers it wants: scripts and what is built into them (tracing, authentication) add
    their own, and no header makes a request more dangerous than its origin is.
    """
    headers = [
        (b"access-control-allow-methods", ", ".join(METHODS).encode()),
        (b"access-control-max-age", str(REMEMBERED).encode()),
        (b"content-length", b"0"),
        (b"vary", b"access-control-request-headers"),
    ]
    return headers if not wanted else [*headers, (b"access-control-allow-headers", wanted)]
