"""A uvicorn process: started on a port of its own, stopped in the end."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from ._process import command, environment
from ._server import Database

App = Literal["service", "nothing", "frames", "slow", "transaction"]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service on 127.0.0.1."""

    port: int
    pid: int


@contextmanager
def service(app: App, database: Database) -> Iterator[Service]:
    """Run one of the applications of `_serve` in a process of its own.

    The port is listened on before the process starts: a first request waits until it is ready,
    and is cut off if it does not come up.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        port: int = listener.getsockname()[1]
        process = subprocess.Popen(
            command("_serve", app, str(listener.fileno()), database.dsn, database.schema),
            env=environment(),
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
        )
    try:
        yield Service(port, process.pid)
    finally:
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
