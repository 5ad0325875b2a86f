"""Versions of a projection over HTTP: built, compared, switched to and back, dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import EventData, EventStore
from tests.api.rest import problem
from tests.fix_database import Pg
from tests.projections.orders import working
from tests.projections.versions import Counting, counts, names, reached


@pytest.fixture
async def two(store: EventStore, dsn: str, connection: Pg) -> AsyncIterator[None]:
    """Two versions that are run, with three events."""
    await store.append("order-1", [EventData("T")] * 3)
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await reached(connection, 1, 3)
        await reached(connection, 2, 3)
        yield


@pytest.mark.usefixtures("two")
async def test_a_version_is_compared_switched_to_and_back_and_dropped(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    tables = (await http.get("/projections/orders/compare?version=2")).json()["tables"]
    [orders] = [table for table in tables if table["table"] == "orders"]
    assert orders.pop("checksum") == orders.pop("serving_checksum")
    assert orders == {
        "table": "orders",
        "columns": ["events", "order_id"],
        "serving_version": 1,
        "serving_checkpoint": 3,
        "serving_rows": 1,
        "checkpoint": 3,
        "rows": 1,
        "is_equal": True,
    }
    for version in (2, 1, 2):
        answer = await http.post("/projections/orders/switch", json={"version": version})
        assert answer.status_code == 200
        assert (answer.json()["version"], answer.json()["serving"]) == (version, True)
        assert (await http.get("/projections/orders")).json()["version"] == version
    problem(await http.delete("/projections/orders/versions/2"), 409, "projection-refused", "serve")
    answer = await http.delete("/projections/orders/versions/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await names(connection) == ["order types", "orders"]


@pytest.mark.usefixtures("two")
async def test_a_projection_goes_as_a_whole_once_no_worker_runs_it(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    refused = await http.delete("/projections/orders")
    problem(refused, 409, "projection-refused", "is run by worker", "pause")
    for version in (1, 2):
        await http.post(f"/projections/orders/pause?version={version}")
    answer = await http.delete("/projections/orders")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await http.get("/projections")).json() == {"projections": []}
    assert await names(connection) == []


@pytest.mark.usefixtures("two")
async def test_a_version_is_built_anew(http: httpx.AsyncClient, connection: Pg) -> None:
    await connection.execute("UPDATE eventstore_read.orders__v2 SET events = 9")
    answer = await http.post("/projections/orders/rebuild", json={"version": 2})
    assert answer.status_code == 202
    assert answer.json() == {"projection": "orders", "version": 2, "checkpoint": 0}
    await reached(connection, 2, 3)
    assert await counts(connection, "orders__v2") == {"order-1": 3}
    refused = await http.post("/projections/orders/rebuild", json={"version": 1})
    problem(refused, 409, "projection-refused", "new version")


async def test_a_version_that_is_behind_is_refused_unless_asked_for_as_it_is(
    http: httpx.AsyncClient, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Counting(1).projection, Counting(2).projection):
        await reached(connection, 2, 0)
    await store.append("order-1", EventData("T"))
    async with working(store, dsn, Counting(1).projection):
        await reached(connection, 1, 1)
    refused = await http.post("/projections/orders/switch", json={"version": 2})
    problem(refused, 409, "projection-refused", "1 events behind", "no worker runs it")
    body = {"version": 2, "even_if_behind": True}
    answer = await http.post("/projections/orders/switch", json=body)
    assert answer.json()["serving"]
    assert await counts(connection) == {}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "rebuild", {"version": 2}),
        ("POST", "switch", {"version": 2}),
        ("DELETE", "versions/2", None),
        ("DELETE", "", None),
        ("GET", "compare?version=2", None),
    ],
)
async def test_what_is_not_there_is_not_found(
    http: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    answer = await http.request(method, f"/projections/none/{path}".rstrip("/"), json=body)
    problem(answer, 404, "not-found", "none")


BAD_BODIES: list[tuple[str, bytes, int, str]] = [
    ("switch", b"", 400, "malformed-request"),
    ("switch", b"{", 400, "malformed-request"),
    ("switch", b"\xff", 400, "malformed-request"),
    ("switch", b"[" * 5_000, 422, "invalid-request"),
    ("switch", b"{}", 422, "invalid-request"),
    ("switch", b'{"version": 0}', 422, "invalid-request"),
    ("switch", b'{"version": 2147483648}', 422, "invalid-request"),
    ("switch", b'{"version": "2"}', 422, "invalid-request"),
    ("switch", b'{"version": 2, "force": true}', 422, "invalid-request"),
    ("rebuild", b'{"version": 2, "even_if_behind": true}', 422, "invalid-request"),
    ("rebuild", b" " * 10_001, 413, "limit-exceeded"),
]


async def test_bodies_that_do_not_fit_are_refused(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for path, body, status, slug in BAD_BODIES:
        with subtests.test(f"{path} {ascii(body)[:50]}"):
            json = {"content-type": "application/json"}
            answer = await http.post(f"/projections/orders/{path}", content=body, headers=json)
            problem(answer, status, slug)
            plain = {"content-type": "text/plain"}
            answer = await http.post(f"/projections/orders/{path}", content=body, headers=plain)
            problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("path", ["compare", "compare?version=0", "compare?version=1&x=1"])
async def test_malformed_questions_are_refused(http: httpx.AsyncClient, path: str) -> None:
    problem(await http.get(f"/projections/orders/{path}"), 400, "malformed-request")
