"""An append touches what it writes and looks up, however long the log is."""

from __future__ import annotations

import pytest

from eventstore import NO_STREAM, AppendCondition, EventData, EventQuery, ExpectedRevision
from eventstore.core.append import encode_append, make_request
from eventstore.core.batching import columns
from eventstore.ids import new_event_ids
from eventstore.postgres.statements import statements
from tests.fix_database import Pg
from tests.plans.conftest import EVENTS, Touched

EVENT = EventData("Common", tags=["hot", "cold"])


@pytest.fixture(autouse=True)
async def clean(large: Pg) -> None:
    """Remove what the tests before have rolled back: their dead rows would be counted."""
    await large.execute("VACUUM (INDEX_CLEANUP ON) eventstore.events, eventstore.event_tags")


@pytest.mark.parametrize(
    ("stream", "expected"),
    [("order-long", EVENTS // 2 - 1), ("order-long", 7), ("order-7", 0), ("new-1", NO_STREAM)],
)
@pytest.mark.parametrize("look_up", [True, False])
async def test_an_append_looks_up_the_head_of_its_stream_only(
    touched: Touched, stream: str, expected: ExpectedRevision, look_up: bool
) -> None:
    append = encode_append(stream, [EVENT] * 10, expected)
    request = make_request([append], new_ids=new_event_ids(10))
    count, rows = await touched(statements()["append"], *columns([request], look_up_ids=look_up))
    assert rows[0]["outcome"] in {"appended", "revision_conflict"}
    assert count <= 30


async def test_a_batch_of_many_streams_looks_up_each_head_once(touched: Touched) -> None:
    batch = [
        make_request([encode_append(f"order-{2 * n + 1}", [EVENT])], new_ids=new_event_ids(1))
        for n in range(200)
    ]
    count, rows = await touched(statements()["append"], *columns(batch))
    assert {row["outcome"] for row in rows} == {"appended"}
    assert count <= 3 * len(batch)


async def test_a_retry_looks_up_its_ids_only(touched: Touched) -> None:
    stored = {
        "00000000-0000-7000-8000-000000024998": [],
        "00000000-0000-7000-8000-000000025000": ["hot"],
    }
    events = [EventData("Common", event_id=i, tags=tags) for i, tags in stored.items()]
    request = make_request([encode_append("order-long", events)])
    count, rows = await touched(statements()["append"], *columns([request]))
    assert [row["outcome"] for row in rows] == ["replayed"]
    assert count <= 30


@pytest.mark.parametrize(
    "query",
    [
        EventQuery(tags=["hot"]),
        EventQuery(tags=["hot", "cold"]),
        EventQuery(types=["Rare"]),
        EventQuery(types=["Common"]),
        EventQuery(categories=["order"], types=["Rare"]),
        EventQuery(categories=["audit"]),
        EventQuery(streams=["order-long"]),
        EventQuery(streams=["order-long"], types=["Rare"]),
        EventQuery(),
    ],
    ids=lambda query: query.to_json(),
)
@pytest.mark.parametrize("behind", [0, 20])
async def test_a_condition_reads_no_more_than_what_came_after_its_position(
    touched: Touched, query: EventQuery, behind: int
) -> None:
    request = make_request(
        [encode_append("new-1", [EVENT])],
        new_ids=new_event_ids(1),
        condition=AppendCondition(query, EVENTS - behind),
    )
    count, rows = await touched(statements()["append"], *columns([request]))
    assert rows[0]["outcome"] in {"appended", "condition_failed"}
    assert count <= 20 + 3 * behind
