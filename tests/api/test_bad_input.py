"""Bodies that are no append: a clear error, nothing stored, and the next append works."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.api.rest import append, head, problem, stream_path

pytestmark = pytest.mark.one_postgres

JSON = {"content-type": "application/json"}


async def refused(
    http: httpx.AsyncClient, body: bytes, status: int, slug: str, *mentions: str
) -> dict[str, Any]:
    """Expect that the body is refused by both routes, and that nothing else is harmed."""
    before = await head(http)
    answer = await http.post(stream_path("bad"), content=body, headers=JSON)
    members = problem(answer, status, slug, *mentions)
    event = body.removeprefix(b"[").removesuffix(b"]") if body.startswith(b"[") else body
    several = b'{"appends":[{"stream":"bad","events":[' + event + b"]}]}"
    problem(await http.post("/appends", content=several, headers=JSON), status, slug, *mentions)
    assert await head(http) == before
    good = await append(http, "good")
    assert (good.status_code, good.json()["position"]) == (201, before + 1)
    return members


NO_JSON: list[bytes] = [
    b"{",
    b"nonsense",
    b"{'type': 'A'}",
    b'{"type": "A",}',
    b'{"type": "A"} {"type": "B"}',
    b'{"type": "A" "data": 1}',
    b'{"type": "A", "data": NaN}',
    b'{"type": "A", "data": Infinity}',
    b'{"type": "A", "data": -Infinity}',
    b'{"type": "A", "data": [1, NaN]}',
    b'{"type": "A", "data": 01}',
    b'{"type": "A", "data": 1.}',
    b'{"type": "A", "data": .5}',
    b'{"type": "A", "data": +1}',
    b'{"type": "A", "data": 0x10}',
    b'{"type": "A", "data": tru}',
    b'{"type": "A", "data": "\n"}',
    b'{"type": "A", "data": "\x00"}',
    b'{"type": "A", "data": "\\x"}',
    b'{"type": "A", "data": "\\u12"}',
    b'{"type": "A", "data": "\\ud800"}',
    b'{"type": "A", "data": {"\\udc00": 1}}',
    b'{"type": "A", "data": "\\ud800\\u0041"}',
    b'{"type": "\\ud800"}',
    b'{"type": "A", "tags": ["\\udfff"]}',
    b'{"type": "A", "id": "\\ud800"}',
    b'{"type": "A", "metadata": {"k": "\\udbff"}}',
    '{"type": "A"}'.encode("utf-16"),
    b'{"type": "A", "data": /* comment */ 1}',
    b"\x00",
    b"\x1f\x8b\x08\x00",
]


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: ascii(body)[2:42])
async def test_what_is_no_json_is_malformed(shared_http: httpx.AsyncClient, body: bytes) -> None:
    await refused(shared_http, body, 400, "malformed-request", "not JSON")


@pytest.mark.parametrize("body", [b"", b" \n\t"], ids=ascii)
async def test_an_empty_body_is_malformed(shared_http: httpx.AsyncClient, body: bytes) -> None:
    for path in (stream_path("bad"), "/appends"):
        answer = await shared_http.post(path, content=body, headers=JSON)
        problem(answer, 400, "malformed-request", "not JSON")


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\xaf", b"\xe9"],
    ids=ascii,
)
@pytest.mark.parametrize(
    "form",
    [
        b'{"type": "%s"}',
        b'{"type": "A", "data": "%s"}',
        b'{"type": "A", "data": {"%s": 1}}',
        b'{"type": "A", "metadata": {"k": "%s"}}',
        b'{"type": "A", "tags": ["%s"]}',
        b'{"type": "A", "id": "%s"}',
        b'{"type": "A", "%s": 1}',
    ],
    ids=ascii,
)
async def test_invalid_utf8_is_refused_wherever_it_is(
    shared_http: httpx.AsyncClient, form: bytes, text: bytes
) -> None:
    before = await head(shared_http)
    answer = await shared_http.post(stream_path("bad"), content=form % text, headers=JSON)
    assert answer.status_code in (400, 422)
    slug = "malformed-request" if answer.status_code == 400 else "invalid-request"
    detail = problem(answer, answer.status_code, slug)["detail"]
    assert "UTF-8" in detail or "utf-8" in detail
    assert await head(shared_http) == before


@pytest.mark.parametrize(
    ("body", "path", "mention"),
    [
        (b"5", "$", "object"),
        (b'"A"', "$", "object"),
        (b"null", "$", "object"),
        (b"{}", "$", "type"),
        (b'{"data": {}}', "$", "type"),
        (b'{"type": null}', "$.type", "str"),
        (b'{"type": 5}', "$.type", "str"),
        (b'{"type": ""}', "$.type", "empty"),
        (b'{"type": "a\\u0000b"}', "$.type", "U+0000"),
        (b'{"type": "a\\n"}', "$.type", "U+000A"),
        (b'{"type": "' + b"x" * 256 + b'"}', "$.type", "255 bytes"),
        (b'{"type": "e\\u0301"}', "$.type", "NFC"),
        (b'{"type": "A", "stream": "b"}', "$", "stream"),
        (b'{"type": "A", "revision": 5}', "$", "revision"),
        (b'{"type": "A", "position": 5}', "$", "position"),
        (b'{"type": "A", "recorded_at": "2020-01-01"}', "$", "recorded_at"),
        (b'{"type": "A", "data": "\\u0000"}', "$.data", "\\u0000"),
        (b'{"type": "A", "data": {"a\\u0000": 1}}', "$.data", "\\u0000"),
        (b'{"type": "A", "data": 1e400}', "$.data", "exponent"),
        (b'{"type": "A", "data": -1E+400}', "$.data", "exponent"),
        (b'{"type": "A", "data": [1e100000]}', "$.data", "exponent"),
        (b'{"type": "A", "data": 1e-100000}', "$.data", "exponent"),
        (b'{"type": "A", "data": ' + b"9" * 5000 + b"}", "$.data", "1000 characters"),
        (b'{"type": "A", "data": 0.' + b"9" * 5000 + b"}", "$.data", "1000 characters"),
        (b'{"type": "A", "data": ' + b"[" * 600 + b"]" * 600 + b"}", "$.data", "512"),
        (b'{"type": "A", "data": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}", "$.data", "512"),
        (b'{"type": "A", "metadata": null}', "$.metadata", "object"),
        (b'{"type": "A", "metadata": []}', "$.metadata", "object"),
        (b'{"type": "A", "metadata": "text"}', "$.metadata", "object"),
        (b'{"type": "A", "metadata": {"k": "\\u0000"}}', "$.metadata", "\\u0000"),
        (b'{"type": "A", "metadata": {"k": 1e999}}', "$.metadata", "exponent"),
        (b'{"type": "A", "tags": "a"}', "$.tags", "array"),
        (b'{"type": "A", "tags": null}', "$.tags", "array"),
        (b'{"type": "A", "tags": {}}', "$.tags", "array"),
        (b'{"type": "A", "tags": [1]}', "$.tags[0]", "str"),
        (b'{"type": "A", "tags": [null]}', "$.tags[0]", "str"),
        (b'{"type": "A", "tags": [""]}', "$.tags", "empty"),
        (b'{"type": "A", "tags": ["\\u0000"]}', "$.tags", "U+0000"),
        (b'{"type": "A", "tags": ["e\\u0301"]}', "$.tags", "NFC"),
        (b'{"type": "A", "tags": ["' + b"x" * 256 + b'"]}', "$.tags", "255 bytes"),
        (b'{"type": "A", "id": "x"}', "$.id", "UUID"),
        (b'{"type": "A", "id": "a\\u0000"}', "$.id", "UUID"),
        (b'{"type": "A", "id": 5}', "$.id", "str"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_what_is_no_event_is_refused_with_the_path_of_its_fault(
    shared_http: httpx.AsyncClient, body: bytes, path: str, mention: str
) -> None:
    members = await refused(shared_http, body, 422, "invalid-request", mention)
    assert members["path"] == path


@pytest.mark.parametrize("body", [b"[5]", b'[{"type": "A"}, {"typ": "B"}]', b'[{"type": "A"}, 5]'])
async def test_one_fault_refuses_all_events_of_an_append(
    shared_http: httpx.AsyncClient, body: bytes
) -> None:
    members = await refused(shared_http, body, 422, "invalid-request")
    assert members["path"] == f"$[{len(json.loads(body)) - 1}]"


async def test_an_append_of_no_events_is_refused(shared_http: httpx.AsyncClient) -> None:
    await refused(shared_http, b"[]", 422, "invalid-request", "at least one event")


@pytest.mark.parametrize("depth", [10_000, 100_000])
@pytest.mark.parametrize("form", ["data", "metadata", "body", "condition"])
async def test_ten_thousand_levels_are_too_deep(
    shared_http: httpx.AsyncClient, form: str, depth: int
) -> None:
    before = await head(shared_http)
    nested = b"[" * depth + b"]" * depth
    path, body = {
        "data": (stream_path("bad"), b'{"type":"A","data":' + nested + b"}"),
        "metadata": (stream_path("bad"), b'{"type":"A","metadata":{"a":' + nested + b"}}"),
        "body": (stream_path("bad"), nested),
        "condition": (
            "/appends",
            b'{"appends":[{"stream":"bad","events":[{"type":"A"}]}],'
            b'"condition":{"none_matching":' + nested + b"}}",
        ),
    }[form]
    answer = await shared_http.post(path, content=body, headers=JSON)
    problem(answer, 422, "invalid-request")
    assert await head(shared_http) == before
    assert (await append(shared_http, "good")).status_code == 201


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (gzip.compress(b'{"type": "T"}', mtime=0), "packed by gzip"),
        ('{"type": "T"}'.encode("utf-16"), "UTF-16"),
        ('\ufeff{"type": "T"}'.encode("utf-16-be"), "UTF-16"),
        (b"\xef\xbb\xbf{", "not JSON"),
    ],
)
async def test_a_body_of_another_kind_is_named(
    http: httpx.AsyncClient, body: bytes, named: str
) -> None:
    for path in ("/streams/a", "/appends"):
        answer = await http.post(path, content=body, headers={"content-type": "application/json"})
        problem(answer, 400, "malformed-request", named)
    assert await head(http) == 0


@pytest.mark.parametrize("body", [b'{"type": "T"}', b'[{"type": "T"}]'])
async def test_a_byte_order_mark_is_no_part_of_a_body(http: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await http.post("/streams/a", content=b"\xef\xbb\xbf" + body, headers=headers)
    assert answer.status_code == 201
    made = await http.put("/consumers/g", content=b'\xef\xbb\xbf{"buffer": 7}', headers=headers)
    assert made.json()["buffer"] == 7
