"""kill -9 under load, again and again: nothing that was acknowledged is lost, nothing is twice.

EVENTSTORE_KILL_ROUNDS says how many rounds; EVENTSTORE_KILL_SEED repeats a run's choices.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.service.checker import Checker
from tests.service.conftest import needs_proc
from tests.service.load import Load
from tests.service.running import Service, facts, postmaster, serving, until_ready

ROUNDS = int(os.environ.get("EVENTSTORE_KILL_ROUNDS", "5"))
SEED = int(os.environ.get("EVENTSTORE_KILL_SEED", random.randrange(2**32)))
WORKERS = 16
VICTIMS = ("both", "service", "service", "postgres", "service")


@pytest.mark.slow
@needs_proc
@pytest.mark.timeout(60 + 30 * ROUNDS)
async def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(data_dir: Path) -> None:
    print(f"{ROUNDS} rounds, seed {SEED}")
    choices = random.Random(SEED)
    load, checker = Load(SEED), Checker()
    began = time.monotonic()
    for number in range(1, ROUNDS + 1):
        victim = VICTIMS[number % len(VICTIMS)]
        with Service("--data-dir", data_dir) as service:
            await asyncio.to_thread(until_ready, service.url)
            await compare(load, checker, service, data_dir)
            async with load.running(service.url, WORKERS):
                await load.until_told(choices.randint(1, 300))
                kill(victim, service, data_dir)
                if victim == "postgres":  # the service lives on, and starts it again
                    await load.until_told(choices.randint(1, 100))
            if victim == "postgres":
                await compare(load, checker, service, data_dir)
        print(
            f"{number}: {victim} killed, {time.monotonic() - began:.0f} s; "
            f"{checker.history.events} events in {checker.history.streams} streams, "
            f"{len(load.told)} answers, {len(load.refused)} events refused, "
            f"{len(load.unanswered)} to be sent again, {len(load.unknown)} events unknown, "
            f"{len(load.seen)} seen",
            flush=True,
        )
    with serving("--data-dir", data_dir) as service:
        await compare(load, checker, service, data_dir)
        await asyncio.to_thread(Checker().check, load, facts(data_dir)["dsn"])
        assert service.stop() == 0


async def compare(load: Load, checker: Checker, service: Service, data_dir: Path) -> None:
    """Send again what was not answered, then check what is new."""
    await load.finish(service.url)
    await asyncio.to_thread(checker.check, load, facts(data_dir)["dsn"])


def kill(victim: str, service: Service, data_dir: Path) -> None:
    """kill -9 of the service (its server then ends by itself), of the server, or of both."""
    server = postmaster(data_dir)
    if victim != "postgres":
        service.process.kill()
    if victim != "service":
        os.kill(server, signal.SIGKILL)
