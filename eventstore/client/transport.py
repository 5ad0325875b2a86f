"""How both clients are set up on httpx."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Final, TypedDict

import httpx

from eventstore.core.errors import InvalidInput

# A batch may wait for the append lock, and for a database that starts again, before it is told.
_TIMEOUT: Final = httpx.Timeout(60, connect=5, pool=None)


_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?").fullmatch
_OWNED: Final = {
    "accept",
    "connection",
    "content-length",
    "content-type",
    "event-position",
    "host",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "prefer",
    "transfer-encoding",
    "upgrade",
}


class Settings(TypedDict):
    """Arguments of httpx.Client and httpx.AsyncClient."""

    base_url: str
    timeout: httpx.Timeout
    limits: httpx.Limits
    headers: Mapping[str, str]
    verify: ssl.SSLContext


def for_calls(url: str, headers: Mapping[str, str]) -> Settings:
    """Settings for calls, which take turns on a limited number of connections."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    return _settings(url, headers, limits)


def for_following(url: str, headers: Mapping[str, str]) -> Settings:
    """Settings for following, where everyone keeps a connection of their own."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return _settings(url, headers, limits)


def _settings(url: str, headers: Mapping[str, str], limits: httpx.Limits) -> Settings:
    return Settings(
        base_url=url, timeout=_TIMEOUT, limits=limits, headers=headers, verify=_ssl_context()
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once for all clients: it takes 25 ms."""
    return httpx.create_ssl_context()


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers of the user's own, or raise InvalidInput, which does not repeat a value."""
    for name, value in headers.items():
        if not _NAME(name):
            raise InvalidInput(f"not a header's name: {name!r:.60}")
        if name.lower() in _OWNED:
            raise InvalidInput(f"the client gives the header {name} by itself")
        if not _VALUE(value):
            raise InvalidInput(f"the value of header {name} is printable ASCII")
    return dict(headers)


def without_login(url: str) -> str:
    """Return a URL as it may be shown: without user and password."""
    shown = httpx.URL(url)
    return str(shown.copy_with(username="", password="")).rstrip("/") if shown.userinfo else url


def checked_url(url: str) -> str:
    """Give a service's URL without the slash at its end, or raise InvalidInput."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise InvalidInput(f"not a URL: {fault}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("a service's URL is like http://127.0.0.1:2113")
    return url.rstrip("/")
