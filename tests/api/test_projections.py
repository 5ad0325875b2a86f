"""/projections: how far they are, waits for one's own writes, and what operators do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import EventData, EventStore
from tests.api.rest import problem
from tests.fix_database import Pg
from tests.projections.orders import Orders, counts, reached, working

DAYS = {"prefer": "wait=60"}


@pytest.fixture
async def made(store: EventStore, dsn: str, connection: Pg) -> AsyncIterator[Orders]:
    """A projection that is run, and fails at Fragile events while it is told to."""
    made = Orders()
    async with working(store, dsn, made.projection):
        await reached(connection, 0)
        yield made


async def test_a_projection_tells_what_it_does_and_how_far_it_is(
    http: httpx.AsyncClient, store: EventStore, made: Orders, connection: Pg
) -> None:
    await store.append("order-1", [EventData("T")] * 3)
    await reached(connection, 3)
    [one] = (await http.get("/projections")).json()["projections"]
    assert one == (await http.get("/projections/orders")).json()
    moved_at = one.pop("moved_at")
    assert moved_at is not None
    assert one == {
        "projection": "orders",
        "version": 1,
        "serving": True,
        "state": "running",
        "reason": None,
        "checkpoint": 3,
        "head": 3,
        "lag_events": 0,
        "lag_seconds": 0.0,
        "partitions": 1,
        "leased_partitions": 1,
        "parked_streams": 0,
        "skipped_events": 0,
        "tables": ["orders"],
    }


@pytest.mark.usefixtures("made")
async def test_a_write_is_waited_for_by_stream_and_by_position(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    for n in range(10):
        written = (await http.post("/streams/order-1", json={"type": "T"})).json()
        stream = f"/projections/orders/streams/order-1?revision={written['revision']}"
        answer = await http.get(stream, headers=DAYS)
        assert answer.status_code == 200
        found = answer.json()
        assert found.pop("position") >= written["position"]
        assert found == {"stream": "order-1", "revision": n, "head": n, "reached": True}
        assert await counts(connection) == {"order-1": n + 1}
        position = f"/projections/orders/position?at_least={written['position']}"
        answer = await http.get(position, headers=DAYS)
        assert (answer.status_code, answer.json()["reached"]) == (200, True)


async def test_what_is_not_reached_in_time_says_how_far_it_is(
    http: httpx.AsyncClient, store: EventStore, made: Orders, connection: Pg
) -> None:
    await store.append("order-1", EventData("T"))
    await reached(connection, 1)
    answer = await http.get("/projections/orders/position?at_least=9")
    assert answer.status_code == 202
    assert answer.json()["position"] == 1
    assert (answer.json()["reached"], answer.json()["is_run"]) == (False, True)
    answer = await http.get("/projections/orders/streams/order-1?revision=5")
    assert answer.status_code == 202
    assert (answer.json()["revision"], answer.json()["head"]) == (0, 0)
    assert answer.json()["is_stored"] is False


async def test_a_parked_stream_is_told_retried_and_skipped(
    http: httpx.AsyncClient, store: EventStore, made: Orders, connection: Pg
) -> None:
    made.broken = True
    for stream in ("order-1", "order/2"):
        await store.append(stream, [EventData("T"), EventData("Fragile"), EventData("T")])
    await store.append("order-2", [EventData("T"), EventData("Fragile"), EventData("T")])
    await reached(connection, 9)
    found = problem(
        await http.get("/projections/orders/streams/order-1?revision=2", headers=DAYS),
        409,
        "stream-parked",
        "broken",
    )
    assert (found["stream"], found["revision"]) == ("order-1", 1)
    parked = (await http.get("/projections/orders/parked")).json()["parked"]
    assert [(one["stream"], one["revision"], one["attempts"]) for one in parked] == [
        ("order-1", 1, 1),
        ("order-2", 1, 1),
    ]
    made.broken = False
    answer = await http.post("/projections/orders/parked/order-1/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "retrying")
    answer = await http.get("/projections/orders/streams/order-1?revision=2", headers=DAYS)
    assert answer.json()["reached"]
    answer = await http.post("/projections/orders/parked/order-2/skip")
    assert answer.json() == {"stream": "order-2", "skipped": 8}
    await http.get("/projections/orders/streams/order-2?revision=2", headers=DAYS)
    assert await counts(connection) == {"order-1": 3, "order-2": 2}
    for verb in ("retry", "skip"):
        problem(await http.post(f"/projections/orders/parked/order-1/{verb}"), 404, "not-found")


async def test_a_paused_projection_answers_at_once_and_goes_on(
    http: httpx.AsyncClient, store: EventStore, made: Orders
) -> None:
    assert (await http.post("/projections/orders/pause")).json()["state"] == "paused"
    await store.append("order-1", EventData("T"))
    answer = await http.get("/projections/orders/position?at_least=9", headers=DAYS)
    problem(answer, 409, "projection-stopped", "paused")
    assert (await http.post("/projections/orders/resume")).json()["state"] != "paused"
    answer = await http.get("/projections/orders/position?at_least=1", headers=DAYS)
    assert answer.json()["reached"]


OF_A_PROJECTION: list[tuple[str, str]] = [
    ("GET", ""),
    ("GET", "/position"),
    ("GET", "/streams/a?revision=0"),
    ("GET", "/parked"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/parked/a/retry"),
    ("POST", "/parked/a/skip"),
]


async def test_an_unknown_projection_is_not_found_at_once(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path in OF_A_PROJECTION:
        with subtests.test(f"{method} {path}"):
            problem(
                await http.request(method, f"/projections/none{path}", headers=DAYS),
                404,
                "not-found",
            )


@pytest.mark.parametrize(
    "path",
    [
        "/projections?x=1",
        "/projections/orders/position?at_least=-1",
        "/projections/orders/position?at_least=x",
        "/projections/orders/streams/a?revision=1.5",
    ],
)
async def test_malformed_questions_are_refused(http: httpx.AsyncClient, path: str) -> None:
    problem(await http.get(path), 400, "malformed-request")
