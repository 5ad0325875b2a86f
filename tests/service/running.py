"""The real service as a process of its own: started, watched, stopped and killed by tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

DEADLINE: Final = 60.0
"""Seconds after which something that should have happened has not."""
_ADDRESS: Final = re.compile(r" at (http://\S+)")
_PROGRAM: Final = [sys.executable, "-c", "from eventstore.cli import main; main()"]


def environment(**more: str) -> dict[str, str]:
    """For a program that imports the packages from this checkout, and is told nothing else."""
    root = Path(__file__).parents[2]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVENTSTORE_")}
    path = os.pathsep.join([str(root), str(root / "api"), os.environ.get("PYTHONPATH", "")])
    return kept | {"PYTHONPATH": path.rstrip(os.pathsep), "COLUMNS": "200"} | more


def run(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `eventstore` to its end."""
    return subprocess.run(
        [*_PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**env),
        timeout=DEADLINE,
        check=False,
    )


class Service:
    """`eventstore serve` on a free port of its own. Killed in the end, unless it has ended."""

    def __init__(self, *options: object, **env: str) -> None:
        self.lines: list[str] = []
        self._address = ""
        self._serving = threading.Event()
        self.process = subprocess.Popen(
            [*_PROGRAM, "serve", "--port", "0", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(**env),
        )
        self._reader = threading.Thread(target=self._read, name="output of the service")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := _ADDRESS.search(line):
                self._address = found[1]
                self._serving.set()
        self._serving.set()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self.lines)

    @property
    def url(self) -> str:
        """Its address, as soon as it serves."""
        assert self._serving.wait(DEADLINE), self.output
        assert self._address, f"the service ended: {self.output}"
        return self._address

    @property
    def port(self) -> int:
        """The port that it serves on."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; give its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; give its exit code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def serving(*options: object, **env: str) -> Iterator[Service]:
    """Run a service that is ready."""
    with Service(*options, **env) as service:
        until_ready(service.url)
        yield service


def until_ready(url: str) -> None:
    """Wait until appends and reads work."""
    with httpx.Client(base_url=url, timeout=DEADLINE) as client:
        until(lambda: client.get("/health/ready").status_code == 200, f"{url} is ready")


def until(condition: Callable[[], object], what: str) -> None:
    """Ask again and again until it is so; fail at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)  # who asks without a pause keeps the machine from what is asked for


def facts(data_dir: Path) -> dict[str, Any]:
    """Give what the running service says of itself: url, dsn (a superuser's) and pid."""
    found: dict[str, Any] = json.loads((data_dir / "service.json").read_text(encoding="utf-8"))
    return found


def postmaster(data_dir: Path) -> int:
    """Give the process id of the private PostgreSQL server."""
    [file] = data_dir.rglob("postmaster.pid")
    return int(file.read_text(encoding="utf-8").split("\n")[0])


def processes_in(directory: Path) -> set[int]:
    """Give the processes that work in a directory: a server and all its children do."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.joinpath("cwd").readlink().is_relative_to(directory):
                found.add(int(process.name))
    return found


def resident_bytes(pid: int) -> int:
    """Give how much memory a process has now."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
