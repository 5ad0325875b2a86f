"""`verify` finds what was done to a log behind its back."""

from __future__ import annotations

import pytest

from eventstore import EventStore
from eventstore.core.history import EVENT_IDS, POSITIONS, REVISIONS
from tests.cli.conftest import Cli
from tests.fix_database import Psql
from tests.fix_service import served

TAG_INDEX = "the tag index says what events say"
TRIGGERS = "triggers refuse every change"
INDEXES = "indexes are valid"
WRITERS = "only the owner may change the log"
NO_TRIGGERS = (
    "SET session_replication_role = replica; ALTER TABLE eventstore.events DISABLE TRIGGER ALL"
)


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Commands on a store with six events of two streams."""
    for n in range(6):
        cli("append", f"{'ab'[n % 2]}-1", "T", "--tag", f"n{n}", "--tag", "t")
    return cli


def broken(cli: Cli) -> dict[str, int]:
    """Verify a store that is not sound; give the checks that say so."""
    report = cli("verify", "--json", code=1).json()
    assert report["ok"] is False
    return {one["check"]: one["violations"] for one in report["checks"] if one["violations"]}


def test_a_sound_log_is_told_as_such(filled: Cli) -> None:
    report = filled("verify", "--json").json()
    assert (report["ok"], report["events"], report["streams"]) == (True, 6, 2)
    assert len(report["checks"]) == 9
    out = filled("verify").out
    assert "6 events, 2 streams: all well" in out


def test_an_empty_log_is_sound(cli: Cli) -> None:
    assert cli("verify", "--json").json()["events"] == 0


@pytest.mark.parametrize(
    ("tampering", "expected"),
    [
        (
            "DELETE FROM eventstore.events WHERE position = 3",
            {POSITIONS: 1, REVISIONS: 1, TAG_INDEX: 2},
        ),
        ("DELETE FROM eventstore.events WHERE position = 6", {TAG_INDEX: 2}),
        ("UPDATE eventstore.events SET revision = 7 WHERE position = 4", {REVISIONS: 2}),
        ("UPDATE eventstore.events SET tags = '{n0}' WHERE position = 1", {TAG_INDEX: 1}),
        (
            "UPDATE eventstore.events SET position = 9 WHERE position = 6",
            {POSITIONS: 1, TAG_INDEX: 4},
        ),
        (
            "ALTER TABLE eventstore.events DROP CONSTRAINT events_event_id_key; UPDATE "
            "eventstore.events SET event_id = (SELECT event_id FROM eventstore.events WHERE "
            "position = 1) WHERE position = 5",
            {EVENT_IDS: 1},
        ),
    ],
)
def test_tampering_is_found(
    filled: Cli, sql: Psql, tampering: str, expected: dict[str, int]
) -> None:
    sql.execute(NO_TRIGGERS.encode())
    sql.execute(tampering.encode())
    sql.execute("ALTER TABLE eventstore.events ENABLE ALWAYS TRIGGER events_append_only")
    assert broken(filled) == expected
    assert "violations" in filled("verify", code=1).out


@pytest.mark.parametrize(
    "weakening",
    [
        "ALTER TABLE eventstore.events DISABLE TRIGGER events_append_only",
        "ALTER TABLE eventstore.event_tags ENABLE TRIGGER event_tags_append_only",
        "DROP TRIGGER events_append_only ON eventstore.events",
    ],
)
def test_a_weakened_trigger_is_found(filled: Cli, sql: Psql, weakening: str) -> None:
    sql.execute(weakening.encode())
    assert broken(filled) == {TRIGGERS: 1}


def test_a_role_that_may_change_the_log_is_found(filled: Cli, sql: Psql) -> None:
    sql.execute("CREATE ROLE cli_test_meddler")
    try:
        sql.execute("GRANT DELETE, UPDATE ON eventstore.events TO cli_test_meddler")
        assert broken(filled) == {WRITERS: 1}
        assert "cli_test_meddler may DELETE, UPDATE events" in filled("verify", code=1).out
    finally:
        sql.execute("DROP OWNED BY cli_test_meddler")
        sql.execute("DROP ROLE cli_test_meddler")


def test_a_grant_to_everyone_is_found(filled: Cli, sql: Psql) -> None:
    sql.execute("GRANT INSERT ON eventstore.events TO PUBLIC")
    assert broken(filled)[WRITERS] > 0


def test_an_invalid_index_is_found(filled: Cli, sql: Psql) -> None:
    sql.execute(
        "UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid = 'eventstore.events_event_type_position_idx'::regclass"
    )
    assert broken(filled) == {INDEXES: 1}


@pytest.mark.one_postgres
def test_a_log_is_verified_through_a_service(filled: Cli, dsn: str, sql: Psql) -> None:
    with served(EventStore(dsn)) as (host, port):
        cli = Cli(EVENTSTORE_URL=f"http://{host}:{port}")
        report = cli("verify", "--json").json()
        assert (report["ok"], report["events"], len(report["checks"])) == (True, 6, 5)
        sql.execute(NO_TRIGGERS.encode())
        sql.execute("DELETE FROM eventstore.events WHERE position = 3")
        assert broken(cli) == {POSITIONS: 1, REVISIONS: 1}
