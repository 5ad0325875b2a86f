"""POST /streams/{stream_name}: what is stored, and what the answer says."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.api.rest import EVENT, append, appended, events_of, head, location, problem, stream_path


async def test_an_append_answers_where_its_event_is(http: httpx.AsyncClient) -> None:
    answer = await append(http, "order-1")

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body == {
        "stream": "order-1",
        "first_revision": 0,
        "revision": 0,
        "position": 1,
        "event_ids": [body["event_ids"][0]],
    }
    assert uuid.UUID(body["event_ids"][0]).version == 7
    assert answer.headers["etag"] == '"0"'
    assert answer.headers["event-position"] == "1;epoch=1"
    assert answer.headers["location"] == "order-1/0"
    assert "idempotency-replayed" not in answer.headers


async def test_the_location_of_an_append_is_its_first_event(http: httpx.AsyncClient) -> None:
    await appended(http, "order 1/ż")
    answer = await append(http, "order 1/ż", [EVENT, {"type": "OrderPaid"}])

    assert answer.headers["location"] == "order%201%2F%C5%BC/1"
    first = await http.get(location(answer))
    assert first.json()["id"] == answer.json()["event_ids"][0]


async def test_several_events_are_stored_in_a_row(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    await appended(http, "order-2", 1)
    body = await appended(http, "order-1", 4)

    assert (body["first_revision"], body["revision"], body["position"]) == (3, 6, 8)
    assert len(body["event_ids"]) == 4
    stored = events_of(await http.get("/streams/order-1"))
    assert [event["revision"] for event in stored] == list(range(7))
    assert [event["id"] for event in stored[3:]] == body["event_ids"]


async def test_an_event_comes_back_as_it_was_given(http: httpx.AsyncClient) -> None:
    event = {
        "type": "Bestellt ✓",
        "data": {"text": 'ü"\\\n\t🐢', "big": 10**30, "none": None, "list": [1.5, True, {}]},
        "metadata": {"user": "Ada", "trace": {"id": 7}},
        "id": "0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852",
        "tags": ["customer:7", "a b", 'quote"\\,{}'],
    }
    await append(http, "order-1", event)

    [stored] = events_of(await http.get("/streams/order-1"))
    assert stored.pop("recorded_at").endswith("+00:00")
    assert stored == {
        **event,
        "tags": sorted(event["tags"]),
        "position": 1,
        "stream": "order-1",
        "revision": 0,
    }


@pytest.mark.parametrize("data", [None, True, 0, "text", [], {}, [[], {"a": None}]])
async def test_data_is_any_json_value(shared_http: httpx.AsyncClient, data: Any) -> None:
    answer = await append(shared_http, "any-value", {"type": "Any", "data": data})

    stored = await shared_http.get(location(answer))
    assert stored.json()["data"] == data


async def test_data_metadata_and_tags_are_empty_unless_given(http: httpx.AsyncClient) -> None:
    answer = await append(http, "order-1", {"type": "Bare"})

    stored = (await http.get(location(answer))).json()
    assert (stored["data"], stored["metadata"], stored["tags"]) == ({}, {}, [])


@pytest.mark.parametrize(
    ("expectation", "existing", "status"),
    [
        ({}, 0, 201),
        ({}, 3, 201),
        ({"if-none-match": "*"}, 0, 201),
        ({"if-none-match": "*"}, 3, 412),
        ({"if-match": "*"}, 0, 412),
        ({"if-match": "*"}, 3, 201),
        ({"if-match": '"2"'}, 3, 201),
        ({"if-match": '"1"'}, 3, 412),
        ({"if-match": '"3"'}, 3, 412),
        ({"if-match": '"0"'}, 0, 412),
        ({"if-match": f'"{2**63 - 1}"'}, 3, 412),
    ],
)
async def test_an_append_meets_its_expectation_or_is_refused(
    shared_http: httpx.AsyncClient, expectation: dict[str, str], existing: int, status: int
) -> None:
    name = f"expected-{uuid.uuid4()}"
    if existing:
        await appended(shared_http, name, existing)
    answer = await append(shared_http, name, headers=expectation)

    assert answer.status_code == status
    if status == 201:
        assert answer.json()["revision"] == existing


async def test_a_conflict_tells_the_current_revision(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    answer = await append(http, "order-1", headers={"if-match": '"1"'})

    body = problem(answer, 412, "revision-conflict", "'order-1' is at revision 2", "expected 1")
    assert (body["stream"], body["expected_revision"], body["current_revision"]) == (
        "order-1",
        1,
        2,
    )
    assert answer.headers["etag"] == '"2"'
    assert await head(http) == 3


@pytest.mark.parametrize(
    ("header", "word"), [({"if-match": "*"}, "stream_exists"), ({"if-match": '"0"'}, 0)]
)
async def test_a_conflict_on_a_stream_without_events_says_so(
    http: httpx.AsyncClient, header: dict[str, str], word: object
) -> None:
    answer = await append(http, "order-1", headers=header)

    body = problem(answer, 412, "revision-conflict", "does not exist")
    assert (body["expected_revision"], body["current_revision"]) == (word, None)
    assert "etag" not in answer.headers


async def test_the_etag_of_an_answer_is_what_the_next_append_expects(
    http: httpx.AsyncClient,
) -> None:
    answer = await append(http, "order-1", headers={"if-none-match": "*"})
    for revision in range(1, 4):
        answer = await append(http, "order-1", headers={"if-match": answer.headers["etag"]})
        assert (answer.status_code, answer.headers["etag"]) == (201, f'"{revision}"')
    read = await http.get("/streams/order-1")
    answer = await append(http, "order-1", headers={"if-match": read.headers["etag"]})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
    ],
)
async def test_json_is_known_in_every_spelling(
    shared_http: httpx.AsyncClient, content_type: str
) -> None:
    answer = await shared_http.post(
        stream_path("spelling"),
        content=b' \n{"type": "A"}\t',
        headers={"content-type": content_type},
    )
    assert answer.status_code == 201


async def test_the_body_may_come_in_pieces(http: httpx.AsyncClient) -> None:
    async def pieces() -> Any:
        for byte in b'[{"type": "A"}, {"type": "B"}]':
            yield bytes([byte])

    answer = await http.post(
        "/streams/order-1", content=pieces(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 201
    assert [event["type"] for event in events_of(await http.get("/events"))] == ["A", "B"]
