"""`append_v1` called by hand: whatever a writer passes, positions and revisions stay dense."""

from __future__ import annotations

import uuid
from typing import Any

import asyncpg
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import InvalidInput
from eventstore.postgres.errors import translate
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg, Psql
from tests.fix_waiting import dense

APPEND = """
SELECT outcome, position FROM eventstore.append_v1(
    $1::int[], $2::text[], $3::bigint[], $4::int[], $5::uuid[], $6::text[],
    $7::text[]::jsonb[], $8::text[]::jsonb[], $9::text[], $10::boolean)
"""


def arguments(**changes: Any) -> list[Any]:
    """Two appends of two requests, of two events and of one, with some arrays replaced."""
    good: dict[str, Any] = {
        "request": [1, 2],
        "stream": ["a", "b"],
        "expected": [-2, -2],
        "append": [1, 1, 2],
        "id": [str(uuid.uuid4()) for _ in range(3)],
        "type": ["T", "T", "T"],
        "data": ["1", "2", "3"],
        "metadata": ["{}", "{}", "{}"],
        "tags": None,
        "look_up": False,
    }
    return list((good | changes).values())


async def test_arrays_that_fit_together_are_stored(connection: Pg) -> None:
    rows = await connection.fetch(APPEND, *arguments())
    assert [tuple(row) for row in rows] == [("appended", 2), ("appended", 3)]


BAD_ARRAYS: list[dict[str, Any]] = [
    {"append": [2, 1, 1]},
    {"append": [1, 2, 1]},
    {"append": [1, 1, 1]},
    {"append": [1, 1, 3]},
    {"append": [2, 2, 2]},
    {"append": [0, 1, 2]},
    {"append": [1, None, 2]},
    {"append": [None, 1, 2]},
    {"append": [1, 1, 2, 2]},
    {"append": [1, 2]},
    {"append": []},
    {"append": None},
    {"stream": ["a"]},
    {"stream": ["a", "b", "c"]},
    {"stream": None},
    {"request": [1]},
    {"request": [1, 2, 3]},
    {"expected": [-2]},
    {"id": [str(uuid.UUID(int=1))] * 2},
    {"type": ["T"]},
    {"data": ["1", "2"]},
    {"metadata": ["{}"]},
    {"tags": ["{a}"]},
]


async def test_arrays_that_do_not_fit_together_are_refused(
    connection: Pg, subtests: pytest.Subtests
) -> None:
    for changes in BAD_ARRAYS:
        with subtests.test(str(changes)):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await connection.fetch(APPEND, *arguments(**changes))
            assert refused.value.sqlstate == "ST004"
            error = translate(refused.value)
            assert isinstance(error, InvalidInput)
            assert "every append has events" in str(error)
            assert await dense(connection) == 0


TRICKS = {
    "names of which a subscript sees others": {"stream": "[0:1]={a,b}"},
    "appends of which a subscript sees others": {"append": "[0:2]={1,1,2}"},
    "two dimensions": {"stream": "{{a},{b}}"},
    "requests that go back": {"request": "{2,1}"},
    "requests with a hole": {"request": "{1,3}"},
    "requests from zero": {"request": "{0,1}"},
    "an expectation that is none": {"expected": "{-4,-2}"},
    "no expectation": {"expected": "{NULL,-2}"},
    "a stream that is expected twice": {"stream": "{a,a}", "expected": "{-2,-1}"},
    "no id": {"id": "{NULL,NULL,NULL}"},
    "no type": {"type": "{T,NULL,T}"},
    "no data": {"data": "{1,NULL,3}"},
    "no metadata": {"metadata": '{"{}",NULL,"{}"}'},
    "tags of two dimensions": {"tags": '{"{{a,b},{c,d}}",NULL,NULL}'},
    "tags from zero": {"tags": '{"[0:1]={a,b}",NULL,NULL}'},
    "tags with a hole": {"tags": '{"{a,NULL}",NULL,NULL}'},
    "tags that are not sorted": {"tags": '{"{b,a}",NULL,NULL}'},
    "tags that come twice": {"tags": '{"{a,a}",NULL,NULL}'},
    "lists of tags of two dimensions": {"tags": '{{"{a}","{b}","{c}"}}'},
}
BY_LITERAL = """
SELECT eventstore.append_v1(%(request)s::int[], %(stream)s::text[], %(expected)s::bigint[],
    %(append)s::int[], %(id)s::uuid[], %(type)s::text[], %(data)s::text[]::jsonb[],
    %(metadata)s::text[]::jsonb[], %(tags)s::text[], true)
"""


