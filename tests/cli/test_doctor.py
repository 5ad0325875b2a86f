"""`doctor`: what it says of a real server, and how it judges what a test cannot bring about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore import EventStore
from eventstore.core.errors import SchemaMismatch, Unavailable
from eventstore.postgres.doctor import (
    Finding,
    could_not_look,
    of_echo,
    of_indexes,
    of_latency,
    of_lock,
    of_queue,
    of_revision,
    of_server,
    of_sizes,
    of_transaction,
    of_user,
    size_text,
)
from eventstore.postgres.errors import AccessDenied
from eventstore.postgres.schema import REQUIRED_REVISION
from tests.cli.conftest import Cli, Done
from tests.fix_database import Psql
from tests.fix_service import served


def findings(done: Done) -> dict[str, dict[str, str]]:
    """Give what the doctor says, by name."""
    return {one["name"]: one for one in done.json()}


def test_a_server_without_fsync_is_bad_and_the_rest_is_well(cli: Cli) -> None:
    found = findings(cli("doctor", "--json", code=1))
    bad = {name for name, one in found.items() if one["state"] == "bad"}
    assert bad == {"fsync", "full_page_writes"}  # as test servers run
    assert {"connection", "server", "schema", "append lock", "tables", "latency"} <= set(found)
    assert found["notifications"]["value"] == "arrive"
    assert "set fsync = on" in cli("doctor", code=1).out


def test_who_holds_the_append_lock_is_named(cli: Cli, sql: Psql) -> None:
    with sql.transaction():
        sql.execute("SELECT * FROM eventstore.append('a-1', 'T')")
        found = findings(cli("doctor", "--json", code=1))
    assert (
        f"(test, pid {sql.info.backend_pid}, idle in transaction)" in found["append lock"]["value"]
    )
    assert f"pid {sql.info.backend_pid}" in found["oldest transaction"]["value"]


def test_an_invalid_index_is_bad(cli: Cli, sql: Psql) -> None:
    sql.execute(
        "UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid = 'eventstore.events_event_type_position_idx'::regclass"
    )
    found = findings(cli("doctor", "--json", code=1))["indexes"]
    assert (found["state"], found["value"]) == ("bad", "invalid: events_event_type_position_idx")


def test_a_view_in_place_of_a_read_table_is_bad(cli: Cli, sql: Psql) -> None:
    sql.execute(
        "SELECT eventstore.projection_register_v1('orders', 1, '{}', '{orders,lines}', 'f', 1)"
    )
    sql.execute("CREATE TABLE eventstore_read.orders ()")
    sql.execute("CREATE VIEW eventstore_read.lines AS SELECT 1 AS one")
    found = findings(cli("doctor", "--json", code=1))["read tables"]
    assert (found["state"], found["value"]) == ("bad", "lines is a view")
    sql.execute("DROP VIEW eventstore_read.lines")
    found = findings(cli("doctor", "--json", code=1))["read tables"]
    assert (found["state"], found["value"]) == ("bad", "lines is missing")
    sql.execute("CREATE TABLE eventstore_read.lines ()")
    found = findings(cli("doctor", "--json", code=1))["read tables"]
    assert (found["state"], found["value"]) == ("ok", "all tables")


@pytest.mark.one_postgres
def test_an_empty_database_is_told_to_migrate(nowhere: Cli, new_database: Any) -> None:
    found = findings(nowhere("doctor", "--dsn", new_database(), "--json", code=1))
    assert found["schema"]["state"] == "bad"
    assert found["schema"]["advice"] == "run: eventstore migrate"
    assert found["append lock"]["state"] == "bad"


@pytest.mark.one_postgres
def test_a_user_without_a_role_is_told_which_grant_helps(cli: Cli, sql: Psql, dsn: str) -> None:
    sql.execute("CREATE ROLE cli_test_stranger LOGIN")
    try:
        stranger = dsn.replace("postgres@", "cli_test_stranger@", 1)
        found = findings(cli("doctor", "--dsn", stranger, "--json", code=1))
    finally:
        sql.execute("DROP ROLE cli_test_stranger")
    assert found["user"]["advice"].startswith("GRANT eventstore_writer TO cli_test_stranger")
    assert found["append lock"]["state"] == "warn"


@pytest.mark.one_postgres
def test_a_database_out_of_reach_is_a_finding(nowhere: Cli) -> None:
    done = nowhere("doctor", "--dsn", "postgresql://u:hidden@127.0.0.1:9/x", "--json", code=1)
    [only] = done.json()
    assert (only["name"], only["state"]) == ("connection", "bad")
    assert "hidden" not in done.out


@pytest.mark.one_postgres
def test_a_service_is_looked_at_from_outside(nowhere: Cli, dsn: str, sql: Psql) -> None:
    with served(EventStore(dsn)) as (host, port):
        url = f"http://{host}:{port}"
        found = findings(nowhere("doctor", "--url", url, "--json"))
        assert found["ready"]["value"] == "yes"
        assert found["head"]["value"] == "position 0, epoch 1"
    done = nowhere("doctor", "--url", url, code=1)
    assert "start it: eventstore serve" in done.out


@pytest.mark.one_postgres
def test_without_a_store_it_says_how_to_start_one(nowhere: Cli, tmp_path: Any) -> None:
    done = nowhere("doctor", "--data-dir", tmp_path, code=1)
    assert f"no service runs on {tmp_path}; start it: eventstore serve" in done.err


HOLDER = (7, "app", "", "shop", "idle in transaction", datetime(2026, 1, 2, tzinfo=UTC))
SERVER = (180_001, "18.1", "on", "on", "on", "app", False, ["eventstore_writer"], False)


def states(findings_: list[Finding]) -> dict[str, str]:
    return {one.name: one.state for one in findings_ if one.state != "ok"}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {}),
        ({0: 150_000, 1: "15.0"}, {}),
        ({0: 140_009, 1: "14.9"}, {"server": "bad"}),
        ({0: 190_000, 1: "19.0"}, {"server": "warn"}),
        ({2: "off"}, {"fsync": "bad"}),
        ({3: "off"}, {"synchronous_commit": "bad"}),
        ({3: "remote_apply"}, {}),
        ({4: "off"}, {"full_page_writes": "bad"}),
        ({7: []}, {"user": "bad"}),
        ({6: True, 7: []}, {}),
        ({8: True}, {"role of the server": "bad"}),
    ],
)
def test_settings_are_judged(changed: dict[int, Any], expected: dict[str, str]) -> None:
    row = [changed.get(n, value) for n, value in enumerate(SERVER)]
    assert states(of_server(row, "eventstore")) == expected


@pytest.mark.parametrize(
    ("installed", "state", "advice"),
    [
        (REQUIRED_REVISION, "ok", ""),
        (None, "bad", "run: eventstore migrate --schema shop"),
        ("0000", "bad", "run: eventstore migrate --schema shop"),
        ("9999", "bad", "run: pip install --upgrade eventstore"),
    ],
)
def test_the_revision_is_judged(installed: str | None, state: str, advice: str) -> None:
    found = of_revision(installed, "shop")
    assert (found.state, found.advice) == (state, advice)


@pytest.mark.parametrize(
    ("held", "waiters", "state"),
    [(0.1, 9, "ok"), (1.9, 0, "ok"), (2.0, 0, "warn"), (60.0, 1, "bad")],
)
def test_a_lock_that_is_held_for_long_is_judged(held: float, waiters: int, state: str) -> None:
    found = of_lock((7, "app", "", "idle in transaction", held, waiters))
    assert found.state == state
    assert ("pg_terminate_backend(7)" in found.advice) == (state != "ok")


@pytest.mark.parametrize(("age", "state"), [(1.0, "ok"), (299.0, "ok"), (300.0, "warn")])
def test_an_old_transaction_is_judged(age: float, state: str) -> None:
    assert of_transaction([(7, "app", "x", "active", age)]).state == state


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (of_lock((None,) * 6), "ok"),
        (of_transaction([]), "ok"),
        (of_indexes([]), "ok"),
        (of_indexes([("i",)]), "bad"),
        (of_queue(0.4, [], sees_all=True), "ok"),
        (of_queue(0.5, [], sees_all=True), "warn"),
        (of_queue(0.5, [HOLDER], sees_all=False), "warn"),
        (of_queue(0.5, [HOLDER], sees_all=True), "warn"),
        (of_echo("heard"), "ok"),
        (of_echo("silent"), "warn"),
        (of_echo("mixed"), "bad"),
        (of_echo("full"), "bad"),
        (of_echo("standby"), "warn"),
        (of_latency(0.001), "ok"),
        (of_latency(0.1), "warn"),
        (of_sizes([("events", 3 << 20, 5)]), "ok"),
        (of_user("a", is_superuser=False, roles=["a"], schema="a"), "ok"),
        (could_not_look("x", AccessDenied("no")), "warn"),
        (could_not_look("x", SchemaMismatch("no")), "bad"),
        (could_not_look("x", Unavailable("no")), "bad"),
    ],
)
def test_everything_else_is_judged(found: Finding, state: str) -> None:
    assert found.state == state
    assert bool(found.advice) == (state != "ok")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (2048, "2 kB"), (5 << 20, "5 MB"), (7 << 30, "7 GB"), (3 << 40, "3.0 TB")],
)
def test_sizes_are_told_in_a_unit_that_people_read(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_question_that_fails_does_not_hide_the_others(cli: Cli, sql: Psql) -> None:
    sql.execute("DROP VIEW eventstore.health")
    found = findings(cli("doctor", "--json", code=1))
    assert found["append lock"]["state"] == "bad"
    assert found["indexes"]["state"] == "ok"
