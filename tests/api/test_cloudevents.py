"""CloudEvents 1.0 in and out."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.api.rest import CLOUDEVENT, CLOUDEVENTS, EVENT, append, head, problem, stream_path

pytestmark = pytest.mark.one_postgres

FULL: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "https://example.com/shop?x=1",
    "type": "com.example.order.placed",
    "subject": "order 7",
    "time": "2018-04-05T17:31:00Z",
    "datacontenttype": "application/json",
    "dataschema": "https://example.com/schema",
    "comexampleextension1": "value ü",
    "comexampleothervalue": 5,
    "comexampleflag": True,
    "data": {"total": 12, "lines": [1, 2.5, None]},
}
LEAST: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


async def send(
    http: httpx.AsyncClient, name: str, body: Any, content_type: str = CLOUDEVENT
) -> httpx.Response:
    """Append CloudEvents to a stream."""
    headers = {"content-type": content_type}
    return await http.post(stream_path(name), content=json.dumps(body), headers=headers)


async def received(http: httpx.AsyncClient, path: str, accept: str) -> Any:
    """Read CloudEvents."""
    answer = await http.get(path, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == accept
    return json.loads(answer.content, object_pairs_hook=without_repeats)


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Give an object, none of whose members comes twice."""
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


async def test_a_cloudevent_comes_back_as_it_came(http: httpx.AsyncClient) -> None:
    answer = await send(http, "order-7", FULL)
    assert answer.status_code == 201
    event = await received(http, answer.headers["location"], CLOUDEVENT)

    assert {name: event.pop(name) for name in FULL} == FULL
    assert (event.pop("stream"), event.pop("revision"), event.pop("position")) == (
        "order-7",
        0,
        "1",
    )
    assert datetime.fromisoformat(event.pop("recordedat")).tzinfo is not None
    assert event == {}


async def test_a_cloudevent_is_an_event_like_any_other(http: httpx.AsyncClient) -> None:
    answer = await send(http, "order-7", {**FULL, "tags": "customer:1,new"})
    event = (await http.get(answer.headers["location"])).json()

    assert (event["type"], event["data"]) == (FULL["type"], FULL["data"])
    assert event["tags"] == ["customer:1", "new"]
    kept = event["metadata"]["cloudevents"]
    assert kept["source"] == FULL["source"]
    assert kept["comexampleothervalue"] == 5
    assert (await http.get("/events?tag=new")).json()["events"] == [event]
    assert (await received(http, "/events", CLOUDEVENTS))[0]["tags"] == "customer:1,new"


async def test_a_batch_is_appended_in_order_and_comes_back(http: httpx.AsyncClient) -> None:
    batch = [{**FULL, "id": f"id-{n}", "data": n} for n in range(5)]
    answer = await send(http, "order-7", batch, CLOUDEVENTS)

    assert (answer.status_code, answer.json()["revision"]) == (201, 4)
    for path in ("/streams/order-7", "/events"):
        found = await received(http, path, CLOUDEVENTS)
        assert [{name: event[name] for name in FULL} for event in found] == batch
    page = await http.get("/events?limit=2", headers={"accept": CLOUDEVENTS})
    assert page.links["next"]["url"] == "/events?limit=2&after=2"


async def test_the_same_source_and_id_are_the_same_append(http: httpx.AsyncClient) -> None:
    first = await send(http, "order-7", FULL)
    again = await send(http, "order-7", FULL)
    other = await send(http, "order-7", {**FULL, "source": "/another"})

    assert [a.status_code for a in (first, again, other)] == [201, 200, 201]
    assert again.json() == first.json()
    assert await head(http) == 2
    problem(await send(http, "order-8", FULL), 409, "duplicate-event-id")


async def test_an_id_that_is_a_uuid_is_the_event_id(http: httpx.AsyncClient) -> None:
    event_id = str(uuid.uuid4())
    answer = await send(http, "order-7", {**FULL, "id": event_id})
    assert answer.json()["event_ids"] == [event_id]