def test_no_array_forges_a_revision_a_position_or_a_row(
    sql: Psql, sync_store: SyncEventStore, subtests: pytest.Subtests
) -> None:
    good = {
        "request": "{1,2}",
        "stream": "{a,b}",
        "expected": "{-2,-2}",
        "append": "{1,1,2}",
        "type": "{T,T,T}",
        "data": "{1,2,3}",
        "metadata": '{"{}","{}","{}"}',
        "tags": None,
    }

    def append(**changes: str) -> None:
        ids = f"{{{','.join(str(uuid.uuid4()) for _ in range(3))}}}"
        sql.execute(BY_LITERAL, {**good, "id": ids, **changes})

    for name, changes in TRICKS.items():
        with subtests.test(name):
            with pytest.raises(psycopg.Error) as refused:
                append(**changes)
            assert refused.value.sqlstate == "ST004"
            assert isinstance(translate(refused.value), InvalidInput)
            assert list(sync_store.read()) == []
    append(tags='{"{a,b}",NULL,"{}"}')
    assert [event.tags for event in sync_store.read()] == [["a", "b"], [], []]


def test_more_events_than_an_append_may_have_are_refused(sql: Psql) -> None:
    with pytest.raises(psycopg.Error, match="at most 10000 events") as refused:
        sql.execute(
            "SELECT eventstore.append_v1('{1}', '{a}', '{-2}', array_agg(1),"
            " array_agg(gen_random_uuid()), array_agg('T'::text), array_agg('1'::jsonb),"
            " array_agg('{}'::jsonb)) FROM generate_series(1, 10001)"
        )
    assert refused.value.sqlstate == "ST004"


LOOKS = """
ALTER FUNCTION eventstore.matching_v1 RENAME TO matching_really_v1;
CREATE FUNCTION eventstore.matching_v1(_query jsonb, _after bigint, _before bigint, _limit integer)
RETURNS TABLE ("position" bigint) LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'after % before % %', _after, _before, CASE WHEN EXISTS (
        SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'eventstore.log'::regclass
    ) THEN 'locked' ELSE 'free' END;
    RETURN QUERY SELECT * FROM eventstore.matching_really_v1(_query, _after, _before, _limit);
END $$;
"""
NEWEST = 2**63 - 1


def test_a_condition_looks_through_history_before_it_takes_the_append_lock(sql: Psql) -> None:
    for number in range(4):
        sql.execute("SELECT eventstore.append('a', %s)", [f"T{number}"])
    sql.execute(LOOKS)
    looks: list[str] = []
    sql.add_notice_handler(lambda notice: looks.append(notice.message_primary or ""))
    append = (
        "SELECT outcome FROM eventstore.append_v1('{1}', '{b}', '{-2}', '{1}',"
        " ARRAY[gen_random_uuid()], '{T}', '{1}', '{\"{}\"}', NULL, false,"
        " '{1}', ARRAY[%s]::jsonb[], '{1}')"
    )
    [outcome] = sql.execute(append, ['{"any_of": [{"types": ["Other"]}]}']).fetchall()
    assert outcome == ("appended",)
    assert looks == ["after 1 before 5 free", f"after 4 before {NEWEST} locked"]
    looks.clear()
    [outcome] = sql.execute(append, ['{"any_of": [{"types": ["T2"]}]}']).fetchall()
    assert outcome == ("condition_failed",)
    assert looks == ["after 1 before 6 free", "after 2 before 4 locked"]


CONDITION = APPEND.strip().removesuffix(")") + ", $11::int[], $12::text[]::jsonb[], $13::bigint[])"


BAD_CONDITIONS: list[tuple[str | None, str]] = [
    (None, "$: an object is needed"),
    ("null", "$: an object is needed"),
    ("[]", "$: an object is needed"),
    ('"any_of"', "$: an object is needed"),
    ("{}", "$.any_of: a list of at least one item is needed"),
    ('{"types": ["T"]}', "$.any_of: a list of at least one item is needed"),
    ('{"any_of": null}', "$.any_of: a list of at least one item is needed"),
    ('{"any_of": []}', "$.any_of: a list of at least one item is needed"),
    ('{"any_of": {}}', "$.any_of: a list of at least one item is needed"),
    ('{"any_of": "T"}', "$.any_of: a list of at least one item is needed"),
    ('{"any_of": [{}], "type": 1}', '$: unknown member "type"; known: any_of'),
    ('{"any_of": ["T"]}', "$.any_of[0]: an object is needed"),
    ('{"any_of": [null]}', "$.any_of[0]: an object is needed"),
    ('{"any_of": [[{}]]}', "$.any_of[0]: an object is needed"),
    ('{"any_of": [{}, 1]}', "$.any_of[1]: an object is needed"),
    ('{"any_of": [{"type": ["T"]}]}', '$.any_of[0]: unknown member "type"; known: streams, '),
    ('{"any_of": [{"types": "T"}]}', "$.any_of[0].types: a list of texts is needed"),
    ('{"any_of": [{"types": null}]}', "$.any_of[0].types: a list of texts is needed"),
    ('{"any_of": [{"tags": {}}]}', "$.any_of[0].tags: a list of texts is needed"),
    ('{"any_of": [{"tags": ["a", 1]}]}', "$.any_of[0].tags: a list of texts is needed"),
    ('{"any_of": [{"streams": [null]}]}', "$.any_of[0].streams: a list of texts is needed"),
    ('{"any_of": [{}, {"categories": [["a"]]}]}', "$.any_of[1].categories: a list of texts"),
]


