"""The second wall: not even the owner or a superuser changes history by a slip of the hand."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.fix_database import Psql

CHANGES = [
    f"{change}{table}{rest}"
    for table in ("eventstore.events", "eventstore.event_tags")
    for change, rest in (
        ("DELETE FROM ", ""),
        ("DELETE FROM ", " WHERE position = 99"),
        ("UPDATE ", " SET position = position"),
        ("TRUNCATE ", ""),
        ("TRUNCATE eventstore.log, ", " CASCADE"),
    )
]


@pytest.mark.parametrize("setting", ["origin", "replica", "local"])
@pytest.mark.parametrize("role", ["eventstore_owner", "postgres"])
def test_changing_history_is_refused(
    sql: Psql, sync_store: SyncEventStore, role: str, setting: str
) -> None:
    sync_store.append("order-1", EventData("T", tags=["t"]))
    before = list(sync_store.read())
    sql.execute(f"SET session_replication_role = {setting}".encode())
    if role == "eventstore_owner":
        sql.execute("SET ROLE eventstore_owner")
    for change in CHANGES:
        with pytest.raises(psycopg.Error, match="the log is append-only") as refused:
            sql.execute(change.encode())
        assert refused.value.sqlstate == "ST005"
        assert "correcting event" in (refused.value.diag.message_hint or "")
    assert list(sync_store.read()) == before


def test_an_upsert_or_merge_changes_nothing_either(sql: Psql, sync_store: SyncEventStore) -> None:
    sync_store.append("order-1", EventData("T"))
    with pytest.raises(psycopg.Error, match="append-only"):
        sql.execute(
            "INSERT INTO eventstore.events SELECT * FROM eventstore.events"
            " ON CONFLICT (position) DO UPDATE SET data = '{}'"
        )
    with pytest.raises(psycopg.Error, match="append-only"):
        sql.execute(
            "MERGE INTO eventstore.events AS e USING eventstore.events AS o"
            " ON e.position = o.position WHEN MATCHED THEN DELETE"
        )
