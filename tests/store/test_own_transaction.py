"""Appends within the caller's own transaction, together with business rows."""

from __future__ import annotations

import json
import uuid

import pytest

from eventstore import (
    NO_STREAM,
    Append,
    AppendCondition,
    ConditionFailed,
    DuplicateEventId,
    EventData,
    EventQuery,
    EventStore,
    RevisionConflict,
)
from tests.fix_database import Pg, new_pg
from tests.fix_faces import LocalFace, LocalKind

ROWS = "CREATE TABLE orders (id text PRIMARY KEY, total integer)"


async def count(connection: Pg) -> tuple[int, int]:
    row = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM eventstore.events)"
    )
    assert row is not None
    return row[0], row[1]


async def test_events_and_rows_are_committed_together(
    local_face: LocalFace, local_kind: LocalKind, dsn: str, connection: Pg
) -> None:
    await connection.execute(ROWS)
    async with local_kind.own_transaction(dsn) as own:
        await own.execute("INSERT INTO orders VALUES ('1', 12)")
        appended = await local_face.append(
            "order-1", EventData("Placed"), connection=own.connection
        )
        await local_face.append_many(
            [Append("audit", [EventData("Seen")])], connection=own.connection
        )
        assert await count(connection) == (0, 0)
    assert await count(connection) == (1, 2)
    assert appended.position == 1


async def test_events_and_rows_are_rolled_back_together_and_leave_no_gap(
    local_face: LocalFace, local_kind: LocalKind, dsn: str, connection: Pg
) -> None:
    await connection.execute(ROWS)
    async with local_kind.own_transaction(dsn) as own:
        await own.execute("SAVEPOINT before")
        await own.execute("INSERT INTO orders VALUES ('1', 12)")
        lost = await local_face.append("order-1", EventData("Placed"), connection=own.connection)
        await own.execute("ROLLBACK TO SAVEPOINT before")
    assert await count(connection) == (0, 0)
    after = await local_face.append("order-1", EventData("Placed"))
    assert (after.revision, after.position) == (lost.revision, lost.position) == (0, 1)


async def test_a_refusal_leaves_the_transaction_usable(
    local_face: LocalFace, local_kind: LocalKind, dsn: str, connection: Pg
) -> None:
    await connection.execute(ROWS)
    used = uuid.uuid4()
    await local_face.append("order-1", EventData("Placed", event_id=used))
    async with local_kind.own_transaction(dsn) as own:
        await own.execute("INSERT INTO orders VALUES ('1', 12)")
        with pytest.raises(RevisionConflict):
            await local_face.append(
                "order-1", EventData("T"), expected_revision=NO_STREAM, connection=own.connection
            )
        with pytest.raises(DuplicateEventId):
            await local_face.append("x", EventData("T", event_id=used), connection=own.connection)
        with pytest.raises(ConditionFailed):
            await local_face.append_many(
                [Append("x", [EventData("T")])],
                condition=AppendCondition(EventQuery()),
                connection=own.connection,
            )
        appended = await local_face.append("order-1", EventData("Paid"), connection=own.connection)
        assert (appended.revision, appended.position) == (1, 2)
    assert await count(connection) == (1, 2)


async def test_later_appends_of_a_transaction_see_the_earlier_ones(
    local_face: LocalFace, local_kind: LocalKind, dsn: str
) -> None:
    event = EventData("T", event_id=uuid.uuid4())
    async with local_kind.own_transaction(dsn) as own:
        first = await local_face.append(
            "a", event, expected_revision=NO_STREAM, connection=own.connection
        )
        again = await local_face.append(
            "a", event, expected_revision=NO_STREAM, connection=own.connection
        )
        assert again == first._replace(replayed=True)
        second = await local_face.append(
            "a", EventData("T"), expected_revision=0, connection=own.connection
        )
        assert second.position == 2
    assert (await local_face.append("a", event)).replayed


async def test_the_append_of_a_committed_transaction_is_replayed(
    local_face: LocalFace, local_kind: LocalKind, dsn: str
) -> None:
    async with local_kind.own_transaction(dsn) as own:
        first = await local_face.append(
            "a", EventData("T"), idempotency_key="k", connection=own.connection
        )
    assert await local_face.append("a", EventData("T"), idempotency_key="k") == first._replace(
        replayed=True
    )


@pytest.mark.parametrize("format_", ["text", "binary"])
async def test_a_connection_that_decodes_json_itself_serves_as_well(
    store: EventStore, dsn: str, format_: str
) -> None:
    async with new_pg(dsn) as connection:
        for name in ("json", "jsonb"):
            if format_ == "text":
                await connection.set_type_codec(
                    name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
                )
            else:
                await connection.set_type_codec(
                    name,
                    schema="pg_catalog",
                    format="binary",
                    encoder=lambda value: b"\x01" + json.dumps(value).encode(),
                    decoder=lambda data: json.loads(data[1:]),
                )
        event = EventData("T", {"a": ["ż", None]}, {"m": 1})
        async with connection.transaction():
            await store.append("a", event, connection=connection)
            with pytest.raises(RevisionConflict) as conflict:
                await store.append("a", event, expected_revision=NO_STREAM, connection=connection)
            assert conflict.value.current_revision == 0
            await store.append_many(
                [Append("b", [event])],
                condition=AppendCondition(EventQuery(types=["X"])),
                connection=connection,
            )
    assert [(e.data, e.metadata) async for e in store.read()] == [
        ({"a": ["ż", None]}, {"m": 1})
    ] * 2
