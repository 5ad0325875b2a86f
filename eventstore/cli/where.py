"""Which store a command goes to: one rule for all of them.

What the command line names wins (--url, --dsn or --data-dir), then the environment, else the
service that the data directory's service.json names, else DEFAULT_URL. Names in the environment
that are two stores are refused: one command would go to the one, the next to the other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import typer

from eventstore.cli.local import LocalService, local_service, running_service
from eventstore.cli.target import DEFAULT_URL, Target, check_dsn, database_title, headers_of
from eventstore.core.errors import EventStoreError
from eventstore.postgres.schema import DEFAULT_SCHEMA, check_schema_name

Role = Literal["admin", "writer", "worker"]
"""How a command logs in to the database of a local service."""

_HERE: Final = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
_PORTS: Final = {"http": 80, "https": 443}


class Database(NamedTuple):
    """A database, with a name for people that has no secret in it."""

    dsn: str
    title: str
    is_local: bool
    """Whether a service on this machine runs it."""


class _Named(NamedTuple):
    dsn: str | None
    url: str | None
    data_dir: Path | None


class _Place(NamedTuple):
    """A store as something names it."""

    named_by: str
    title: str
    dsn: str | None
    url: str | None


def resolve(
    dsn: str | None,
    url: str | None,
    schema: str | None,
    data_dir: Path | None,
    environ: Mapping[str, str],
) -> Target:
    """Decide for a command that asks a service or the database. A DSN wins over a URL."""
    at = _named(dsn, url, schema, data_dir, environ)
    if at.dsn is not None:
        return Target(at.dsn, None, schema_of(schema, environ))
    if schema is not None:
        raise typer.BadParameter(
            "--schema goes with --dsn; which schema a service serves is said to 'eventstore serve'"
        )
    return _service(at, environ)


def resolve_service(url: str | None, data_dir: Path | None, environ: Mapping[str, str]) -> Target:
    """Decide for a command that only a service understands."""
    at = _named(None, url, None, data_dir, environ)
    if at.dsn is not None and at.url is None and at.data_dir is None:
        local = running_service(None, environ)
        if local is None or at.dsn not in (local.dsn, local.writer_dsn, local.worker_dsn):
            raise EventStoreError(
                f"EVENTSTORE_DSN names {database_title(at.dsn)}, and this goes to a service: name "
                "the one of that database with --url or EVENTSTORE_URL"
            )
    return _service(at, environ)


def resolve_database(
    dsn: str | None,
    schema: str | None,
    data_dir: Path | None,
    environ: Mapping[str, str],
    *,
    role: Role = "admin",
) -> Database:
    """Decide for a command that needs the database; a local service's is opened as `role`."""
    at = _named(dsn, None, schema, data_dir, environ)
    if at.dsn is not None:
        return Database(at.dsn, database_title(at.dsn), is_local=False)
    local = local_service(at.data_dir, environ)
    if at.url is not None:
        _refuse_two_stores([_of_url(at.url), _of_folder(local)], schema_of(schema, environ))
    logins = {"admin": local.dsn, "writer": local.writer_dsn, "worker": local.worker_dsn}
    return Database(logins[role], local.url, is_local=True)


def schema_of(schema: str | None, environ: Mapping[str, str]) -> str:
    """Give the schema that is named, on the command line or in the environment."""
    return check_schema_name(schema or environ.get("EVENTSTORE_SCHEMA") or DEFAULT_SCHEMA)


def _named(
    dsn: str | None,
    url: str | None,
    schema: str | None,
    data_dir: Path | None,
    environ: Mapping[str, str],
) -> _Named:
    told = [option for option in (dsn, url, data_dir) if option is not None]
    if len(told) > 1:
        raise typer.BadParameter(
            "give --dsn (the database), --url (a service) or --data-dir (a service on this "
            "machine), and only one of them"
        )
    if told:
        return _Named(None if dsn is None else check_dsn(dsn), url, data_dir)
    dsn = environ.get("EVENTSTORE_DSN") or None
    url = environ.get("EVENTSTORE_URL") or None
    folder = environ.get("EVENTSTORE_DATA_DIR") or None
    places = []
    if dsn is not None:
        places.append(_Place("EVENTSTORE_DSN", database_title(check_dsn(dsn)), dsn, None))
    if url is not None:
        places.append(_of_url(url))
    if folder is not None and places and (local := running_service(Path(folder), environ)):
        places.append(_of_folder(local))
    _refuse_two_stores(places, schema_of(schema, environ))
    return _Named(dsn, url, Path(folder) if folder else None)


def _service(at: _Named, environ: Mapping[str, str]) -> Target:
    url = at.url
    if url is None and at.data_dir is not None:
        url = local_service(at.data_dir, environ).url
    elif url is None and (local := running_service(None, environ)):
        url = local.url
    return Target(None, url or DEFAULT_URL, DEFAULT_SCHEMA)


def _of_url(url: str) -> _Place:
    return _Place("EVENTSTORE_URL", url, None, url)


def _of_folder(local: LocalService) -> _Place:
    return _Place(f"the data directory {local.data_dir}", local.url, None, local.url)


def _refuse_two_stores(places: list[_Place], schema: str) -> None:
    """Raise EventStoreError if two of the places are not one store.

    A service and a database may be one as long as one of them does not answer.
    """
    for one, other in combinations(places, 2):
        if one.url is not None and other.url is not None:
            is_one = _address(one.url) == _address(other.url)
        else:
            is_one = len({_store(one, schema), _store(other, schema)} - {None}) < 2
        if not is_one:
            raise EventStoreError(
                f"{one.named_by} names {one.title}, and {other.named_by} {other.title}, which is "
                "another store: let EVENTSTORE_DSN, EVENTSTORE_URL and EVENTSTORE_DATA_DIR name "
                "one store, or name it on the command line"
            )


def _address(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "localhost" if host in _HERE else host, parts.port or _PORTS.get(parts.scheme)


def _store(place: _Place, schema: str) -> tuple[UUID, int] | None:
    """Ask a place which store it is, in which epoch. None: it does not answer."""
    with suppress(EventStoreError):
        if place.dsn is not None:
            from eventstore.sync import SyncEventStore  # noqa: PLC0415 - imports the driver

            with SyncEventStore(place.dsn, schema=schema) as store:
                head = store.head()
        else:
            from eventstore.client import SyncEventStoreClient  # noqa: PLC0415

            headers = headers_of(os.environ)
            with SyncEventStoreClient(str(place.url), retry_for=0, headers=headers) as client:
                head = client.head()
        return head.store_id, head.epoch
    return None
