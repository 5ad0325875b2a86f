"""Workers as processes of their own, which may end or stop themselves in the middle of a batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.fix_waiting import DEADLINE

ROOT = Path(__file__).parents[2]


@contextmanager
def working(
    dsn: str,
    app: str,
    *,
    at: str | None = None,
    batch: int = 1,
    sign: signal.Signals = signal.SIGKILL,
    most: int = 5_000,
    log: IO[str] | None = None,
    version: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker of an app in a process; kill it in the end.

    It gives itself the signal when the n-th batch of one of its runners is `at` a point; by default
    it never does. With `version`, one that runs that version. A batch has at most `most` events.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "api"), os.environ.get("PYTHONPATH", "")])
    options = ["--batch", str(batch), "--sign", sign.name, "--most", str(most)]
    if at is not None:
        options += ["--at", at]
    if version is not None:
        options += ["--version", str(version)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.projections.crashing", dsn, app, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stderr=log or subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes]) -> int:
    """End a worker in order; give its exit code."""
    process.terminate()
    return process.wait(DEADLINE)


def has_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has stopped itself."""
    return os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is not None
