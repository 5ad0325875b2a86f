"""A store of an earlier revision that is in use is what it was after migrating, and goes on."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from eventstore import EventData
from eventstore.core.history import History
from eventstore.postgres.schema import migrate, migrations_dir
from eventstore.sync import SyncEventStore
from tests.fix_database import NewDatabase
from tests.migrations.test_frozen import versions

EARLIER = [path.name[:4] for path in versions()][:-1]
FIRST_WITH_CONSUMERS = "0003"
TABLES = ("events", "event_tags", "log")


def migrate_to(dsn: str, revision: str) -> None:
    config = Config()
    for option in ("script_location", "prepend_sys_path"):
        config.set_main_option(option, str(migrations_dir()))
    config.set_main_option("path_separator", "newline")
    config.attributes |= {"dsn": dsn, "schema": "eventstore"}
    command.upgrade(config, revision)


@pytest.mark.parametrize("revision", EARLIER)
def test_a_store_in_use_goes_on_after_migrating(new_database: NewDatabase, revision: str) -> None:
    dsn, event_id = new_database(), uuid.uuid4()
    migrate_to(dsn, revision)
    with psycopg.connect(dsn, autocommit=True) as connection:

        def rows(table: str) -> list[tuple[object, ...]]:
            return connection.execute(
                f"SELECT * FROM eventstore.{table} ORDER BY 1".encode()
            ).fetchall()

        append = "SELECT eventstore.append(%s, 'Placed', %s, event_id => %s, tags => '{b,a}')"
        for number in range(3):
            connection.execute(append, [f"order-{number % 2}", f'{{"n": {number}}}', uuid.uuid4()])
        connection.execute(append, ["order-9", '{"n": 9}', event_id])
        has_consumers = revision >= FIRST_WITH_CONSUMERS
        if has_consumers:
            connection.execute("SELECT eventstore.create_consumer('mails')")
            taken = connection.execute(
                "SELECT delivery FROM eventstore.receive('mails', 2)"
            ).fetchall()
            connection.execute(
                "SELECT eventstore.ack('mails', VARIADIC %s)", [[d for (d,) in taken]]
            )
        before = {table: rows(table) for table in TABLES}
        migrate(dsn)
        for table in TABLES:
            width = len(before[table][0])
            assert [row[:width] for row in rows(table)] == before[table]
    with SyncEventStore(dsn) as store:
        again = store.append(
            "order-9", EventData("Placed", {"n": 9}, event_id=event_id, tags=["a", "b"])
        )
        assert (again.position, again.replayed) == (4, True)
        assert store.append("order-1", EventData("Paid")).position == 5
        if has_consumers:
            assert [d.event.position for d in store.consumers.receive("mails", 10)] == [3, 4, 5]
        history = History()
        for event in store.read():
            history.feed(event)
        assert (history.events, history.violations) == (5, [])
