"""`migrate`: from nothing to the needed revision, and clear about what stands in the way."""

from __future__ import annotations

from typing import Any

import pytest

from eventstore.postgres.schema import REQUIRED_REVISION
from tests.cli.conftest import Cli
from tests.fix_database import Psql

pytestmark = pytest.mark.one_postgres


def test_an_empty_database_is_migrated_once(nowhere: Cli, new_database: Any) -> None:
    dsn = new_database()
    at = ["--dsn", dsn]
    assert "run: eventstore migrate" in nowhere("migrate", "check", *at, code=1).err
    assert nowhere("migrate", "current", *at, "--json").json() == {
        "schema": "eventstore",
        "installed": None,
        "needed": REQUIRED_REVISION,
    }
    assert nowhere("migrate", *at).out == (
        f"schema eventstore is at revision {REQUIRED_REVISION} (was empty)\n"
    )
    assert "nothing to do" in nowhere("migrate", *at).out
    assert "as needed" in nowhere("migrate", "check", *at).out
    assert f"installed {REQUIRED_REVISION}" in nowhere("migrate", "current", *at).out
    nowhere("append", "a", "T", *at)


def test_another_schema_is_another_store(cli: Cli) -> None:
    try:
        cli("migrate", "--schema", "cli_test_shop")
        cli("append", "a", "T", "--schema", "cli_test_shop")
        assert cli("read").out == ""
        assert len(cli("read", "--schema", "cli_test_shop", "--json").lines()) == 1
    finally:
        sql = "DROP SCHEMA cli_test_shop CASCADE; " + "; ".join(
            f"DROP OWNED BY cli_test_shop_{name}; DROP ROLE cli_test_shop_{name}"
            for name in ("owner", "writer", "reader", "worker")
        )
        cli_sql(cli, sql)


def cli_sql(cli: Cli, text: str) -> None:
    """Run SQL on the database that commands are told of."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(str(cli.environ["EVENTSTORE_DSN"]), autocommit=True) as connection:
        connection.execute(text.encode())


def test_the_sql_can_be_printed_without_a_database(nowhere: Cli) -> None:
    out = nowhere("migrate", "--sql").out
    assert "CREATE TABLE eventstore.events" in out
    assert "CREATE TABLE shop.events" in nowhere("migrate", "--sql", "--schema", "shop").out


def test_a_newer_schema_is_left_alone(cli: Cli, sql: Psql) -> None:
    sql.execute("UPDATE eventstore.alembic_version SET version_num = '9999'")
    assert "pip install --upgrade eventstore" in cli("migrate", code=1).err


def test_a_user_who_may_not_migrate_is_told_what_helps(
    nowhere: Cli, new_database: Any, sql: Psql
) -> None:
    sql.execute("CREATE ROLE cli_test_nobody LOGIN")
    try:
        dsn = new_database().replace("postgres@", "cli_test_nobody@", 1)
        err = nowhere("migrate", "--dsn", dsn, "--schema", "cli_test_new", code=1).err
    finally:
        sql.execute("DROP ROLE cli_test_nobody")
    assert "not migrated" in err
    assert "CREATE ROLE cli_test_new_owner" in err


def test_options_go_behind_the_subcommand(nowhere: Cli) -> None:
    done = nowhere("migrate", "--dsn", "postgresql://h/x", "check", code=2)
    assert "behind 'check'" in done.err


def test_a_database_out_of_reach_is_one_line(nowhere: Cli) -> None:
    done = nowhere("migrate", "--dsn", "postgresql://u:hidden@127.0.0.1:9/x", code=1)
    assert done.err.startswith("eventstore: the database cannot be reached")
    assert done.err.count("\n") == 1
