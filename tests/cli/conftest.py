"""Commands run in process, as a shell would run them: exit code, output, errors."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from eventstore.cli import app

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
        result = CliRunner().invoke(app, list(map(str, args)), input=stdin, env=self.environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        done = Done(result.exit_code, result.stdout, result.stderr)
        assert done.code == code, done
        assert "Traceback" not in done.err
        return done


@pytest.fixture
def cli(dsn: str) -> Cli:
    """Commands on an empty store."""
    return Cli(EVENTSTORE_DSN=dsn)


@pytest.fixture
def nowhere() -> Cli:
    """Commands that are told nothing of any store."""
    return Cli()
