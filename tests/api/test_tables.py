"""GET /projections/{p}/tables/{t}: rows as new as one's own write, in one request."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore import EventData, EventStore
from tests.api.rest import next_page, problem
from tests.fix_database import Pg
from tests.projections.orders import Orders, reached, working

TABLE = "/projections/orders/tables/orders"
DAYS = {"prefer": "wait=60"}


@pytest.fixture
async def made(store: EventStore, dsn: str, connection: Pg) -> AsyncIterator[Orders]:
    """A projection that is run, and fails at Fragile events while it is told to."""
    made = Orders()
    async with working(store, dsn, made.projection):
        await reached(connection, 0)
        yield made


@pytest.mark.usefixtures("made")
async def test_ones_own_write_is_read_in_one_request(http: httpx.AsyncClient) -> None:
    for n in range(1, 11):
        written = await http.post("/streams/order-1", json={"type": "T"})
        carried = {"event-position": written.headers["event-position"], **DAYS}
        answer = await http.get(f"{TABLE}?order_id=order-1", headers=carried)
        assert answer.status_code == 200
        assert answer.json() == {"rows": [{"order_id": "order-1", "events": n}], "position": n}
        assert answer.headers["preference-applied"] == "wait=55"
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.usefixtures("made")
async def test_what_is_not_applied_in_time_says_how_far_it_is(http: httpx.AsyncClient) -> None:
    for position in ("5", "5;epoch=1"):
        answer = await http.get(TABLE, headers={"event-position": position})
        assert answer.status_code == 202
        told = answer.json()
        assert "rows" not in told
        assert (told["position"], told["reached"], told["is_run"]) == (0, False, True)
    # Of another epoch: it may never come, and what comes instead is something else.
    other = await http.get(TABLE, headers={"event-position": "5;epoch=2", **DAYS})
    problem(other, 409, "position-not-reached", "epoch 1")
    await http.post("/projections/orders/pause")
    paused = await http.get(TABLE, headers={"event-position": "5;epoch=1", **DAYS})
    problem(paused, 409, "projection-stopped", "paused")


async def test_the_etag_changes_with_the_rows_not_only_with_the_checkpoint(
    http: httpx.AsyncClient, made: Orders, store: EventStore, connection: Pg
) -> None:
    made.broken = True
    await store.append("order-1", [EventData("T"), EventData("Fragile")])
    await reached(connection, 2)
    first = await http.get(TABLE)
    assert first.headers["etag"].startswith('"2-')
    held = await http.get(TABLE, headers={"event-position": "2;epoch=1", **DAYS})
    problem(held, 409, "stream-parked", "broken")  # these rows lack it, and will go on to
    known = {"if-none-match": first.headers["etag"]}
    again = await http.get(TABLE, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (await http.get(f"{TABLE}?events=9", headers=known)).status_code == 200
    made.broken = False
    await http.post("/projections/orders/parked/order-1/retry")
    waited = await http.get("/projections/orders/streams/order-1?revision=1", headers=DAYS)
    assert waited.json()["reached"]
    changed = await http.get(TABLE, headers=known)
    assert changed.status_code == 200
    assert changed.json() == {"rows": [{"order_id": "order-1", "events": 2}], "position": 2}


@pytest.mark.usefixtures("made")
async def test_pages_are_linked(http: httpx.AsyncClient, store: EventStore, connection: Pg) -> None:
    for n in range(5):
        await store.append(f"order-{n}", EventData("T"))
    await reached(connection, 5)
    url, seen = f"{TABLE}?order=-order_id&events=1&limit=2", []
    for _ in range(3):
        answer = await http.get(url)
        seen += [row["order_id"] for row in answer.json()["rows"]]
        url = next_page(answer) or ""
    assert (url, seen) == ("", [f"order-{n}" for n in (4, 3, 2, 1, 0)])


ASKED_WRONGLY: list[tuple[str, int, str, str]] = [
    ("/projections/none/tables/orders", 404, "not-found", "'none'"),
    ("/projections/orders/tables/none", 404, "not-found", "it has: orders"),
    ("/projections/orders/tables/o%2Frders", 404, "not-found", "'o/rders'"),
    (f"{TABLE}?colour=red", 422, "invalid-request", "it has: order_id, events"),
    (f"{TABLE}?events=many", 422, "invalid-request", "column 'events'"),
    (f"{TABLE}?order=colour", 422, "invalid-request", "'colour'"),
    (f"{TABLE}?events=1&events=2", 400, "malformed-request", "events is given twice"),
    (f"{TABLE}?order=events&order=events", 400, "malformed-request", "order is given twice"),
    (f"{TABLE}?limit=1001", 400, "malformed-request", "limit"),
    (f"{TABLE}?offset=-1", 400, "malformed-request", "offset"),
    (f"{TABLE}?order_id=%FF", 400, "malformed-request", "UTF-8"),
    ("/projections/orders/tables/%FF", 400, "malformed-request", "UTF-8"),
]


@pytest.mark.usefixtures("made")
async def test_what_is_asked_wrongly_is_refused(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for path, status, slug, fault in ASKED_WRONGLY:
        with subtests.test(path):
            problem(await http.get(path), status, slug, fault)


NO_POSITIONS: list[str] = ["x", "-1", "01", str(2**63), "1;epoch=0", "1, 2"]


@pytest.mark.usefixtures("made")
async def test_a_position_that_no_append_gave_is_refused(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for position in NO_POSITIONS:
        with subtests.test(position):
            answer = await http.get(TABLE, headers={"event-position": position})
            problem(answer, 400, "malformed-request", "Event-Position")
