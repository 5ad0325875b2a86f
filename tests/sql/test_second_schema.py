"""One database may hold several stores: a schema each, and nothing shared."""

from __future__ import annotations

import psycopg
import pytest

from eventstore import EventData, EventStore, InvalidInput, SchemaMismatch
from eventstore.postgres.errors import AccessDenied
from eventstore.postgres.schema import migrate
from eventstore.postgres.statements import statements
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql
from tests.fix_psql import Login
from tests.fix_waiting import Heard


@pytest.fixture
def orders(dsn: str) -> str:
    """The test's database with a second store in the schema `orders`."""
    migrate(dsn, schema="orders")
    return dsn


async def test_stores_in_two_schemas_share_nothing(orders: str, store: EventStore) -> None:
    async with EventStore(orders, schema="orders") as second:
        await store.append("a", EventData("T", tags=["t"]), idempotency_key="k")
        other = await second.append("a", EventData("U", tags=["t"]), idempotency_key="k")
        assert (other.position, other.revision, other.replayed) == (1, 0, False)
        assert [e.event_type async for e in second.read()] == ["U"]
        assert [e.event_type async for e in store.read()] == ["T"]
        assert (await second.head()).store_id != (await store.head()).store_id


def test_a_store_works_on_when_the_other_is_dropped(orders: str, sql: Psql) -> None:
    sql.execute("DROP SCHEMA eventstore CASCADE")
    with SyncEventStore(orders, schema="orders") as store:
        store.append("a", EventData("T", tags=["t"]))
        assert [event.position for event in store.read()] == [1]
    with pytest.raises(SchemaMismatch), SyncEventStore(orders):
        pass


def test_nothing_of_one_schema_names_the_other(orders: str, sql: Psql) -> None:
    definitions = sql.execute(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'orders'::regnamespace"
        " UNION ALL SELECT definition FROM pg_views WHERE schemaname = 'orders'"
        " UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c"
        " ON c.oid = t.tgrelid WHERE c.relnamespace = 'orders'::regnamespace"
    ).fetchall()
    assert len(definitions) > 10
    assert [text for (text,) in definitions if "eventstore" in text] == []
    assert [text for text in statements("orders").values() if "eventstore" in text] == []


async def test_each_schema_notifies_on_its_own_channel(
    orders: str, connection: Pg, login: Login
) -> None:
    async with Heard(connection, "orders") as second, Heard(connection, "eventstore") as first:
        with psycopg.connect(login("orders_writer", orders), autocommit=True) as writer:
            writer.execute("SELECT orders.append('a', 'T')")
        assert await second.reach("end") == ["1", "end"]
        assert await first.reach("end") == ["end"]


async def test_the_writer_of_one_store_cannot_touch_the_other(orders: str, login: Login) -> None:
    writer = login("orders_writer", orders)
    async with EventStore(writer, schema="orders") as store:
        await store.append("a", EventData("T"))
    with pytest.raises(AccessDenied):
        async with EventStore(writer):
            pass


@pytest.mark.parametrize(
    "name", ["", "Orders", "1a", "a-b", "a.b", "a;--", "a" * 42, "żółw", "a b"]
)
def test_a_schema_name_is_plain(dsn: str, name: str) -> None:
    with pytest.raises(InvalidInput, match="a schema name"):
        EventStore(dsn, schema=name)
    with pytest.raises(InvalidInput, match="a schema name"):
        migrate(dsn, schema=name)
