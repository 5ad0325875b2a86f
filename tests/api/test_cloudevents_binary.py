"""CloudEvents in HTTP binary mode: attributes are headers, the body is the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import httpx
import pytest
from starlette.types import Message

from eventstore_api.dispatch import Dispatcher
from tests.api.rest import (
    CLOUDEVENT,
    CLOUDEVENTS,
    append,
    head,
    location,
    problem,
    raw_request,
    request_scope,
)

pytestmark = pytest.mark.one_postgres

JSON: Final = "application/json"
LEAST: Final = {"ce-specversion": "1.0", "ce-id": "e-77", "ce-source": "/shop", "ce-type": "Paid"}
OWN: Final = ("stream", "revision", "position", "recordedat")


async def send(
    http: httpx.AsyncClient,
    body: bytes = b'{"n":1}',
    content_type: str | None = JSON,
    path: str = "/streams/pay-9",
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> httpx.Response:
    """Send a CloudEvent in binary mode."""
    headers = LEAST | {f"ce-{name}": value for name, value in attributes.items()}
    if content_type is not None:
        headers["content-type"] = content_type
    return await http.post(path, content=body, headers=headers)


async def comes_back(http: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """Read what was stored, as a CloudEvent without the store's own attributes."""
    assert answer.status_code in (200, 201), answer.text
    found = await http.get(location(answer), headers={"accept": CLOUDEVENT})
    event: dict[str, Any] = found.json()
    return {name: value for name, value in event.items() if name not in OWN}


async def test_the_headers_are_the_event_and_the_body_is_its_data(http: httpx.AsyncClient) -> None:
    body = b'{"type":"card","data":{"n":1}}'  # which would be an event of the store's own form
    attributes = {
        "subject": "pay-9",
        "time": "2018-04-05T17:31:00Z",
        "dataschema": "https://example.com/s",
        "number": "5",
        "tags": "card,new",
    }
    first = await send(http, body, f"{JSON}; charset=utf-8", attributes=attributes)
    again = await send(http, body, f"{JSON}; charset=utf-8", attributes=attributes)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert await head(http) == 1
    assert await comes_back(http, first) == {
        "specversion": "1.0",
        "id": "e-77",
        "source": "/shop",
        "type": "Paid",
        "datacontenttype": "application/json; charset=utf-8",
        "data": json.loads(body),
        **attributes,
    }
    event = (await http.get(location(first))).json()
    assert (event["type"], event["tags"]) == ("Paid", ["card", "new"])


async def test_both_modes_are_the_same_event(http: httpx.AsyncClient) -> None:
    body = {"specversion": "1.0", "id": "e-77", "source": "/shop", "type": "Paid", "data": {"n": 1}}
    binary = await send(http)
    structured = await http.post(
        "/streams/pay-9", content=json.dumps(body), headers={"content-type": CLOUDEVENT}
    )
    assert (binary.status_code, structured.status_code) == (201, 200)
    assert structured.json() == binary.json()


async def test_an_append_of_one_keeps_its_other_headers(http: httpx.AsyncClient) -> None:
    headers = {**LEAST, "content-type": JSON, "if-none-match": "*"}
    first = await http.post("/streams/pay-9", content=b"1", headers=headers)
    other = await http.post("/streams/pay-9", content=b"1", headers=headers | {"ce-id": "e-78"})
    assert first.status_code == 201
    problem(other, 412, "revision-conflict")
    with_key = headers | {"ce-id": "e-79", "idempotency-key": "k"}
    del with_key["if-none-match"]
    answer = await http.post("/streams/pay-9", content=b"1", headers=with_key)
    problem(answer, 422, "invalid-request", "not both")


