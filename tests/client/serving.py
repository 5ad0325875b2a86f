"""`eventstore serve` as a process of its own, on the test's database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

STOPS_WITHIN = 30
COMMAND = [sys.executable, "-c", "from eventstore.cli import main; main()"]
"""The console script, found whether or not its folder is on PATH."""


def environment() -> dict[str, str]:
    """Give the environment without what would say where the store is."""
    return {name: text for name, text in os.environ.items() if not name.startswith("EVENTSTORE_")}


class Service(NamedTuple):
    """A running service."""

    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """End it as a power failure would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(dsn: str, *options: str, port: int = 0) -> Iterator[Service]:
    """Serve a database; end the service in order unless the test has killed it."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--dsn", dsn, "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stderr is not None
    try:
        yield Service(_address(process.stderr), process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=STOPS_WITHIN)


def _address(log: IO[str]) -> str:
    lines = []
    for line in log:
        lines.append(line)
        _, found, address = line.partition(" at http://")
        if found:
            return f"http://{address.split()[0]}"
    raise AssertionError("the service ended at once:\n" + "".join(lines))
