"""What a command talks to: a running service, or the database itself."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from eventstore.core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from eventstore.client import EventStoreClient
    from eventstore.store import EventStore

DEFAULT_URL: Final = "http://127.0.0.1:2113"

Store: TypeAlias = "EventStore | EventStoreClient"
"""Either way to the log: the commands use the verbs that both have."""

_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?").fullmatch
_PASSWORD: Final = re.compile(r"(\bpostgres(?:ql)?://[^:/?#\s]*):[^@\s]*@|(?<=\bpassword=)[^&\s]+")


class Target(NamedTuple):
    """A database (`dsn`) or a service (`url`); exactly one of them is not None."""

    dsn: str | None
    url: str | None
    schema: str

    @property
    def title(self) -> str:
        """Name it for people, without a password."""
        return f"{hide_passwords(self.dsn)} (schema {self.schema})" if self.dsn else str(self.url)


def check_dsn(dsn: str) -> str:
    """Return the DSN, or raise InvalidInput that does not repeat it.

    Drivers put pieces of what they cannot parse into their messages, and a password with special
    characters is what they most often cannot parse.
    """
    problem = (
        "the DSN is not like postgresql://user@host:5432/database "
        "(special characters of a password have to be percent-encoded)"
    )
    try:
        parts = urlsplit(dsn)
    except ValueError:
        raise InvalidInput(problem) from None
    if parts.scheme not in ("postgresql", "postgres") or "://" not in dsn:
        raise InvalidInput(problem)
    hosts = parts.netloc.rpartition("@")[2]
    if parts.fragment or not all(map(_HOST, hosts.split(","))):
        raise InvalidInput(problem)
    return dsn


def hide_passwords(text: str) -> str:
    """Replace the passwords of DSNs in a text by stars."""
    return _PASSWORD.sub(lambda match: f"{match[1]}:***@" if match[1] is not None else "***", text)


def database_title(dsn: str) -> str:
    """Name a database for people: where its server is, and its name; no user, no password."""
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    host = parts.netloc.rpartition("@")[2] or options.get("host") or "the default host"
    name = unquote(parts.path.lstrip("/")) or options.get("dbname") or "the default database"
    return f"{name} at {host}"


def headers_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that EVENTSTORE_HEADERS names, one `Name: value` in each line.

    Of the environment, since a command line can be read by everyone on the machine.
    """
    headers = {}
    for line in environ.get("EVENTSTORE_HEADERS", "").splitlines():
        if line.strip():
            name, colon, value = line.partition(":")
            if not colon:
                raise InvalidInput("EVENTSTORE_HEADERS has a line that is not like Name: value")
            headers[name.strip()] = value.strip()
    return headers


@asynccontextmanager
async def opened(target: Target) -> AsyncIterator[Store]:
    """Open the store that a target names; close it in the end."""
    if target.dsn is not None:
        from eventstore.store import EventStore  # noqa: PLC0415 - imports the driver

        async with EventStore(target.dsn, schema=target.schema) as store:
            yield store
        return
    import httpx  # noqa: PLC0415

    from eventstore.client import EventStoreClient  # noqa: PLC0415

    # What a person starts fails at once, rather than after a while of retries.
    headers = headers_of(os.environ)
    async with EventStoreClient(str(target.url), retry_for=0, headers=headers) as client:
        try:
            yield client
        except Unavailable as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                raise Unavailable(
                    f"no service at {target.url}; start it: eventstore serve, "
                    "or name another with --url, or a database with --dsn"
                ) from error
            raise
