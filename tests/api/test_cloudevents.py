"""CloudEvents 1.0 in and out."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from cloudevents.core.v1.event import CloudEvent

from eventstore import EventStore
from tests.api.conftest import client_of
from tests.api.rest import (
    CLOUDEVENT,
    CLOUDEVENTS,
    EVENT,
    append,
    head,
    location,
    problem,
    stream_path,
)
from tests.fix_database import NewDatabase
from tests.fix_service import application

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
    event = await received(http, location(answer), CLOUDEVENT)

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
    event = (await http.get(location(answer))).json()

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
    assert page.links["next"]["url"] == "?limit=2&after=2"


async def test_the_same_source_and_id_are_the_same_append(http: httpx.AsyncClient) -> None:
    first = await send(http, "order-7", FULL)
    again = await send(http, "order-7", FULL)
    other = await send(http, "order-7", {**FULL, "source": "/another"})

    assert [a.status_code for a in (first, again, other)] == [201, 200, 201]
    assert again.json() == first.json()
    assert await head(http) == 2
    problem(await send(http, "order-8", FULL), 409, "idempotency-conflict")


async def test_an_id_is_unique_within_its_source_only(
    shared_http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    made = uuid.uuid4()
    ids = ["7", str(made), made.hex, f"{{{made}}}", made.urn, str(made).upper()]
    for identity in ids:
        with subtests.test(identity):
            name = f"readings-{identity}"
            answers = [
                await send(shared_http, name, {**LEAST, "source": source, "id": identity})
                for source in ("/plant/a", "/plant/b", "/plant/a", "/plant/b")
            ]
            assert [answer.status_code for answer in answers] == [201, 201, 200, 200]
            assert answers[0].json() == answers[2].json()
            found = await received(shared_http, stream_path(name), CLOUDEVENTS)
            assert [(one["source"], one["id"]) for one in found] == [
                ("/plant/a", identity),
                ("/plant/b", identity),
            ]
    events = (await shared_http.get("/streams?prefix=readings-")).json()["streams"]
    assert [stream["revision"] for stream in events] == [1] * len(ids)


async def test_no_two_pairs_of_source_and_id_are_one_event(shared_http: httpx.AsyncClient) -> None:
    pairs = [("/a", "b/c"), ("/a/b", "c"), ("/ab", "c"), ("/a", "bc"), ("/a", " bc"), ("/a", "BC")]
    batch = [{**LEAST, "source": source, "id": identity} for source, identity in pairs]
    answer = await send(shared_http, "pairs", batch, CLOUDEVENTS)
    assert answer.status_code == 201
    assert len(set(answer.json()["event_ids"])) == len(pairs)


@pytest.fixture
async def other(new_database: NewDatabase, template: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another store."""
    async with EventStore(new_database(template)) as store:
        with application(store) as app:
            async with client_of(app) as client:
                yield client