@pytest.mark.parametrize(
    ("content_type", "body", "member"),
    [
        (JSON, b'{"n": 1}', {"data": {"n": 1}}),
        (JSON, b" [1, null] ", {"data": [1, None]}),
        (JSON, b"null", {"data": None}),
        (JSON, b"", {}),
        ("application/vnd.shop+json", b'{"n":1}', {"data": {"n": 1}}),
        ("text/json", b"5", {"data": 5}),
        ("Application/JSON;charset=UTF-8", b"5", {"data": 5}),
        (None, b'{"n":1}', {"data": {"n": 1}}),
        (None, b"", {}),
        ("text/plain", b"5", {"data": "5"}),
        ("text/plain", b"", {}),
        ("text/plain; charset=utf-8", "größe\n".encode(), {"data": "größe\n"}),
        ("text/plain; charset=iso-8859-1", b"gr\xf6\xdfe", {"data_base64": "Z3L232U="}),
        ("text/plain", b"gr\xf6\xdfe", {"data_base64": "Z3L232U="}),
        ("text/csv", b"a\0b", {"data_base64": "YQBi"}),
        ("application/xml", b"<a/>", {"data": "<a/>"}),
        ("image/svg+xml", b"<svg/>", {"data": "<svg/>"}),
        ("application/octet-stream", b"\x00\xff", {"data_base64": "AP8="}),
        ("application/octet-stream", b"text", {"data_base64": "dGV4dA=="}),
        ("application/x-www-form-urlencoded", b"a=b", {"data_base64": "YT1i"}),
    ],
)
async def test_data_of_every_media_type_come_back_with_it(
    shared_http: httpx.AsyncClient, content_type: str | None, body: bytes, member: dict[str, Any]
) -> None:
    stream = f"/streams/types-{await head(shared_http)}"
    answer = await send(shared_http, body, content_type, stream, {"source": f"/s{stream}"})
    event = await comes_back(shared_http, answer)
    assert event.get("datacontenttype") == content_type
    assert {name: event[name] for name in event if name.startswith("data_") or name == "data"} == (
        member
    )


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("50%25%20off", "50% off"),
        ("50%2525", "50%25"),
        ("%41bc", "Abc"),
        ("e%cc%81", "e\u0301"),
        ("plain text as some send it", "plain text as some send it"),
        ('"quoted \\"text\\" \\\\ %41"', 'quoted "text" \\ A'),
        ('half"way"', 'half"way"'),
        ("  trimmed\t", "trimmed"),
        ("true", "true"),
        ("a, b", "a, b"),
    ],
)
async def test_values_are_decoded_as_the_binding_says(
    shared_app: Dispatcher, shared_http: httpx.AsyncClient, sent: str, meant: str
) -> None:
    stream = f"values-{await head(shared_http)}"
    headers = LEAST | {"ce-source": f"/{stream}", "ce-subject": sent, "ce-ext": sent}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await raw_request(
        shared_app, "POST", b"/streams/" + stream.encode(), headers=raw, body=b"1"
    )
    assert answer.status == 201, answer.body
    found = await shared_http.get(f"/streams/{stream}/0", headers={"accept": CLOUDEVENT})
    assert (found.json()["subject"], found.json()["ext"]) == (meant, meant)


@pytest.mark.parametrize(
    ("name", "value", "mentions"),
    [
        ("subject", b"50% off", "%25"),
        ("subject", b"%zz", "%25"),
        ("subject", b"%C0%A0", "UTF-8"),
        ("subject", b"%ff", "UTF-8"),
        ("subject", b"%ED%A0%80", "UTF-8"),
        ("subject", "ü".encode(), "ASCII"),
        ("subject", b"\xfc", "ASCII"),
        ("subject", b'"open', "quote"),
        ("subject", b'"a"b"', "quote"),
        ("subject", b'"', "quote"),
    ],
)
async def test_a_value_that_cannot_be_decoded_is_refused(
    shared_app: Dispatcher,
    shared_http: httpx.AsyncClient,
    name: str,
    value: bytes,
    mentions: str,
) -> None:
    before = await head(shared_http)
    raw = [(key.encode(), text.encode()) for key, text in LEAST.items()]
    raw.append((f"ce-{name}".encode(), value))
    answer = await raw_request(shared_app, "POST", b"/streams/bad", headers=raw, body=b"1")
    found = answer.problem()
    assert answer.status == 400
    assert f"ce-{name}" in found["detail"]
    assert mentions in found["detail"]
    assert await head(shared_http) == before


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        *(({name: ""}, f"ce-{name}") for name in ("specversion", "id", "source", "type")),
        ({"specversion": "0.3"}, "ce-specversion"),
        ({"specversion": "1.1"}, "ce-specversion"),
        ({"subject": ""}, "ce-subject"),
        ({"time": "yesterday"}, "ce-time"),
        ({"source": "not%20a%20URI"}, "ce-source"),
        ({"dataschema": "relative"}, "ce-dataschema"),
        ({"ext": "%07"}, "ce-ext"),
        ({"bad-name": "x"}, "ce-bad-name"),
        ({"bad_name": "x"}, "ce-bad_name"),
        ({"data": "x"}, "ce-data"),
        ({"": "x"}, "ce-"),
        ({"type": "x" * 256}, "ce-type"),
        ({"type": "e%CC%81"}, "ce-type"),
        ({"tags": "x" * 256}, "ce-tags"),
    ],
)
async def test_a_fault_is_named_by_its_header_and_nothing_is_stored(
    shared_http: httpx.AsyncClient, attributes: dict[str, str], path: str
) -> None:
    before = await head(shared_http)
    found = problem(await send(shared_http, attributes=attributes), 422, "invalid-request")
    assert found["path"] == path
    assert attributes.get("specversion", "") in found["detail"]
    assert await head(shared_http) == before


