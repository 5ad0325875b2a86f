"""The service that runs on this machine on an embedded PostgreSQL, found by its data directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from eventstore.core.errors import EventStoreError

SERVICE_FILE = "service.json"


class LocalService(NamedTuple):
    """What a running `eventstore serve` says of itself. `dsn` is the administrator's."""

    url: str
    dsn: str
    writer_dsn: str
    worker_dsn: str
    data_dir: Path


def local_service(data_dir: Path | None, environ: Mapping[str, str]) -> LocalService:
    """Give the service that runs on a data directory; raise EventStoreError if none does."""
    folder = data_dir or _chosen(environ)
    path = folder / SERVICE_FILE
    hint = "start it: eventstore serve, or name a database with --dsn"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        dsn, writer, worker = (str(facts[name]) for name in ("dsn", "writer_dsn", "worker_dsn"))
        found = LocalService(str(facts["url"]), dsn, writer, worker, folder)
        pid = int(facts["pid"])
    except (FileNotFoundError, NotADirectoryError):
        raise EventStoreError(
            f"no service runs on {folder}; {hint}; one with another "
            "--data-dir is found by the same option here, or by EVENTSTORE_DATA_DIR"
        ) from None
    except PermissionError:
        raise EventStoreError(
            f"{path} is another user's; run this command as that user, or name a database with "
            "--dsn"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EventStoreError(f"cannot read {path}: {error}; {hint}") from None
    if not _is_alive(pid):
        raise EventStoreError(f"the service on {folder} has ended; {hint}")
    return found


def running_service(data_dir: Path | None, environ: Mapping[str, str]) -> LocalService | None:
    """Give the service that runs on a data directory, or None."""
    try:
        return local_service(data_dir, environ)
    except EventStoreError:
        return None


def _chosen(environ: Mapping[str, str]) -> Path:
    if folder := environ.get("EVENTSTORE_DATA_DIR"):
        return Path(folder)
    from eventstore.postgres.embedded import default_data_dir  # noqa: PLC0415 - POSIX only

    return default_data_dir()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        return True
    return True
