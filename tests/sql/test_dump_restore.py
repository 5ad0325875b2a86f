"""G7: pg_dump and pg_restore keep positions, revisions, identity and retries."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventstore import Append, EventData, EventQuery, EventStore
from tests.fix_database import NewDatabase, Pg, new_pg
from tests.fix_psql import run_program
from tests.fix_server import Server
from tests.fix_waiting import dense


@pytest.mark.parametrize("how", ["custom", "plain"])
async def test_a_restored_store_is_the_same_store(
    server: Server, dsn: str, new_database: NewDatabase, tmp_path: Path, how: str
) -> None:
    dump = str(tmp_path / "dump")
    async with EventStore(dsn) as store:
        for n in range(50):
            await store.append_many(
                [
                    Append(f"żółw-{n % 7}", [EventData("T", 10**29 + n, tags=["t", '"{,'])]),
                    Append("other", [EventData("U", "\u2028")]),
                ],
                idempotency_key=f"key-{n}",
            )
        first = await store.append("order-1", EventData("T"), idempotency_key="k")
        events = [event async for event in store.read()]
        head = await store.head()
    run_program(server, "pg_dump", dsn, "--format", how, "--file", dump)

    restored = new_database()
    if how == "custom":
        run_program(server, "pg_restore", "--exit-on-error", "--dbname", restored, dump)
    else:
        run_program(server, "psql", restored, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump)

    async with EventStore(restored) as store, new_pg(restored) as connection:
        assert await store.head() == head
        assert [event async for event in store.read()] == events
        assert len([e async for e in store.read(EventQuery(tags=["t", '"{,']))]) == 50
        again = await store.append("order-1", EventData("T"), idempotency_key="k")
        assert again == first._replace(replayed=True)
        after = await store.append("order-1", EventData("T"))
        assert (after.position, after.revision) == (head.position + 1, 1)
        with pytest.raises(Exception, match="append-only"):
            await connection.execute("DELETE FROM eventstore.events")
        assert await dense(connection) == head.position + 1


async def test_the_owner_begins_a_new_epoch_after_a_restore(
    store: EventStore, connection: Pg
) -> None:
    await store.append("a", EventData("T"))
    before = await store.head()
    assert before.epoch == 1
    await connection.execute("SET ROLE eventstore_owner")
    assert await connection.fetchval("SELECT eventstore.begin_epoch()") == 2
    assert await store.head() == before._replace(epoch=2)
