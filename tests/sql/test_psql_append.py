"""psql as a client: `eventstore.append`, the read functions and the views."""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
import pytest

from eventstore import EventData, EventQuery, EventStore, RevisionConflict
from eventstore.core.errors import refusal_from
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql
from tests.fix_psql import Run
from tests.fix_waiting import Heard


def refusal(sql: Psql, statement: str) -> tuple[str | None, dict[str, Any]]:
    """Run a statement that is refused; give its SQLSTATE and the facts of its DETAIL."""
    with pytest.raises(psycopg.Error) as refused:
        sql.execute(statement.encode())
    return refused.value.sqlstate, json.loads(refused.value.diag.message_detail or "{}")


def one(sql: Psql, statement: str) -> tuple[Any, ...]:
    row = sql.execute(statement.encode()).fetchone()
    assert row is not None
    return row


async def test_psql_appends_and_the_store_sees_it(psql: Run, store: EventStore) -> None:
    answer = psql("""SELECT * FROM eventstore.append('order-1', 'OrderPlaced', '{"total": 12}')""")
    assert answer == "1|0|f"
    [event] = [e async for e in store.read_stream("order-1")]
    assert (event.event_type, event.data, event.metadata) == ("OrderPlaced", {"total": 12}, {})
    assert (await store.append("order-1", EventData("Paid"), expected_revision=0)).position == 2


async def test_tags_from_psql_are_sorted_without_repeats_and_found(
    sql: Psql, store: EventStore
) -> None:
    sql.execute(
        "SELECT eventstore.append('a', 'T', tags => ARRAY['b', 'a', 'b', 'C', %s])", ['"{,}\\']
    )
    [event] = [e async for e in store.read(EventQuery(tags=["b", '"{,}\\']))]
    assert event.tags == sorted({"b", "a", "C", '"{,}\\'})


@pytest.mark.parametrize(
    ("expected", "stored", "goes"),
    [(-1, 0, True), (-1, 1, False), (-3, 0, False), (-3, 1, True), (0, 1, True), (1, 1, False)],
)
def test_the_expected_revision_is_compared(
    sql: Psql, expected: int, stored: int, goes: bool
) -> None:
    for _ in range(stored):
        sql.execute("SELECT eventstore.append('order-1', 'T')")
    statement = f"SELECT * FROM eventstore.append('order-1', 'T', expected_revision => {expected})"
    if goes:
        assert one(sql, statement) == (stored + 1, stored, False)
    else:
        sqlstate, facts = refusal(sql, statement)
        assert sqlstate == "ST001"
        current = stored - 1 if stored else None
        assert facts == {"stream": "order-1", "expected": expected, "current_revision": current}
        error = refusal_from(sqlstate, facts)
        assert isinstance(error, RevisionConflict)
        assert error.current_revision == current


def test_a_retry_with_the_same_id_gives_the_first_answer(sql: Psql) -> None:
    statement = (
        "SELECT * FROM eventstore.append('order-1', 'T', expected_revision => -1,"
        f" event_id => '{uuid.uuid4()}')"
    )
    assert one(sql, statement) == (1, 0, False)
    sql.execute("SELECT eventstore.append('order-1', 'Later')")
    assert one(sql, statement) == (1, 0, True)


def test_an_id_of_another_append_is_refused(sql: Psql) -> None:
    used = uuid.uuid4()
    sql.execute("SELECT eventstore.append('order-1', 'T', event_id => %s)", [used])
    for other in (
        "'b', 'T'",
        "'order-1', 'U'",
        "'order-1', 'T', '1'",
        "'order-1', 'T', tags => '{t}'",
    ):
        sqlstate, facts = refusal(sql, f"SELECT eventstore.append({other}, event_id => '{used}')")
        assert sqlstate == "ST013"
        assert facts == {"event_id": str(used), "stream": "order-1", "position": 1}
    again = f"'order-1', 'T', metadata => '{{\"trace\": 2}}', event_id => '{used}'"
    assert one(sql, f"SELECT * FROM eventstore.append({again})") == (1, 0, True)


