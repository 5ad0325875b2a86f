"""A fleet of processes with members, a database under them, and what befalls both."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import asyncpg

from eventstore.postgres.embedded import EmbeddedPostgres
from tests.fix_waiting import DEADLINE, until

ROOT: Final = Path(__file__).parents[2]
MEMBERS: Final = (2, 1, 1)
"""Of each process."""
_HELD: Final = """
SELECT count(*) FROM eventstore.deliveries WHERE state = 'leased' AND member LIKE $1
"""
_ACKED: Final = "SELECT count(*) FROM facts WHERE what = 'acked'"


class Fleet:
    """Faults, each until it has been got over. Use `closing` to end what is left."""

    FAULTS: Final = ("kill", "stop", "restart", "crash", "stop over a restart")

    def __init__(
        self,
        postgres: EmbeddedPostgres,
        sql: asyncpg.Pool[asyncpg.Record],
        chance: random.Random,
        closing: ExitStack,
        log: Path,
    ) -> None:
        self._postgres = postgres
        self._sql = sql
        self._chance = chance
        self._closing = closing
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        """Start all processes."""
        self._processes = [self._process(members) for members in MEMBERS]
        for number in range(len(MEMBERS)):
            await self._until_running(number)

    async def end(self) -> list[int]:
        """End all in order; give their exit codes."""
        for process in self._processes:
            process.terminate()
        return [await asyncio.to_thread(process.wait, DEADLINE) for process in self._processes]

    async def suffer(self, fault: str) -> None:
        """Let it happen to some, and wait until there is progress again."""
        some = self._chance.sample(range(len(MEMBERS)), self._chance.randint(1, 2))
        match fault:
            case "kill":
                for number in some:
                    await self._seize(number)
                    self._processes[number].kill()
                    self._processes[number] = self._process(MEMBERS[number])
                for number in some:
                    await self._until_running(number)
            case "restart":
                await self._restart()
            case "crash":
                await self._crash()
            case _:
                for number in some:
                    await self._seize(number)
                if fault != "stop":
                    await self._restart()
                for number in some:
                    await self._until_held(number, at_most=0)  # by its leases' end
                    self._processes[number].send_signal(signal.SIGCONT)
        await self.progress(self._chance.randint(1, 60))

    async def progress(self, more: int) -> None:
        """Wait until that many more are acked."""
        target = await self._sql.fetchval(_ACKED) + more

        async def reached() -> bool:
            return bool(await self._sql.fetchval(_ACKED) >= target)

        await until(reached, f"{more} more acks")

    def _process(self, members: int) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "api"), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "tests.reactors.echoing", self._postgres.dsn()]
        process = self._closing.enter_context(
            subprocess.Popen(
                [*command, str(members)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                stderr=self._closing.enter_context(self._log.open("a")),
            )
        )
        self._closing.callback(process.kill)
        return process

    async def _until_running(self, number: int) -> None:
        """Wait for the word of each member: before, a database that is away ends its process."""
        pid = self._processes[number].pid
        word = re.compile(rf"worker \S+:{pid}:\S+ now runs reactor").findall

        async def running() -> bool:
            return len(word(self._log.read_text())) == MEMBERS[number]

        await until(running, f"process {number} to run")

    async def _held(self, number: int) -> int:
        pid = self._processes[number].pid
        held: int = await self._sql.fetchval(_HELD, f"%:{pid}:%")
        return held

    async def _until_held(self, number: int, *, at_least: int = 0, at_most: int = 1_000) -> None:
        async def holds() -> bool:
            return at_least <= await self._held(number) <= at_most

        await until(holds, f"process {number} to hold {at_least} to {at_most} leases")

    async def _seize(self, number: int) -> None:
        """Stop a process at a moment in which it holds something."""
        while True:
            await self._until_held(number, at_least=1)
            self._processes[number].send_signal(signal.SIGSTOP)
            if await self._held(number):
                return
            self._processes[number].send_signal(signal.SIGCONT)

    async def _restart(self) -> None:
        await asyncio.to_thread(self._postgres.stop)
        await asyncio.to_thread(self._postgres.start)

    async def _crash(self) -> None:
        assert self._postgres.pid is not None
        os.kill(self._postgres.pid, signal.SIGKILL)
        await asyncio.to_thread(self._postgres.wait)
        await asyncio.to_thread(self._postgres.restart_after_crash)
