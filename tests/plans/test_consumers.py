"""Receiving and settling touch what they deliver, however long the log is, and however much waits,
is held or parked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest

from eventstore import EventQuery
from eventstore.postgres.statements import statements
from tests.fix_database import Pg
from tests.plans.conftest import EVENTS, Touched

CREATE: Final = "SELECT eventstore.consumer_create_v1('emails', $1, $2, $3, _buffer => 200)"
BACKLOG: Final = """
INSERT INTO eventstore.deliveries (consumer_group, position, stream_name, state, first, holds)
SELECT g, n, CASE WHEN n % 2 = 0 THEN 'order-long' ELSE 'order-' || n % 2000 END,
       CASE WHEN n % 2 = 1 OR n = 2 THEN 'parked' ELSE 'held' END, n % 2 = 1 OR n = 2, n % 2 = 0
  FROM generate_series(1, 20000) AS n CROSS JOIN unnest(ARRAY['emails', 'other']) AS g;
"""
"""In two groups 10,000 events are parked alone, and one stream with 10,000 events behind it."""


@pytest.fixture(autouse=True)
async def clean(large: Pg) -> AsyncIterator[None]:
    """Remove the groups in the end."""
    yield
    await large.execute("DELETE FROM eventstore.consumer_groups")
    await large.execute("DELETE FROM eventstore.deliveries")
    await large.execute("VACUUM (INDEX_CLEANUP ON) eventstore.deliveries")


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize(
    ("query", "ordering"),
    [
        (EventQuery(), "none"),
        (EventQuery(categories=["order"]), "stream"),
        (EventQuery(types=["Common"]), "stream"),
    ],
    ids=str,
)
async def test_a_batch_touches_its_own_deliveries_only(
    large: Pg, touched: Touched, query: EventQuery, ordering: str, analyzed: bool
) -> None:
    await large.execute(CREATE, query.to_json(), 20_000, ordering)
    await large.execute(BACKLOG)
    if analyzed:
        await large.execute("ANALYZE eventstore.deliveries")
    receive, ack = statements()["consumer_receive"], statements()["consumer_ack"]
    count, rows = await touched(receive, "emails", 50, "m")
    assert len(rows) >= 20
    # 200 events are taken from the log, 50 of them are given.
    assert count <= 800
    rows = await large.fetch(receive, "emails", 50, "m")
    got = [row["position"] for row in rows], [row["lease"] for row in rows]
    count, [(settled, _, _)] = await touched(ack, "emails", *got)
    assert settled == len(rows)
    assert count <= 400
    assert await large.fetchval(ack, "emails", *got) == len(rows)
    count, rows = await touched(receive, "emails", 50, "m")
    assert count <= 800


async def test_a_heartbeat_touches_what_is_in_flight_only(large: Pg, touched: Touched) -> None:
    await large.execute(CREATE, EventQuery().to_json(), 20_000, "none")
    await large.execute(BACKLOG)
    rows = await large.fetch(statements()["consumer_receive"], "emails", 50, "m")
    got = [row["position"] for row in rows], [row["lease"] for row in rows]
    count, [(settled, _, _, undone_after)] = await touched(
        statements()["consumer_beat"], "emails", "m", *got
    )
    assert (settled, undone_after) == (len(rows), 20_000)
    assert count <= 300


async def test_looking_for_nothing_touches_next_to_nothing(large: Pg, touched: Touched) -> None:
    await large.execute(CREATE, EventQuery().to_json(), EVENTS, "stream")
    await large.execute(BACKLOG)
    count, [idle] = await touched(statements()["consumer_receive"], "emails", 50, "m")
    assert idle["position"] is None
    assert count <= 20


async def test_what_is_rare_is_found_without_reading_what_lies_between(
    large: Pg, touched: Touched
) -> None:
    await large.execute(CREATE, EventQuery(types=["Rare"]).to_json(), 0, "stream")
    count, rows = await touched(statements()["consumer_receive"], "emails", 50, "m")
    assert [row["position"] for row in rows] == [500]  # of one stream that is in order
    assert count <= 100
