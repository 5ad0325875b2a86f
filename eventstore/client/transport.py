"""How both clients are set up on httpx."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Final, TypedDict

import httpx

from eventstore.core.errors import InvalidInput

# A batch may wait for the append lock, and for a database that starts again, before it is told.
_TIMEOUT: Final = httpx.Timeout(60, connect=5, pool=None)


class Settings(TypedDict):
    """Arguments of httpx.Client and httpx.AsyncClient."""

    base_url: str
    timeout: httpx.Timeout
    limits: httpx.Limits
    verify: ssl.SSLContext


def for_calls(url: str) -> Settings:
    """Settings for calls, which take turns on a limited number of connections."""
    return _settings(url, httpx.Limits(max_connections=100, max_keepalive_connections=100))


def for_following(url: str) -> Settings:
    """Settings for following, where everyone keeps a connection of their own."""
    return _settings(url, httpx.Limits(max_connections=None, max_keepalive_connections=0))


def _settings(url: str, limits: httpx.Limits) -> Settings:
    return Settings(base_url=url, timeout=_TIMEOUT, limits=limits, verify=_ssl_context())


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once for all clients: it takes 25 ms."""
    return httpx.create_ssl_context()


def checked_url(url: str) -> str:
    """Give a service's URL without the slash at its end, or raise InvalidInput."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise InvalidInput(f"not a URL: {fault}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("a service's URL is like http://127.0.0.1:2113")
    return url.rstrip("/")