async def test_what_was_sent_can_be_sent_on_to_another_stream_as_new(
    http: httpx.AsyncClient,
) -> None:
    await append(http, "order-1", {"type": "Placed", "data": 1, "tags": ["a"]})
    [event] = await received(http, "/events", CLOUDEVENTS)
    answer = await send(http, "copy-1", {**event, "id": str(uuid.uuid4())})
    assert answer.status_code == 201
    [_, copy] = await received(http, "/events", CLOUDEVENTS)
    assert (copy["stream"], copy["revision"], copy["position"]) == ("copy-1", 0, "2")
    assert {copy[name] == event[name] for name in ("source", "subject", "time", "data")} == {True}


async def test_an_event_that_was_none_has_the_store_as_source(http: httpx.AsyncClient) -> None:
    written = await append(http, "order 1", EVENT)
    event = await received(http, written.headers["location"], CLOUDEVENT)
    store_id = (await http.get("/")).json()["store_id"]

    assert event["specversion"] == "1.0"
    assert [event["id"]] == written.json()["event_ids"]
    assert event["source"] == f"urn:eventstore:{store_id}"
    assert (event["subject"], event["type"], event["data"]) == (
        "order 1",
        EVENT["type"],
        {"total": 12},
    )


@pytest.mark.parametrize(
    "kept",
    [
        {"id": 5, "source": None, "specversion": "9"},
        {"id": "", "source": "/s"},
        {"id": "1", "source": "/s", "data": 1, "data_base64": "AA==", "stream": 5},
        {"data": 1},
        "text",
        [],
    ],
)
async def test_metadata_that_only_looks_like_a_cloudevent_makes_no_bad_one(
    shared_http: httpx.AsyncClient, kept: Any
) -> None:
    event = {**EVENT, "metadata": {"cloudevents": kept}}
    written = await append(shared_http, "looks-like", event)
    found = await received(shared_http, written.headers["location"], CLOUDEVENT)

    assert isinstance(found["id"], str)
    assert found["id"]
    assert isinstance(found["source"], str)
    assert found["source"]
    assert (found["specversion"], found["data"]) == ("1.0", EVENT["data"])
    assert found["stream"] == "looks-like"
    assert "data_base64" not in found


@pytest.mark.parametrize(
    ("change", "path"),
    [
        *(({name: None}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        *(({name: ""}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        *(({name: 1}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        ({"specversion": "0.3"}, "$.specversion"),
        ({"type": "a\n"}, "$.type"),
        ({"type": "x" * 256}, "$.type"),
        ({"data_base64": "AAAA"}, "$"),
        ({"tags": ["a"]}, "$.tags"),
        ({"data": "\0"}, "$.data"),
        ({"subject": "\0"}, "$.subject"),
        ({"big": 10**2000}, "$.big"),
    ],
)
async def test_a_fault_is_named_by_its_path_and_nothing_is_stored(
    shared_http: httpx.AsyncClient, change: dict[str, Any], path: str
) -> None:
    before = await head(shared_http)
    problem_of_one = problem(await send(shared_http, "bad", LEAST | change), 422, "invalid-request")
    batch = [{**LEAST, "id": "good"}, LEAST | change]
    problem_of_batch = problem(
        await send(shared_http, "bad", batch, CLOUDEVENTS), 422, "invalid-request"
    )
    assert problem_of_one["path"] == path
    assert problem_of_batch["path"] == path.replace("$", "$[1]", 1)
    assert await head(shared_http) == before


@pytest.mark.parametrize("change", [{"data": "\ud800"}, {"subject": "\udfff"}, {"\ud800": 1}])
async def test_a_lone_surrogate_is_no_json(
    shared_http: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    answer = await send(shared_http, "bad", LEAST | change)
    problem(answer, 400, "malformed-request", "not JSON")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(LEAST, CLOUDEVENTS), ([LEAST], CLOUDEVENT), ([], CLOUDEVENTS), ("x", CLOUDEVENT)],
)
async def test_one_and_a_batch_are_not_mixed_up(
    shared_http: httpx.AsyncClient, body: Any, content_type: str
) -> None:
    problem(await send(shared_http, "bad", body, content_type), 422, "invalid-request")


async def test_a_key_is_not_needed_and_not_taken(shared_http: httpx.AsyncClient) -> None:
    headers = {"content-type": CLOUDEVENT, "idempotency-key": "k"}
    answer = await shared_http.post("/streams/bad", content=json.dumps(LEAST), headers=headers)
    problem(answer, 422, "invalid-request", "not both")
