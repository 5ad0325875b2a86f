"""`eventstore` as a process of its own: started until it works, ended in order."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from eventstore.core.errors import EventStoreError

PROGRAM: Final = (sys.executable, "-c", "from eventstore.cli import main; main()")
"""The console script, whether or not its folder is on PATH."""
GRACE: Final = 60.0
"""Seconds that a program is given to start, and to end."""


class Program:
    """A program that goes on until it is told to end. Use as `with Program(...)`."""

    def __init__(
        self, *arguments: str, ready: str, log: Path, cwd: Path, env: Mapping[str, str]
    ) -> None:
        """Say what to run; it works as soon as it has written `ready` to its log.

        `env` is added to the environment.
        """
        self._command = [*PROGRAM, *arguments]
        self._name = f"eventstore {arguments[0]}"
        self._ready = ready
        self._log = log
        self._cwd = cwd
        self._env = env
        self._told = threading.Event()
        self._works = False

    def __enter__(self) -> Self:
        """Start it and wait until it works. Raises EventStoreError with the end of its log."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env={**environment(), **self._env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C is for whoever started it, who then ends it in its turn
        )
        threading.Thread(target=self._read, name=f"log of {self._name}", daemon=True).start()
        try:
            self._told.wait(GRACE)
            if not self._works:
                raise self._failure("did not start")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        code = self.end()
        if code != 0 and exc is None:
            raise self._failure(f"ended with {code}")

    def end(self) -> int:
        """Ask it to end, and give its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def wait(self) -> None:
        """Wait until it ends by itself, which it should not: raises EventStoreError."""
        code = self._process.wait()
        raise self._failure(f"ended with {code}")

    def _read(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - a pipe, as asked for above
        with self._process.stderr as lines, self._log.open("a", encoding="utf-8") as log:
            for line in lines:
                log.write(line)
                log.flush()
                if self._ready in line:
                    self._works = True
                    self._told.set()
        self._told.set()

    def _failure(self, what: str) -> EventStoreError:
        tail = (
            self._log.read_text(encoding="utf-8").splitlines()[-20:] if self._log.exists() else []
        )
        return EventStoreError("\n".join([f"{self._name} {what}; its log ends with:", *tail]))


def run(*arguments: str) -> str:
    """Run `eventstore` to its end; give what it printed. Raises EventStoreError if it fails."""
    done = subprocess.run(
        [*PROGRAM, *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise EventStoreError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def environment() -> dict[str, str]:
    """Give the environment without what names a store: what is started here has its own."""
    return {name: text for name, text in os.environ.items() if not name.startswith("EVENTSTORE_")}
