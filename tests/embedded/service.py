"""A service process that owns an embedded server: to be killed, refused or watched by a test.

Run as a program it starts a server and says on stdout, a line each: `progress TEXT`, then
`ready PID` or `error TEXT`; on the end of stdin it stops the server and says `stopped`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError


def environment() -> dict[str, str]:
    """For a program that imports the package from this checkout."""
    inherited = os.environ.get("PYTHONPATH")
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


class Service:
    """The test's side of it."""

    def __init__(
        self, data_dir: Path, bin_dir: Path | None, settings: dict[str, str], uid: int | None
    ) -> None:
        options = {
            "data_dir": str(data_dir),
            "bin_dir": str(bin_dir) if bin_dir else None,
            "settings": settings,
            "uid": uid,
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "serve", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def line(self) -> tuple[str, str]:
        """The next line: its first word, and the rest (with line breaks)."""
        assert self.process.stdout is not None
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        return word, json.loads(rest) if rest else ""

    def outcome(self) -> tuple[str, str]:
        """The next line that is not about progress."""
        while True:
            word, rest = self.line()
            if word != "progress":
                return word, rest

    def ready(self) -> int:
        """Wait until it has started its server; return that server's process id."""
        word, rest = self.outcome()
        assert word == "ready", rest
        return int(rest)

    def stop(self) -> None:
        """Let it stop its server, and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.outcome() == ("stopped", "")
        assert self.process.wait() == 0

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def say(word: str, text: str = "") -> None:
    print(word, json.dumps(text) if text else "", flush=True)


def serve(options: dict[str, Any]) -> None:
    # This program's own user changes only now: the interpreter may lie in a private directory.
    if options["uid"] is not None:
        os.setgroups([])
        os.setgid(options["uid"])
        os.setuid(options["uid"])
    server = EmbeddedPostgres(
        Path(options["data_dir"]),
        bin_dir=Path(options["bin_dir"]) if options["bin_dir"] else None,
        settings=options["settings"],
        on_progress=lambda text: say("progress", text),
    )
    try:
        with server:
            say("ready", str(server.pid))
            sys.stdin.read()
    except EmbeddedPostgresError as error:
        say("error", str(error))
    else:
        say("stopped")


if __name__ == "__main__":
    serve(json.loads(sys.argv[2]))
