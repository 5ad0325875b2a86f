"""Waiting until a server process accepts connections."""

import time
from collections.abc import Callable
from pathlib import Path

from .errors import EmbeddedPostgresError
from .log import ServerLog
from .postmaster import Readiness, read_postmaster_pid, readiness
from .process import ServerProcess

REPORT_SECONDS = 3.0
SILENCE_SECONDS = 60.0
"""How long a process may run without a postmaster.pid of its own, which it writes first of all."""


class ServerExitedError(Exception):
    """The server ended while it started."""

    def __init__(self, code: int, tail: str) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.tail = tail or "(the server wrote nothing)"

    @property
    def memory_in_use(self) -> bool:
        """Whether processes of the server before this one were still there; they end soon."""
        return says_memory_in_use(self.tail)


def says_memory_in_use(log: str) -> bool:
    """Whether a log gives that reason for a failed start."""
    return "pre-existing shared memory block" in log and "is still in use" in log


def wait_until_ready(
    server: ServerProcess, pgdata: Path, log: ServerLog, report: Callable[[str], None]
) -> None:
    """Return when the server accepts connections; raise ServerExitedError if it ends instead.

    There is no limit for a server that says it is starting up: replaying the log after a crash
    takes as long as it takes, and starting anew would only repeat it.
    """
    started = time.monotonic()
    next_report = started + REPORT_SECONDS
    pause = 0.005
    while True:
        if server.ended(pause):
            raise ServerExitedError(server.wait(), log.tail())
        state = readiness(read_postmaster_pid(pgdata), server.pid)
        if state is Readiness.READY:
            return
        now = time.monotonic()
        if state is Readiness.SILENT and now - started > SILENCE_SECONDS:
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {server.pid}) runs since {SILENCE_SECONDS:.0f} s, but"
                f" {state.value}; the end of {log.path}:\n{log.tail()}"
            )
        if now >= next_report:
            next_report = now + REPORT_SECONDS
            report(progress(state, now - started, log.tail(1)))
        pause = min(pause * 1.5, 0.2)


def progress(state: Readiness, seconds: float, last_line: str) -> str:
    """A line about a server that takes its time, with the last line of its log."""
    line = f"PostgreSQL {state.value}; {seconds:.0f} s so far"
    return f"{line}: {last_line}" if last_line else line
