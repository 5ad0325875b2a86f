"""GET /streams, /categories and /event-types: names with what is known of them."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from tests.api.rest import append, appended, next_page, problem

pytestmark = pytest.mark.one_postgres

NAMES = [
    "-",
    "cart-1",
    "order",
    "order-1",
    "order-10",
    "order-2",
    "order:x-1",
    "ordered-1",
    "Zebra",
    "a&b=c+d-1",
    "50%-1",
    "żółw-1",
    "🐢-1",
]


async def stored(http: httpx.AsyncClient) -> None:
    """Store a stream of each name; the n-th has n + 1 events."""
    for revision, name in enumerate(NAMES):
        await appended(http, name, revision + 1)


async def listed(http: httpx.AsyncClient, parameters: str) -> list[list[str]]:
    """Follow the links from page to page; give the names of each page."""
    pages = []
    following: str | None = f"/streams?{parameters}"
    while following is not None:
        answer = await http.get(following)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"streams"}
        pages.append([one["stream"] for one in answer.json()["streams"]])
        following = next_page(answer)
    return pages


async def test_streams_are_listed_by_name_in_every_selection_and_page_size(
    http: httpx.AsyncClient,
) -> None:
    await stored(http)
    in_order = sorted(NAMES)
    selections = {
        "": in_order,
        "prefix=order": ["order", "order-1", "order-10", "order-2", "order:x-1", "ordered-1"],
        "prefix=order-1": ["order-1", "order-10"],
        "prefix=a%26b%3Dc%2Bd": ["a&b=c+d-1"],
        "prefix=50%25": ["50%-1"],
        "prefix=%25": [],
        "prefix=_": [],
        f"prefix={quote('ż')}": ["żółw-1"],
        "category=order": ["order", "order-1", "order-10", "order-2"],
        "category=order:x": ["order:x-1"],
        "category=": ["-"],
        "category=nothing": [],
        "category=order&prefix=order-1": ["order-1", "order-10"],
        "category=order&prefix=ord": ["order", "order-1", "order-10", "order-2"],
        "category=order&prefix=cart": [],
        "after=order-10": [name for name in in_order if name > "order-10"],
        "after=order-1x": [name for name in in_order if name > "order-1x"],
        f"after={quote('🐢-1')}": [],
    }
    for parameters, expected in selections.items():
        for limit in (1, 2, 5, 1000):
            pages = await listed(http, f"{parameters}&limit={limit}")
            assert [name for page in pages for name in page] == expected, (parameters, limit)
            assert all(len(page) == limit for page in pages[:-1])


async def test_each_stream_tells_its_head_revision(http: httpx.AsyncClient) -> None:
    await stored(http)
    answer = await http.get("/streams")
    found = {one["stream"]: one["revision"] for one in answer.json()["streams"]}
    assert found == {name: revision for revision, name in enumerate(NAMES)}


async def test_a_page_of_names_has_a_hundred_unless_said(http: httpx.AsyncClient) -> None:
    body = {"appends": [{"stream": f"s-{n:03}", "events": [{"type": "A"}]} for n in range(101)]}
    assert (await http.post("/appends", json=body)).status_code == 201
    assert list(map(len, await listed(http, ""))) == [100, 1]


async def test_categories_tell_their_events_and_the_last_position(http: httpx.AsyncClient) -> None:
    assert (await http.get("/categories")).json() == {"categories": []}
    for name, count in (("order-1", 2), ("order", 1), ("cart-1", 1), ("order-2", 3), ("-x", 1)):
        await appended(http, name, count)
    assert (await http.get("/categories")).json() == {
        "categories": [
            {"category": "", "events": 1, "last_position": 8},
            {"category": "cart", "events": 1, "last_position": 4},
            {"category": "order", "events": 6, "last_position": 7},
        ]
    }


async def test_event_types_tell_their_events_and_the_last_position(http: httpx.AsyncClient) -> None:
    assert (await http.get("/event-types")).json() == {"event_types": []}
    for n, event_type in enumerate(["Placed", "Żółw", "Placed", "Paid"]):
        await append(http, f"order-{n}", {"type": event_type})
    assert (await http.get("/event-types")).json() == {
        "event_types": [
            {"type": "Paid", "events": 1, "last_position": 4},
            {"type": "Placed", "events": 2, "last_position": 3},
            {"type": "Żółw", "events": 1, "last_position": 2},
        ]
    }


@pytest.mark.parametrize(
    ("parameters", "mention"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        (f"limit={10**40}", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=1&limit=2", "limit is given twice"),
        ("prefix=a&prefix=b", "prefix is given twice"),
        ("prefix=%00", "prefix"),
        ("category=%00", "category"),
        ("after=a%00", "after"),
        ("prefix=%FF", "prefix is not UTF-8"),
        ("prefix=%ed%a0%80", "prefix is not UTF-8"),
        ("prefix=%4", "malformed percent escape"),
        (f"prefix={'x' * 256}", "prefix"),
        (f"after={'x' * 60_000}", "after"),
        ("offset=1", "unknown query parameter 'offset'"),
        ("Limit=1", "unknown query parameter 'Limit'"),
    ],
)
async def test_a_parameter_that_means_nothing_is_refused(
    shared_http: httpx.AsyncClient, parameters: str, mention: str
) -> None:
    answer = await shared_http.get(f"/streams?{parameters}")
    problem(answer, 400, "malformed-request", mention)
