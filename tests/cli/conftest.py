"""Commands run in process, as a shell would run them: exit code, output, errors."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from typing import Any, Final, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from eventstore.cli import app

COMMAND: Final = typer.main.get_command(app)
"""Every command. To make it takes longer than to run most of them, so it is made once."""

NOWHERE = {
    "EVENTSTORE_URL": None,
    "EVENTSTORE_DSN": None,
    "EVENTSTORE_SCHEMA": None,
    "EVENTSTORE_DATA_DIR": None,
    "COLUMNS": "200",
    "TERM": "dumb",
}


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Give the output as JSON."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Give the output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """Runs commands on a database, or where `environ` says."""

    def __init__(self, **environ: str) -> None:
        self.environ: dict[str, str | None] = {**NOWHERE, **environ}

    def __call__(self, *args: object, stdin: str | bytes | None = None, code: int = 0) -> Done:
        """Run a command; it must end with this exit code, and never with a traceback."""
        # Not CliRunner.invoke: it takes the app, and makes its commands for each call.
        with CliRunner().isolation(input=stdin, env=self.environ) as (out, err, _):
            with pytest.raises(SystemExit) as ended:
                COMMAND.main(list(map(str, args)), "eventstore")
            sys.stdout.flush()
            sys.stderr.flush()
            done = Done(int(ended.value.code or 0), _text(out), _text(err))
        assert done.code == code, done
        assert "Traceback" not in done.err
        return done


def _text(stream: BytesIO) -> str:
    return stream.getvalue().decode().replace("\r\n", "\n")


@pytest.fixture
def cli(dsn: str) -> Cli:
    """Commands on an empty store."""
    return Cli(EVENTSTORE_DSN=dsn)


@pytest.fixture
def nowhere() -> Cli:
    """Commands that are told nothing of any store."""
    return Cli()
