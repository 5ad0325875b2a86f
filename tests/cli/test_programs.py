"""The console script as a process: `psql`, `bench`, pipes, start-up."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Cli
from tests.client.serving import COMMAND, environment

pytestmark = pytest.mark.one_postgres


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the console script."""
    return subprocess.run(
        [*COMMAND, *args],
        env={**environment(), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_psql_runs_on_the_store_with_every_option_of_its_own(dsn: str) -> None:
    append = "SELECT position FROM eventstore.append('a-1', 'T', '{\"n\": 1}')"
    assert run("psql", "--dsn", dsn, "-At", "-c", append).stdout == "1\n"
    count = run("psql", "-qAt", "-c", "SELECT count(*) FROM eventstore.events", EVENTSTORE_DSN=dsn)
    assert count.stdout == "1\n"
    assert run("psql", "--dsn", dsn, "-c", "nonsense", "-v", "ON_ERROR_STOP=1").returncode == 1


def test_a_reader_that_has_enough_ends_the_command_without_a_word(cli: Cli, dsn: str) -> None:
    text = "".join(f'{{"stream":"a","type":"T","data":{"1" * 60}{n}}}\n' for n in range(3_000))
    cli("import", "-", "--format", "ndjson", stdin=text)
    for command in (["read"], ["read", "--json"], ["export"]):
        reading = subprocess.Popen(
            [*COMMAND, *command, "--dsn", dsn],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert reading.stdout is not None
        assert reading.stderr is not None
        with reading.stdout, reading.stderr:
            assert reading.stdout.readline()
            reading.stdout.close()
            assert reading.stderr.read() == b""
        assert reading.wait(30) == 1


def test_help_imports_neither_drivers_of_migrations_nor_the_service() -> None:
    script = (
        "import sys\nfrom eventstore.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'alembic', 'sqlalchemy', 'fastapi', 'uvicorn', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "append",
        "read",
        "tail",
        "streams",
        "import",
        "export",
        "verify",
        "doctor",
        "migrate",
        "psql",
    ],
)
def test_every_command_teaches_by_example(nowhere: Cli, command: str) -> None:
    _, _, explanation = nowhere(command, "--help").out.partition("Usage:")
    assert explanation.count(f"eventstore {command}") > 1


def test_benchmarks_are_listed_and_run_by_name(nowhere: Cli) -> None:
    listed = nowhere("bench", "--list").out
    assert "append_library Library append" in " ".join(listed.split())
    assert "--smoke" in nowhere("bench", "append_library", "--help").out
    assert "there are: append_library" in nowhere("bench", "nothing", code=2).err


def test_what_is_no_origin_is_refused_before_anything_starts() -> None:
    refused = "an origin is like https://app.example"
    assert refused in Cli()("serve", "--allow-origin", "*", code=2).err
    several = Cli(EVENTSTORE_ALLOW_ORIGIN="http://a http://b/x", COLUMNS="200")
    assert "'http://b/x'" in several("serve", code=2).err