NESTED = "(repeat('[', {0}) || repeat(']', {0}))::jsonb"
LONG_NAME = "is at most 255 bytes of UTF-8: 256"
NULL = "must not be NULL"
BAD = [
    ("'', 'T'", "a stream name must not be empty"),
    ("repeat('x', 256), 'T'", f"a stream name {LONG_NAME}"),
    ("E'a\\nb', 'T'", "a stream name has a control character (U+000A)"),
    ("E'a\\u0085b', 'T'", "a stream name has a control character (U+0085)"),
    ("U&'e\\0301', 'T'", "a stream name is not in Unicode normal form C"),
    ("NULL, 'T'", NULL),
    ("'a', ''", "an event type must not be empty"),
    ("'a', repeat('é', 128)", f"an event type {LONG_NAME}"),
    ("'a', NULL", NULL),
    ("'a', E'T\\t'", "an event type has a control character (U+0009)"),
    ("'a', U&'Cafe\\0301'", "an event type is not in Unicode normal form C"),
    ("'a', 'T', NULL", NULL),
    ("'a', 'T', '{}', '[]'", "metadata is an object"),
    ("'a', 'T', '{}', '1'", "metadata is an object"),
    ("'a', 'T', '{}', NULL", NULL),
    ("'a', 'T', tags => NULL", NULL),
    ("'a', 'T', tags => '{\"\"}'", "a tag must not be empty"),
    ("'a', 'T', tags => '{a,NULL}'", "tags are a list of texts"),
    ("'a', 'T', tags => ARRAY[E'a\\nb']", "a tag has a control character (U+000A)"),
    ("'a', 'T', tags => ARRAY[U&'e\\0301']", "a tag is not in Unicode normal form C"),
    ("'a', 'T', tags => ARRAY[repeat('x', 256)]", f"a tag {LONG_NAME}"),
    ("'a', 'T', tags => ARRAY(SELECT n::text FROM generate_series(1, 65) AS n)", "at most 64 tags"),
    (f"'a', 'T', {NESTED.format(513)}", "nested deeper than 512 levels"),
    (f"'a', 'T', {NESTED.format(5000)}", "nested deeper than 512 levels"),
    (f"'a', 'T', '{{}}', jsonb_build_object('n', {NESTED.format(512)})", "nested deeper than 512"),
    ("'a', 'T', repeat('9', 1001)::jsonb", "a number has more than 1,000 characters"),
    ("'a', 'T', '[{\"n\": 1e1000}]'", "a number has more than 1,000 characters"),
    ("'a', 'T', '1e100000'", "a number has more than 1,000 characters"),
    ("'a', 'T', '1e-1000'", "a number has more than 1,000 characters"),
    ("'a', 'T', to_jsonb(repeat('x', 1048576))", "at most 1048576 bytes: 1048580"),
    ("'a', 'T', to_jsonb(repeat('é', 524288))", "at most 1048576 bytes: 1048580"),
]
"""What Python refuses as well, and what is said of it."""


def test_what_every_other_face_refuses_is_refused_in_one_sentence(
    sql: Psql, subtests: pytest.Subtests
) -> None:
    for arguments, problem in BAD:
        with subtests.test(arguments):
            sqlstate, facts = refusal(sql, f"SELECT eventstore.append({arguments})")
            assert sqlstate == "ST004"
            assert problem in facts["problem"]
    assert one(sql, "SELECT * FROM eventstore.append('a', 'T')") == (1, 0, False)


def test_what_is_no_json_is_refused(sql: Psql, subtests: pytest.Subtests) -> None:
    for data in ("{", '"\\u0000"', "NaN", "1e400000"):
        with subtests.test(data), pytest.raises(psycopg.DataError):
            sql.execute("SELECT eventstore.append('a', 'T', %s::jsonb)", [data])


