"""GET /events: the log, filtered, in pages; and one event by its id."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from eventstore import EventData, EventStore
from tests.api.rest import all_pages, append, appended, events_of, problem

pytestmark = pytest.mark.one_postgres

EVENTS: list[tuple[str, str, list[str]]] = [
    ("order-1", "Placed", ["customer:1", "new"]),
    ("order-2", "Placed", ["customer:2"]),
    ("order-1", "Paid", ["customer:1"]),
    ("cart-1", "Placed", ["customer:1", "a&b=c"]),
    ("order", "Żółw 🐢", []),
    ("order-1", "Shipped", ["customer:1", "new", "fast+free"]),
    ("ordered-1", "Placed", []),
]


async def stored(http: httpx.AsyncClient) -> None:
    """Store EVENTS at positions 1 to 7."""
    for name, event_type, tags in EVENTS:
        await append(http, name, {"type": event_type, "tags": tags})


def positions(pages: list[list[dict[str, Any]]]) -> list[int]:
    """Give the positions of all events of pages."""
    return [event["position"] for page in pages for event in page]


def query(*items: dict[str, Any]) -> str:
    """Give a query parameter."""
    return "query=" + quote(json.dumps({"any_of": items}))


FILTERS: list[tuple[str, list[int]]] = [
    ("", [1, 2, 3, 4, 5, 6, 7]),
    ("type=Placed", [1, 2, 4, 7]),
    ("type=Placed&type=Paid", [1, 2, 3, 4, 7]),
    ("type=%C5%BB%C3%B3%C5%82w+%F0%9F%90%A2", [5]),
    ("type=Nothing", []),
    ("category=order", [1, 2, 3, 5, 6]),
    ("category=order&category=cart", [1, 2, 3, 4, 5, 6]),
    ("stream=order-1", [1, 3, 6]),
    ("stream=order-1&stream=order-2", [1, 2, 3, 6]),
    ("tag=customer:1", [1, 3, 4, 6]),
    ("tag=customer%3A1&tag=new", [1, 6]),
    ("tag=a%26b%3Dc", [4]),
    ("tag=fast%2Bfree", [6]),
    ("tag=fast+free", []),
    ("type=Placed&tag=customer:1", [1, 4]),
    ("type=Placed&category=order&tag=customer:1", [1]),
    ("category=order&stream=cart-1", []),
    ("type=Placed&type=Shipped&stream=order-1&tag=new", [1, 6]),
    ("after=2&before=6", [3, 4, 5]),
    ("after=2&before=6&category=order", [3, 5]),
    ("after=7", []),
    (query({}), [1, 2, 3, 4, 5, 6, 7]),
    (query({"types": ["Paid"]}, {"tags": ["customer:2"]}), [2, 3]),
    (query({"types": ["Paid"]}, {}), [1, 2, 3, 4, 5, 6, 7]),
    (query({"categories": ["cart"]}, {"streams": ["order"]}), [4, 5]),
    (query({"types": ["Placed"], "tags": ["customer:1"], "categories": ["order"]}), [1]),
    (query({"types": []}), [1, 2, 3, 4, 5, 6, 7]),
    (query({"types": ["Paid", "Placed"], "streams": ["order-1"]}) + "&after=1", [3]),
]


async def test_filters_mean_what_they_say_in_both_directions_and_every_form(
    http: httpx.AsyncClient,
) -> None:
    await stored(http)
    for parameters, expected in FILTERS:
        for limit in ("", "limit=1", "limit=2", "limit=1000"):
            address = f"/events?{parameters}&{limit}"
            assert positions(await all_pages(http, address)) == expected, address
            address += "&direction=backward"
            assert positions(await all_pages(http, address)) == expected[::-1], address
        lines = await http.get(f"/events?{parameters}", headers={"accept": "application/x-ndjson"})
        assert [event["position"] for event in events_of(lines)] == expected, parameters


async def test_a_page_of_the_log_has_its_head(http: httpx.AsyncClient) -> None:
    await stored(http)
    answer = await http.get("/events?limit=2&type=Placed")

    assert answer.json()["head"] == 7
    assert answer.headers["event-position"] == "7;epoch=1"
    assert answer.headers["vary"] == "accept"
    assert answer.links["next"]["url"] == "?limit=2&type=Placed&after=2"


async def test_an_empty_log_is_an_empty_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/events")
    assert answer.json() == {"events": [], "head": 0}
    assert answer.headers["event-position"] == "0;epoch=1"


async def test_the_position_of_a_page_can_be_carried_on(http: httpx.AsyncClient) -> None:
    await stored(http)
    answer = await http.get("/events?limit=1")
    carried = {"event-position": answer.headers["event-position"]}
    assert (await http.get("/events", headers=carried)).status_code == 200


async def test_a_page_holds_at_most_a_thousand_events(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 1001)
    assert list(map(len, await all_pages(http, "/events?limit=1000"))) == [1000, 1]
    problem(await http.get("/events?limit=1001"), 400, "malformed-request", "limit", "1000")


async def test_a_page_of_large_events_is_shorter_and_leads_on(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    for _ in range(13):
        await store.append("a", [EventData("Large", "x" * 50_000)] * 10)
    first = await http.get("/events?limit=1000")
    assert len(events_of(first)) == 100
    assert positions(await all_pages(http, "/events?limit=1000")) == list(range(1, 131))


async def test_an_event_is_found_by_its_id(http: httpx.AsyncClient) -> None:
    await stored(http)
    for event in events_of(await http.get("/events")):
        answer = await http.get(f"/events/{event['id']}")
        assert answer.json() == event
        assert answer.headers["cache-control"].endswith("immutable")
        assert answer.headers["etag"] == f'"{event["revision"]}"'


async def test_an_id_of_no_event_is_not_found(shared_http: httpx.AsyncClient) -> None:
    missing = str(uuid.uuid4())
    problem(await shared_http.get(f"/events/{missing}"), 404, "not-found", missing)


@pytest.mark.parametrize("event_id", ["1", "x", "%00", "order-1", "0193b6a5-2f0e-7a4b-8c1d"])
async def test_what_is_no_id_is_refused(shared_http: httpx.AsyncClient, event_id: str) -> None:
    problem(await shared_http.get(f"/events/{event_id}"), 422, "invalid-request", "is a UUID")


@pytest.mark.parametrize(
    "parameters",
    [f"{name}=x&{query({})}" for name in ("type", "tag", "category", "stream")],
)
async def test_a_query_and_filters_do_not_mix(
    shared_http: httpx.AsyncClient, parameters: str
) -> None:
    answer = await shared_http.get(f"/events?{parameters}")
    problem(answer, 400, "malformed-request", "not both")