async def test_a_condition_that_is_not_understood_is_refused(
    connection: Pg, subtests: pytest.Subtests
) -> None:
    for query, fault in BAD_CONDITIONS:
        with subtests.test(str(query)):
            good = '{"any_of": [{"types": ["Other"]}]}'
            with pytest.raises(asyncpg.PostgresError) as refused:
                await connection.fetch(CONDITION, *arguments(), [1, 2], [good, query], [0, 0])
            assert refused.value.sqlstate == "ST004"
            assert f"append condition: {fault}" in str(refused.value)
            error = translate(refused.value)
            assert isinstance(error, InvalidInput)
            assert f"append condition: {fault}" in str(error)
            assert await dense(connection) == 0


@pytest.mark.parametrize(
    ("request_", "query", "after", "fault"),
    [
        ([1], None, [0], "an object is needed"),
        ([1, 2], ["{}"], [0, 0], "is needed"),
        (None, ['{"any_of": [{}]}'], [0], "no request"),
        ([3], ['{"any_of": [{}]}'], [0], "no request"),
        ([None], ['{"any_of": [{}]}'], [0], "no request"),
        ([1], ['{"any_of": [{}]}'], [None], "a position"),
        ([1], ['{"any_of": [{}]}'], None, "a position"),
    ],
)
async def test_a_condition_that_lacks_a_part_is_refused(
    connection: Pg,
    request_: list[int | None] | None,
    query: list[str] | None,
    after: list[int | None] | None,
    fault: str,
) -> None:
    with pytest.raises(asyncpg.PostgresError, match=fault) as refused:
        await connection.fetch(CONDITION, *arguments(), request_, query, after)
    assert refused.value.sqlstate == "ST004"
    assert await dense(connection) == 0


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ('{"any_of": [{}]}', "condition_failed"),
        ('{"any_of": [{"types": [], "tags": []}]}', "condition_failed"),
        ('{"any_of": [{"types": ["Other"]}, {"types": ["T"]}]}', "condition_failed"),
        ('{"any_of": [{"streams": ["a"], "categories": ["a"]}]}', "condition_failed"),
        ('{"any_of": [{"types": ["Other"], "tags": ["t"]}]}', "appended"),
    ],
)
async def test_a_condition_that_is_understood_is_looked_up(
    connection: Pg, query: str, outcome: str
) -> None:
    await connection.fetch(APPEND, *arguments())
    rows = await connection.fetch(CONDITION, *arguments(), [1], [query], [0])
    assert [row["outcome"] for row in rows] == [outcome, "appended"]


small = st.none() | st.integers(-3, 4)
names = st.sampled_from(["a", "b", "", None])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request=st.lists(small, max_size=3),
    stream=st.lists(names, max_size=3),
    expected=st.lists(small, max_size=3),
    append=st.lists(st.sampled_from([1, 1, 2, 2, 3, None, 0]), max_size=5),
    tags=st.none() | st.lists(st.sampled_from(["{a}", "{}", None, "{a,b}"]), max_size=5),
    look_up=st.none() | st.booleans(),
)
async def test_made_up_arrays_never_break_the_numbers(
    connection: Pg,
    request: Any,
    stream: Any,
    expected: Any,
    append: Any,
    tags: Any,
    look_up: bool | None,
) -> None:
    size = len(append)
    changes = {
        "request": request,
        "stream": stream,
        "expected": expected,
        "append": append,
        "id": [str(uuid.uuid4()) for _ in range(size)],
        "type": ["T"] * size,
        "data": ["1"] * size,
        "metadata": ["{}"] * size,
        "tags": tags,
        "look_up": look_up,
    }
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.fetch(APPEND, *arguments())
        try:
            async with connection.transaction():
                await connection.fetch(APPEND, *arguments(**changes))
        except asyncpg.PostgresError as error:
            assert isinstance(translate(error), InvalidInput)  # noqa: PT017
        assert await dense(connection) >= 3
    finally:
        await transaction.rollback()


async def test_one_id_twice_in_a_batch_is_refused(connection: Pg) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.fetch(APPEND, *arguments(id=[str(uuid.uuid4())] * 3))
    assert await dense(connection) == 0


async def test_an_id_that_is_not_looked_up_is_still_not_stored_twice(connection: Pg) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    await connection.fetch(APPEND, *arguments(id=ids))
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.fetch(APPEND, *arguments(id=ids))
    assert await dense(connection) == 3