@pytest.mark.parametrize("missing", ["ce-specversion", "ce-id", "ce-source", "ce-type"])
async def test_a_cloudevent_that_misses_an_attribute_is_not_taken_for_an_event(
    shared_http: httpx.AsyncClient, missing: str
) -> None:
    before = await head(shared_http)
    headers = {name: value for name, value in LEAST.items() if name != missing}
    answer = await shared_http.post("/streams/bad", json={"type": "card"}, headers=headers)
    assert problem(answer, 422, "invalid-request")["path"] == missing
    for name in (*LEAST, "ce-subject", "ce-cloudeventsversion"):
        answer = await shared_http.post("/streams/bad", json={"type": "card"}, headers={name: "x"})
        problem(answer, 422, "invalid-request")
    assert await head(shared_http) == before


@pytest.mark.parametrize("name", ["ce-id", "ce-subject", "ce-specversion", "Content-Type"])
async def test_a_header_that_comes_twice_is_refused(
    shared_app: Dispatcher, shared_http: httpx.AsyncClient, name: str
) -> None:
    before = await head(shared_http)
    headers = LEAST | {"ce-subject": "a", "content-type": JSON}
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    raw.append((name.lower().encode(), headers[name.lower()].encode()))
    answer = await raw_request(shared_app, "POST", b"/streams/bad", headers=raw, body=b"1")
    assert answer.status == 400
    assert f"{name} comes twice" in answer.problem()["detail"]
    assert await head(shared_http) == before


@pytest.mark.parametrize(
    ("content_type", "body", "status", "slug"),
    [
        (JSON, b"{", 400, "malformed-request"),
        (JSON, b" ", 400, "malformed-request"),
        (None, b"text", 400, "malformed-request"),
        (JSON, b'"\\u0000"', 422, "invalid-request"),
        (JSON, b'"\xff"', 422, "invalid-request"),
        ("application/json; charset=utf-16", b"\xff\xfe1\0", 415, "unsupported-media-type"),
        ("json", b"1", 415, "unsupported-media-type"),
        ("application/json, text/plain", b"1", 415, "unsupported-media-type"),
        ("application/cloudevents+xml", b"<a/>", 415, "unsupported-media-type"),
        ("application/cloudevents", b"1", 415, "unsupported-media-type"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_refused(
    shared_http: httpx.AsyncClient, content_type: str | None, body: bytes, status: int, slug: str
) -> None:
    before = await head(shared_http)
    problem(await send(shared_http, body, content_type), status, slug)
    assert await head(shared_http) == before


async def test_data_beyond_a_limit_are_refused(shared_http: httpx.AsyncClient) -> None:
    answer = await send(shared_http, b"\0" * (1 << 20), "image/png")
    problem(answer, 413, "limit-exceeded")


async def test_headers_may_repeat_what_a_structured_event_says(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    body = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "n": 5, "flag": True}
    right = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-n": "5", "ce-flag": "true"}
    for name, value in {"ce-id": "2", "ce-n": "05", "ce-flag": "True", "ce-subject": "x"}.items():
        with subtests.test(f"{name}: {value}"):
            headers = {"content-type": CLOUDEVENT, **right, name: value}
            answer = await http.post("/streams/s", content=json.dumps(body), headers=headers)
            problem(answer, 400, "malformed-request", name)
    headers = {"content-type": CLOUDEVENTS, **right}
    answer = await http.post("/streams/s", content=json.dumps([body]), headers=headers)
    problem(answer, 400, "malformed-request", "batch")
    headers = {"content-type": CLOUDEVENT, **right}
    answer = await http.post("/streams/s", content=json.dumps(body), headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/appends"),
        ("PUT", "/consumers/mails"),
        ("POST", "/consumers/mails/receive"),
        ("POST", "/consumers/mails/parked/replay"),
        ("DELETE", "/consumers/mails"),
        ("POST", "/projections/orders/pause"),
        ("POST", "/projections/orders/rebuild"),
        ("POST", "/commands/wallet/deposit"),
    ],
)
async def test_a_route_that_takes_no_cloudevents_says_where_they_go(
    shared_http: httpx.AsyncClient, method: str, path: str
) -> None:
    content = json.dumps({"appends": [{"stream": "a", "events": [{"type": "A"}]}]})
    headers = LEAST | {"content-type": JSON}
    answer = await shared_http.request(method, path, content=content, headers=headers)
    problem(answer, 415, "unsupported-media-type", "POST /streams/{stream}")


async def test_a_read_does_not_mind_them(shared_http: httpx.AsyncClient) -> None:
    await append(shared_http, "read-1")
    for path in ("/events", "/streams/read-1", "/streams/read-1/0", "/consumers"):
        assert (await shared_http.get(path, headers=LEAST)).status_code == 200


async def test_a_body_that_is_lost_before_it_begins_is_no_event_without_data(
    app: Dispatcher, http: httpx.AsyncClient
) -> None:
    """In binary mode an empty body is a CloudEvent without data: one that is lost is not empty."""
    headers = [(b"host", b"localhost"), *((k.encode(), v.encode()) for k, v in LEAST.items())]

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("nobody is there to be answered")

    await app(request_scope("POST", b"/streams/lost", b"", headers), receive, send)
    assert await head(http) == 0
