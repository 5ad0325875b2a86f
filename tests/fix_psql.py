"""psql and the other client programs, as a user runs them; roles that can log in."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from tests.fix_server import Server

Run = Callable[..., str]


def run_program(server: Server, program: str, *arguments: str, stdin: str | None = None) -> str:
    """Run a client program that fits the server; give its output, or fail with what it says."""
    done = subprocess.run(
        [server.program(program), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"},
    )
    assert done.returncode == 0, f"{program} {' '.join(arguments)}:\n{done.stderr}"
    return done.stdout


@pytest.fixture
def psql(server: Server, dsn: str) -> Run:
    """Run SQL or backslash commands by psql on the test's database; give its bare output."""

    def run(sql: str) -> str:
        options = ("-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1")
        return run_program(server, "psql", dsn, *options, stdin=sql).strip()

    return run


Login = Callable[[str, str], str]


@pytest.fixture
def login(server: Server) -> Iterator[Login]:
    """Make a user that is a member of a role, and give its DSN; drop the users in the end."""
    users: list[str] = []

    def make(role: str, dsn: str) -> str:
        user, password = f"test_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(
                SQL("CREATE USER {} PASSWORD {} IN ROLE {}").format(
                    Identifier(user), Literal(password), Identifier(role)
                )
            )
        users.append(user)
        parts = urlsplit(dsn)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))

    yield make
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        for user in users:
            connection.execute(SQL("DROP USER {}").format(Identifier(user)))