def test_what_is_just_within_the_limits_is_stored_and_read_by_every_client(
    sql: Psql, sync_store: SyncEventStore
) -> None:
    within = [
        "repeat('x', 255), 'T'",
        "'a', repeat('é', 127)",
        f"'a', 'T', {NESTED.format(512)}",
        "'a', 'T', repeat('9', 1000)::jsonb",
        "'a', 'T', '[1e400, 1e-300]'",
        "'a', 'T', to_jsonb(repeat('x', 1048572))",
        "'a', 'T', jsonb_build_object('n', (SELECT jsonb_agg(1) FROM generate_series(1, 400000)))",
        "'a', 'T', tags => ARRAY(SELECT n::text FROM generate_series(1, 64) AS n)",
    ]
    for arguments in within:
        sql.execute(f"SELECT eventstore.append({arguments})".encode())
    assert [event.data is not None for event in sync_store.read()] == [True] * len(within)


def test_a_refusal_says_what_to_do(sql: Psql) -> None:
    with pytest.raises(psycopg.Error) as refused:
        sql.execute("SELECT eventstore.append('order-1', 'T', expected_revision => -3)")
    assert "order-1" in str(refused.value)
    assert "stream exists" in str(refused.value)
    assert "read the stream again" in (refused.value.diag.message_hint or "")


def test_the_read_functions_give_whole_events(sql: Psql) -> None:
    for n in range(5):
        sql.execute("SELECT eventstore.append('a-1', 'T', %s)", [json.dumps(n)])
        sql.execute("SELECT eventstore.append('b-1', 'T')")
    rows = sql.execute("SELECT revision, data FROM eventstore.read_stream('a-1', 1, 2)").fetchall()
    assert rows == [(2, 2), (3, 3)]
    rows = sql.execute("SELECT position FROM eventstore.read_all(after => 7)").fetchall()
    assert rows == [(8,), (9,), (10,)]
    assert len(sql.execute("SELECT * FROM eventstore.read_all()").fetchall()) == 10


def test_the_views_show_streams_categories_types_and_the_head(sql: Psql) -> None:
    for stream in ("b-1", "a-1", "a-1", "b-2"):
        sql.execute("SELECT eventstore.append(%s, 'T')", [stream])
    streams = sql.execute(
        "SELECT stream_name, category, head_revision, first_position, last_position,"
        " first_recorded_at <= last_recorded_at FROM eventstore.streams"
    ).fetchall()
    assert streams == [
        ("a-1", "a", 1, 2, 3, True), ("b-1", "b", 0, 1, 1, True), ("b-2", "b", 0, 4, 4, True)
    ]  # fmt: skip
    categories = sql.execute("SELECT * FROM eventstore.categories ORDER BY 1").fetchall()
    assert categories == [("a", 2, 3), ("b", 2, 4)]
    assert one(sql, "SELECT * FROM eventstore.event_types") == ("T", 4, 4)
    assert one(sql, "SELECT head, append_lock_pid, append_lock_waiters FROM eventstore.health") == (
        4, None, 0
    )  # fmt: skip


def test_an_empty_store_has_empty_views_and_a_head_of_0(sql: Psql) -> None:
    for view in ("streams", "categories", "event_types"):
        assert sql.execute(f"SELECT * FROM eventstore.{view}".encode()).fetchall() == []
    assert one(sql, "SELECT head, head_recorded_at FROM eventstore.health") == (0, None)


async def test_an_append_notifies_of_its_position_at_commit(connection: Pg, sql: Psql) -> None:
    async with Heard(connection, "eventstore") as heard:
        with sql.transaction():
            sql.execute("SELECT eventstore.append('a', 'T')")
            sql.execute("SELECT eventstore.append('b', 'T')")
            await heard.reach("within")
        assert await heard.reach("after") == ["within", "1", "2", "after"]


async def test_nothing_that_is_not_stored_notifies(connection: Pg, sql: Psql) -> None:
    retry = f"SELECT eventstore.append('a', 'T', event_id => '{uuid.uuid4()}')".encode()
    sql.execute(retry)
    async with Heard(connection, "eventstore") as heard:
        with sql.transaction(force_rollback=True):
            sql.execute("SELECT eventstore.append('a', 'T')")
        sql.execute(retry)
        refusal(sql, "SELECT eventstore.append('a', 'T', expected_revision => -1)")
        assert await heard.reach("end") == ["end"]