async def test_what_one_store_gives_out_another_takes_as_the_same_event(
    http: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    tags = ["city:Berlin,DE", "back\\slash", "a\\,b", "größe:groß", ",", "\\"]
    await append(http, "order-1", {"type": "Moved", "data": {"n": 1}, "tags": tags})
    await send(http, "order-1", FULL)
    given = await received(http, "/events", CLOUDEVENTS)
    assert given[0]["source"] == f"urn:eventstore:{(await http.get('/')).json()['store_id']}"

    first = await send(other, "copy-1", given, CLOUDEVENTS)
    again = await send(other, "copy-1", given, CLOUDEVENTS)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert await received(other, "/events", CLOUDEVENTS) == given
    [copy, _] = (await other.get("/events")).json()["events"]
    assert copy["tags"] == sorted(tags)
    assert (copy["stream"], copy["position"]) == ("copy-1", 1)


async def test_attributes_of_the_names_that_the_store_adds_come_back_as_they_came(
    http: httpx.AsyncClient,
) -> None:
    foreign = {
        "stream": "kitchen",
        "revision": 7,
        "position": True,
        "recordedat": "",
        "tags": "b,,a",
    }
    answer = await send(http, "dish-1", LEAST | foreign)
    assert await received(http, location(answer), CLOUDEVENT) == LEAST | foreign
    event = (await http.get(location(answer))).json()
    assert event["metadata"] == {
        "cloudevents": {"id": "1", "source": "/s", "no_data": True, **foreign}
    }
    assert (event["stream"], event["tags"]) == ("dish-1", ["a", "b"])


async def test_tags_of_another_kind_are_an_attribute_like_any_other(
    http: httpx.AsyncClient,
) -> None:
    for number, tags in enumerate([5, True, ""]):
        answer = await send(http, "t-1", LEAST | {"id": f"n{number}", "tags": tags})
        [event] = await received(http, f"/streams/t-1?after={number - 1}", CLOUDEVENTS)
        assert (answer.status_code, event["tags"]) == (201, tags)


async def test_nothing_is_added_to_what_a_cloudevent_did_not_say(http: httpx.AsyncClient) -> None:
    answer = await send(http, "least-1", LEAST | {"subject": None, "extension": None})
    event = await received(http, location(answer), CLOUDEVENT)
    own = {name: event.pop(name) for name in ("stream", "revision", "position", "recordedat")}
    assert event == LEAST
    assert own["stream"] == "least-1"


@pytest.mark.parametrize(
    "data",
    [
        {"data": None},
        {"data": {"a": [1, None]}},
        {"data": "text", "datacontenttype": "text/plain; charset=utf-8"},
        {"data": "<a/>", "datacontenttype": "application/xml"},
        {"data": {"a": 1}, "datacontenttype": "application/vnd.shop+json"},
        {"data_base64": "AAH/", "datacontenttype": "image/png"},
        {"data_base64": ""},
        {"data_base64": "eyJhIjoxfQ==", "datacontenttype": "application/json"},
        {},
    ],
)
async def test_data_of_every_kind_come_back_as_they_came(
    shared_http: httpx.AsyncClient, data: dict[str, Any]
) -> None:
    sent = LEAST | {"id": str(uuid.uuid4())} | data
    answer = await send(shared_http, "kinds", sent)
    event = await received(shared_http, location(answer), CLOUDEVENT)
    for name in ("stream", "revision", "position", "recordedat"):
        del event[name]
    assert event == sent


async def test_an_event_that_was_none_has_the_store_as_source(http: httpx.AsyncClient) -> None:
    written = await append(http, "order 1", EVENT)
    event = await received(http, location(written), CLOUDEVENT)
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
        *(
            {"id": "1", "source": "/s", **bad}
            for bad in (
                {"time": {"a": 1}},
                {"time": "yesterday"},
                {"Bad Name": "x"},
                {"ext": 1.5},
                {"ext": ["x"]},
                {"stream": None, "big": 2**40},
                {"subject": ""},
                {"datacontenttype": "x"},
                {"data_base64": 1},
            )
        ),
        {"id": "1", "source": "not a URI"},
        "text",
        [],
        None,
    ],
)
async def test_metadata_that_only_looks_like_a_cloudevent_makes_no_bad_one(
    shared_http: httpx.AsyncClient, kept: Any
) -> None:
    event = {**EVENT, "metadata": {"cloudevents": kept}}
    written = await append(shared_http, "looks-like", event)
    found = await received(shared_http, location(written), CLOUDEVENT)

    assert valid(found)
    assert [found["id"]] == written.json()["event_ids"]
    assert (found["specversion"], found["data"]) == ("1.0", EVENT["data"])
    assert (found["stream"], found["subject"]) == ("looks-like", "looks-like")


@pytest.mark.parametrize("mark", ["data_base64", "no_data"])
async def test_a_mark_does_not_hide_data_that_it_does_not_fit(
    shared_http: httpx.AsyncClient, mark: str
) -> None:
    kept = {"id": "1", "source": "/s", mark: True}
    written = await append(shared_http, "marked", {**EVENT, "metadata": {"cloudevents": kept}})
    found = await received(shared_http, location(written), CLOUDEVENT)
    assert valid(found)
    assert found["data"] == EVENT["data"]


async def test_names_with_characters_that_cloudevents_forbid_make_no_bad_one(
    http: httpx.AsyncClient,
) -> None:
    await append(http, "n-\uffff", {"type": "Odd\ufdd0", "tags": ["a\ufffe", "b"]})
    [found] = await received(http, "/events", CLOUDEVENTS)
    assert valid(found)
    assert (found["type"], found["stream"]) == ("Odd\ufffd", "n-\ufffd")


