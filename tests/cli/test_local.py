"""The running service of this machine, as `psql`, `doctor` and `migrate` find it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from eventstore import EventStoreError
from eventstore.cli.local import local_service, running_service

DSN = "postgresql://postgres@/eventstore?host=/x"
WRITER = DSN.replace("postgres@", "eventstore_service@")
WORKER = DSN.replace("postgres@", "eventstore_runner@")


def write(folder: Path, **facts: Any) -> None:
    """Write what a running service writes."""
    known = {"url": "http://127.0.0.1:1", "pid": os.getpid()}
    known |= {"dsn": DSN, "writer_dsn": WRITER, "worker_dsn": WORKER}
    (folder / "service.json").write_text(json.dumps(known | facts))


def test_a_running_service_says_where_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    found = local_service(tmp_path, {})
    assert found == ("http://127.0.0.1:1", DSN, WRITER, WORKER, tmp_path)
    assert local_service(None, {"EVENTSTORE_DATA_DIR": str(tmp_path)}) == found


def test_a_service_that_has_ended_is_not_taken_for_a_running_one(tmp_path: Path) -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    write(tmp_path, pid=pid)
    with pytest.raises(EventStoreError, match="has ended; start it: eventstore serve"):
        local_service(tmp_path, {})
    assert running_service(tmp_path, {}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"url": "u", "dsn": "d", "worker_dsn": "w", "pid": 1}',
        '{"url": "u", "dsn": "d", "writer_dsn": "s", "worker_dsn": "w", "pid": "x"}',
    ],
)
def test_a_file_that_says_nothing_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "service.json").write_text(text)
    with pytest.raises(EventStoreError, match="cannot read"):
        local_service(tmp_path, {})


def test_where_nothing_runs_it_says_what_to_do(tmp_path: Path) -> None:
    problem = "no service runs on .*start it: eventstore serve.*--data-dir.*EVENTSTORE_DATA_DIR"
    with pytest.raises(EventStoreError, match=problem):
        local_service(tmp_path / "nothing", {})
