"""Every hot statement reads about as many rows as it gives, however long the log is."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from eventstore import EventQuery
from eventstore.postgres.statements import statements
from tests.fix_database import Pg
from tests.plans.conftest import EVENTS, Touched

END = 2**63 - 1
LIMIT = 100
NO_ID = "00000000-0000-7000-8000-000000099999"
RANGES = [(0, END), (25_000, END), (0, 25_000), (EVENTS - 10, END), (25_000, 25_010)]

QUERIES = [
    EventQuery(),
    EventQuery(types=["Common"]),
    EventQuery(types=["Rare"]),
    EventQuery(types=["Rare", "Common", "None"]),
    EventQuery(categories=["order"]),
    EventQuery(categories=["audit", "order", "none"]),
    EventQuery(categories=["order"], types=["Common"]),
    EventQuery(streams=["order-7", "order-9", "none"]),
    EventQuery(tags=["hot"]),
    EventQuery(tags=["cold"]),
    EventQuery(tags=["cold", "hot"]),
    EventQuery(tags=["hot"], types=["Common"], categories=["order"]),
    EventQuery(types=["Rare"]) | EventQuery(tags=["cold"]) | EventQuery(streams=["order-7"]),
    EventQuery(types=["None"]) | EventQuery(),
]


def few(rows: list[Any], paths: int = 1) -> int:
    """How much may be touched for that many rows: each once in an index, a table, and again."""
    return 4 * len(rows) + 60 * paths


@pytest.mark.parametrize("direction", ["forward", "backward"])
async def test_plain_reads_touch_what_they_give(touched: Touched, direction: str) -> None:
    for name, key in (
        ("log", ()),
        ("category", ("order",)),
        ("category", ("audit",)),
        ("category", ("none",)),
        ("stream", ("order-long",)),
        ("stream", ("order-7",)),
        ("stream", ("none",)),
    ):
        for low, high in RANGES:
            statement = statements()[f"{name}_{direction}"]
            count, rows = await touched(statement, *key, low, high, LIMIT)
            assert count <= few(rows), (name, key, low, high)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.to_json())
async def test_matching_reads_touch_what_they_give(
    touched: Touched, query: EventQuery, direction: str
) -> None:
    paths = sum(len(values) for item in query.any_of for values in item) + 1
    for low, high in RANGES:
        statement = statements()[f"matching_{direction}"]
        count, rows = await touched(statement, query.to_json(), low, high, LIMIT)
        # Each path gives up to LIMIT positions; the first of all of them are then looked up.
        assert count <= few(rows, paths) + 2 * paths * len(rows), (low, high)


@pytest.mark.parametrize(
    ("query", "most"),
    [
        # The first tag leads, the category goes before the type: what is left out is read.
        (EventQuery(tags=["hot", "cold"]), 2 * EVENTS // 4),
        (EventQuery(tags=["hot"], types=["Rare"]), 2 * EVENTS // 4),
        (EventQuery(categories=["order"], types=["Rare"]), EVENTS),
        # A stream's index has no positions: a bound in the middle of the log is found by reading.
        (EventQuery(streams=["order-long"]), EVENTS // 2),
    ],
    ids=lambda value: value.to_json() if isinstance(value, EventQuery) else str(value),
)
async def test_what_a_filter_leaves_out_is_read_but_never_more(
    touched: Touched, query: EventQuery, most: int
) -> None:
    for low, high in RANGES:
        count, rows = await touched(
            statements()["matching_forward"], query.to_json(), low, high, LIMIT
        )
        assert count <= most + few(rows)
        if low == EVENTS - 10:  # where conditions and followers read
            assert count <= 100


@pytest.mark.parametrize("after", [0, EVENTS // 2, EVENTS - 10, EVENTS])
async def test_a_look_for_news_touches_what_it_gives(touched: Touched, after: int) -> None:
    count, rows = await touched(statements()["log_news"], after, LIMIT)
    assert count <= few(rows)
    assert {row["head"] for row in rows} == {EVENTS}
    assert len(rows) == max(1, min(LIMIT, EVENTS - after))


async def test_look_ups_touch_next_to_nothing(touched: Touched) -> None:
    for name, arguments in (
        ("log_head", ()),
        ("event_by_id", ("00000000-0000-7000-8000-000000025000",)),
        ("stream_head", ("order-long",)),
        ("stream_head", ("order-7",)),
        ("stream_head", ("none",)),
    ):
        count, rows = await touched(statements()[name], *arguments)
        assert count <= 5, name
        assert len(rows) == (0 if arguments == ("none",) else 1)


@pytest.mark.parametrize("known_id", [None, "00000000-0000-7000-8000-000000025000", NO_ID])
@pytest.mark.parametrize("stream", ["order-long", "order-7", "none"])
async def test_a_stream_is_read_from_its_snapshot_on(
    large: Pg, touched: Touched, stream: str, known_id: str | None
) -> None:
    last = "00000000-0000-7000-8000-0000000"
    for position in (49_950, 48_007):  # of order-long and of order-7: not their last events
        event_id = UUID(f"{last}{position}")
        await large.fetch(statements()["snapshot_keep"], "d", 1, event_id, "[]")
    try:
        arguments = (stream, "d", 1, known_id, LIMIT)
        count, rows = await touched(statements()["stream_from_snapshot"], *arguments)
        assert count <= few(rows)
        expected = stream != "none" and known_id in (None, NO_ID)
        assert (bool(rows) and rows[0][4] is None) is expected
        revisions = [row[2] for row in rows]
        assert revisions == [revisions[0] + n for n in range(len(rows))]
    finally:
        await large.execute("DELETE FROM eventstore.snapshots")


@pytest.mark.parametrize(
    ("exact", "prefix", "after", "given"),
    [
        (None, "", "", 10),
        (None, "", "order-long", 0),
        (None, "order-1", "", 10),
        (None, "order-1", "order-15", 10),
        ("order", "order-", "", 10),
        (None, "audit-", "", 7),
        (None, "none", "", 0),
    ],
)
async def test_listing_streams_skips_from_name_to_name(
    touched: Touched, exact: str | None, prefix: str, after: str, given: int
) -> None:
    count, rows = await touched(statements()["list_streams"], exact, prefix, after, 10)
    assert len(rows) == given
    assert count <= 4 * given + 10


async def test_the_streams_view_looks_up_each_stream_and_not_its_events(touched: Touched) -> None:
    count, rows = await touched("SELECT * FROM eventstore.streams")
    assert len(rows) > 900
    assert count <= 8 * len(rows)


async def test_the_health_view_touches_next_to_nothing(touched: Touched) -> None:
    count, rows = await touched("SELECT * FROM eventstore.health")
    assert len(rows) == 1
    assert count <= 5


async def test_matching_is_never_compiled(large: Pg) -> None:
    # Forbidden scans count as so costly that PostgreSQL would spend half a second on compiling.
    rows = await large.fetch(
        "SELECT proname, proconfig FROM pg_proc WHERE proname LIKE 'matching%'"
        " AND pronamespace = 'eventstore'::regnamespace"
    )
    assert {row["proname"] for row in rows} == {"matching_v1", "matching_backward_v1"}
    assert all("jit=off" in row["proconfig"] for row in rows)


INDEXES = {
    "log_forward": ("events_pkey", "0, 100, 10"),
    "log_backward": ("events_pkey", "0, 100, 10"),
    "category_forward": ("events_category_position_idx", "'order', 0, 100, 10"),
    "category_backward": ("events_category_position_idx", "'order', 0, 100, 10"),
    "stream_forward": ("events_stream_name_revision_key", "'order-long', 0, 100, 10"),
    "stream_backward": ("events_stream_name_revision_key", "'order-long', 0, 100, 10"),
    "stream_head": ("events_stream_name_revision_key", "'order-long'"),
    "event_by_id": ("events_event_id_key", "'00000000-0000-7000-8000-000000025000'"),
    "matching_forward": ("events_pkey", "'{\"any_of\": [{}]}', 0, 100, 10"),
    "matching_backward": ("events_pkey", "'{\"any_of\": [{}]}', 0, 100, 10"),
}


@pytest.mark.parametrize("name", INDEXES)
async def test_a_statement_goes_through_its_index_and_no_other(large: Pg, name: str) -> None:
    index, arguments = INDEXES[name]
    await large.execute(f"PREPARE asked AS {statements()[name]}")
    plan = await large.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked({arguments})")
    nodes = list(_nodes(json.loads(plan)[0]["Plan"]))
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {index}
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


def _nodes(node: dict[str, Any]) -> Any:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)