def valid(event: dict[str, Any]) -> bool:
    """Check that the official SDK takes it, and that its names and types are those allowed."""
    CloudEvent(
        {
            n: datetime.fromisoformat(v) if n == "time" else v
            for n, v in event.items()
            if n not in ("data", "data_base64")
        },
        event.get("data"),
    )
    assert all(re.fullmatch("[a-z0-9]+", name) for name in event if name != "data_base64")
    assert all(type(v) in (str, int, bool) for n, v in event.items() if n != "data")
    assert not {"data", "data_base64"} <= event.keys()
    return True


@pytest.mark.parametrize(
    ("change", "path"),
    [
        *(({name: None}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        *(({name: ""}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        *(({name: 1}, f"$.{name}") for name in ("specversion", "id", "source", "type")),
        ({"specversion": "0.3"}, "$.specversion"),
        ({"type": "a\n"}, "$.type"),
        ({"type": "x" * 256}, "$.type"),
        ({"specversion": "1.0.2"}, "$.specversion"),
        *(({"source": bad}, "$.source") for bad in ("a b", "ü", "1a:b", "%2", "<s>", "a\\b")),
        *(({"dataschema": bad}, "$.dataschema") for bad in ("", "/relative", "http://a b", 5)),
        *(({"subject": bad}, "$.subject") for bad in ("", 5, "a\nb", "\x85", "\ufdd0", "\uffff")),
        *(({"datacontenttype": bad}, "$.datacontenttype") for bad in ("", "json", "a/b;c", 1)),
        *(
            ({"time": bad}, "$.time")
            for bad in (
                "",
                "now",
                1522949460,
                "2018-04-05",
                "2018-04-05T17:31:00",
                "2018-04-05 17:31:00Z",
                "2018-02-29T17:31:00Z",
                "2018-04-05T24:00:00Z",
                "2018-04-05T17:31:00+2:00",
                "2018-04-05T17:31:00+24:00",
            )
        ),
        *(
            ({name: "x"}, f"$.{name}")
            for name in ("Upper", "with_underscore", "with-dash", "ümlaut", "a b", "")
        ),
        *(({"ext": bad}, "$.ext") for bad in (1.5, 2**31, -(2**31) - 1, "\x07")),
        ({"ext": {}}, "$.ext"),
        ({"ext": ["a"]}, "$.ext"),
        ({"data": 1, "data_base64": "AAAA"}, "$.data_base64"),
        *(
            ({"data_base64": bad}, "$.data_base64")
            for bad in ("A", "AAA", "ä", 5, "AA==\n", "-_--")
        ),
        ({"tags": "x" * 256}, "$.tags"),
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


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ('"id": "2", ', "id"),
        ('"id": "1", ', "id"),
        ('"\\u0069d" :1 ,', "id"),
        ('"data":{"a":1},"data" : {"a":1},', "data"),
        ('"data":12,"data":1,', "data"),
        ('"data":1,"data":12,', "data"),
        ('"data":[],"data":null,', "data"),
        ('"ext": "a","ext": "a, b",', "ext"),
    ],
)
async def test_a_member_that_comes_twice_is_refused(
    shared_http: httpx.AsyncClient, members: str, name: str
) -> None:
    before = await head(shared_http)
    one = json.dumps(LEAST).replace("{", "{" + members, 1)
    for body, content_type, path in (
        (one, CLOUDEVENT, f"$.{name}"),
        (f"[{json.dumps(LEAST)},\n{one} ]", CLOUDEVENTS, f"$[1].{name}"),
    ):
        headers = {"content-type": content_type}
        answer = await shared_http.post("/streams/bad", content=body, headers=headers)
        assert problem(answer, 422, "invalid-request", "twice")["path"] == path
    assert await head(shared_http) == before


async def test_members_of_the_data_are_jsonb_s_own_affair(http: httpx.AsyncClient) -> None:
    body = json.dumps(LEAST)[:-1] + ', "data" : {"a":1,"a":{"id":2}}\n}'
    answer = await http.post("/streams/s", content=body, headers={"content-type": CLOUDEVENT})
    event = await received(http, location(answer), CLOUDEVENT)
    assert event["data"] == {"a": {"id": 2}}


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
