"""SQL and Python mean the same by a query: over made-up logs, queries, bounds and limits."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import AppendCondition, EventData, EventQuery, EventStore
from eventstore.core.append import encode_append, make_request
from eventstore.core.batching import columns
from eventstore.core.query import QueryItem
from eventstore.core.reads import END
from eventstore.ids import new_event_ids
from eventstore.postgres.statements import statements
from tests.fix_database import Pg
from tests.fix_examples import STREAMS, TAGS, events, queries

logs = st.lists(
    st.tuples(st.sampled_from(STREAMS), st.lists(events, min_size=1, max_size=4)), max_size=12
)
bounds = st.none() | st.integers(0, 30)
questions = st.lists(st.tuples(queries, bounds, bounds, st.integers(0, 12)), min_size=4, max_size=8)

FORWARD = "SELECT position FROM eventstore.matching_v1($1::text::jsonb, $2, $3, $4)"
BACKWARD = FORWARD.replace("matching_v1", "matching_backward_v1")


class Stored(NamedTuple):
    """A stored event as `EventQuery.matches` looks at it."""

    position: int
    stream_name: str
    event_type: str
    tags: list[str]


async def append(connection: Pg, stream: str, *appended: EventData, **options: Any) -> Any:
    [encoded] = [encode_append(stream, appended)]
    request = make_request([encoded], new_ids=new_event_ids(len(appended)), **options)
    [row] = await connection.fetch(statements()["append"], *columns([request]))
    return row


async def fill(connection: Pg, log: Any) -> list[Stored]:
    for stream, appended in log:
        await append(connection, stream, *appended)
    rows = await connection.fetch(
        "SELECT position, stream_name, event_type, tags FROM eventstore.events ORDER BY position"
    )
    return [Stored(*row) for row in rows]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs, asked=questions)
async def test_sql_reads_and_refuses_what_python_matches(
    connection: Pg, log: Any, asked: Any
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        stored = await fill(connection, log)
        for query, after, before, limit in asked:
            low, high = after or 0, 2**63 - 1 if before is None else before
            matching = [event.position for event in stored if query.matches(event)]
            inside = [position for position in matching if low < position < high]
            arguments = (query.to_json(), low, high, limit)
            forward = [row[0] for row in await connection.fetch(FORWARD, *arguments)]
            backward = [row[0] for row in await connection.fetch(BACKWARD, *arguments)]
            assert forward == inside[:limit]
            assert backward == inside[::-1][:limit]
            if excluded := [position for position in matching if position > low]:
                condition = AppendCondition(query, low)
                row = await append(connection, "x", EventData("T"), condition=condition)
                assert row["outcome"] == "condition_failed"
                assert json.loads(row["facts"]) == {"position": excluded[0]}
        for query, *_ in asked:  # these store something
            if not any(map(query.matches, stored)):
                condition = AppendCondition(query)
                stored.append(Stored(len(stored) + 1, "x", "T", []))
                row = await append(connection, "x", EventData("T"), condition=condition)
                assert (row["outcome"], row["position"]) == ("appended", len(stored))
    finally:
        await transaction.rollback()


RUNS = [
    ("order-1", "hot"),
    ("order-2", ""),
    ("audit-1", "hot"),
    ("order-2", "hot"),
    ("order-1", ""),
]
"""Runs of three events: bounds within a run, at its ends and at the log's are told apart."""

TABLE = [
    EventQuery(),
    EventQuery(streams=["order-1"]),
    EventQuery(streams=["order-1", "audit-1"]),
    EventQuery(streams=["order-2"], types=["B", "C"]),
    EventQuery(categories=["order"]),
    EventQuery(categories=["audit"], types=["A"]),
    EventQuery(types=["B"]),
    EventQuery(tags=["hot"]),
    EventQuery(tags=["hot", "C"]),
    EventQuery(tags=["A"], categories=["order"]),
    EventQuery(streams=["audit-1"]) | EventQuery(types=["C"]) | EventQuery(tags=["hot", "A"]),
]


@pytest.mark.parametrize("query", TABLE, ids=lambda query: query.to_json())
async def test_every_bound_is_kept_by_every_path(connection: Pg, query: EventQuery) -> None:
    made = [
        (stream, [EventData(kind, tags=[tag, kind] if tag else [kind])])
        for stream, tag in RUNS
        for kind in "ABC"
    ]
    stored = await fill(connection, made)
    matching = [event.position for event in stored if query.matches(event)]
    end = len(stored) + 1
    for low, high in [(n, END) for n in range(end + 1)] + [(n % 4, n) for n in range(end + 1)]:
        inside = [position for position in matching if low < position < high]
        for limit in (1, 2, END >> 32):
            arguments = (query.to_json(), low, high, limit)
            forward = [row[0] for row in await connection.fetch(FORWARD, *arguments)]
            backward = [row[0] for row in await connection.fetch(BACKWARD, *arguments)]
            assert forward == inside[:limit], arguments
            assert backward == inside[::-1][:limit], arguments


@pytest.mark.parametrize(
    "item",
    [
        QueryItem(),
        QueryItem(streams=("order-1", "order-1")),
        QueryItem(types=("Paid", "Placed", "Paid")),
        QueryItem(tags=tuple(TAGS)),
        QueryItem(categories=("order", "order")),
    ],
)
async def test_an_event_that_several_paths_lead_to_is_given_once(
    store: EventStore, connection: Pg, item: QueryItem
) -> None:
    await store.append("order-1", [EventData("Paid", tags=TAGS), EventData("Placed", tags=TAGS)])
    query = EventQuery(any_of=[item, QueryItem(), item])
    rows = await connection.fetch(FORWARD, query.to_json(), 0, 100, 10)
    assert [row[0] for row in rows] == [1, 2]
