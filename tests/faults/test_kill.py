"""kill -9: of a process that appends, and of the server under it. Nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from eventstore import Appended, EventData, EventStore, OutcomeUnknown, Unavailable
from eventstore.core.history import History
from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate
from eventstore.sync import SyncEventStore
from tests.faults.appending import WRITERS
from tests.fix_server import new_room

KILLS = 10
ROOT = Path(__file__).parents[2]


def kill_while_it_appends(
    dsn: str, begins: list[int], lines: int
) -> list[tuple[int, int, Appended]]:
    """Start the process, kill it after that many acknowledged appends, and give them."""
    told = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.appending", dsn, "run", json.dumps(begins)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # killed while it wrote: the test was not told
            number, n, answer = json.loads(line)
            told.append((number, n, Appended._make(answer)))
            if len(told) == lines:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return told


def end_its_backends(dsn: str) -> None:
    """End what the killed process left behind, as its death does sooner or later."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_process_that_is_killed_while_it_appends_loses_and_doubles_nothing(dsn: str) -> None:
    random.seed(7)
    begins = [0] * WRITERS
    told: list[Appended] = []
    for _ in range(KILLS):
        for number, n, answer in kill_while_it_appends(dsn, begins, random.randint(1, 150)):
            told.append(answer)
            begins[number] = n  # its last one is sent again by the next process
        end_its_backends(dsn)
    history = History()
    with SyncEventStore(dsn) as store:
        for event in store.read():
            history.feed(event)
        history.end(store.head().position)
    for answer in told:
        history.acknowledged(answer)
    assert history.violations == []
    assert len(told) > KILLS


@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_under_an_append_loses_and_doubles_nothing(
    bin_dir: Path | None,
) -> None:
    with (
        new_room() as room,
        EmbeddedPostgres(
            room / "data", bin_dir=bin_dir, settings={"shared_buffers": "16MB"}
        ) as postgres,
    ):
        await asyncio.to_thread(migrate, postgres.dsn())
        async with EventStore(postgres.dsn()) as store:
            told: list[Appended] = []
            enough = asyncio.Event()

            async def writer(number: int) -> None:
                n = 0
                while not enough.is_set():
                    try:
                        answer = await store.append(
                            f"s-{number}", [EventData("T", n)] * 2, idempotency_key=f"{number} {n}"
                        )
                    except (OutcomeUnknown, Unavailable):
                        continue  # the same again
                    told.append(answer)
                    n += 1

            writers = [asyncio.create_task(writer(number)) for number in range(8)]
            for _ in range(3):
                before = len(told)
                while len(told) < before + 200:  # noqa: ASYNC110 - many writers, no one event
                    await asyncio.sleep(0.002)
                assert postgres.pid is not None
                os.kill(postgres.pid, signal.SIGKILL)
                await asyncio.to_thread(postgres.wait)
                await asyncio.to_thread(postgres.restart_after_crash)
            enough.set()
            await asyncio.gather(*writers)
            history = History()
            async for event in store.read():
                history.feed(event)
            history.end((await store.head()).position)
    for answer in told:
        history.acknowledged(answer)
    assert history.violations == []
    assert history.events == 2 * len(told)
