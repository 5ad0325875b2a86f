"""A look at a DSN before a driver sees it.

With a `/`, `#` or `?` that is not percent-encoded in a password, a URI falls apart in the middle
of the password, and drivers then print a part of it as a bad port or database name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from eventstore.core.errors import InvalidInput


def check_dsn(dsn: str) -> str:
    """Return the DSN, or raise InvalidInput that repeats nothing of it.

    Knows URIs, also with several hosts; `key=value` texts are left to the driver.
    """
    if not dsn.strip():
        raise InvalidInput(
            "the DSN is empty; PostgreSQL's own defaults and PG* variables are asked for by "
            "postgresql://"
        )
    if "://" not in dsn:
        return dsn
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise unreadable_dsn() from None
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts]
    if (
        parts.scheme not in ("postgresql", "postgres")
        or "@" in parts.path + parts.fragment
        or not all(port.isdecimal() for port in ports if port)
    ):
        raise unreadable_dsn()
    return dsn


def unreadable_dsn() -> InvalidInput:
    """Give the error of a DSN that cannot be read."""
    return InvalidInput(
        "the DSN cannot be read: it is postgresql://user:password@host:port/database, with "
        "characters such as / # @ : ? % in the password percent-encoded (/ is %2F)"
    )
