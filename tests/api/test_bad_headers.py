"""Headers and query parameters that are malformed: refused, never ignored."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest

from eventstore_api.dispatch import Dispatcher
from tests.api.rest import append, appended, head, problem, raw_request, stream_path

pytestmark = pytest.mark.one_postgres

LARGEST = 2**63 - 1

EXPECTATIONS = [
    ("if-match", "5"),
    ("if-match", ""),
    ("if-match", '"'),
    ("if-match", '""'),
    ("if-match", '"-1"'),
    ("if-match", '"+1"'),
    ("if-match", '"01"'),
    ("if-match", '"1.0"'),
    ("if-match", '" 1"'),
    ("if-match", '"1e3"'),
    ("if-match", 'W/"1"'),
    ("if-match", '"1", "2"'),
    ("if-match", "*, *"),
    ("if-match", f'"{LARGEST + 1}"'),
    ("if-match", f'"{10**400}"'),
    ("if-match", '"any"'),
    ("if-match", '"\u00b2"'),
    ("if-none-match", '"5"'),
    ("if-none-match", ""),
    ("if-none-match", "**"),
    ("if-none-match", '"*"'),
    ("if-none-match", "*, *"),
]


@pytest.mark.parametrize(("name", "value"), EXPECTATIONS, ids=lambda text: ascii(text)[:30])
async def test_an_expectation_that_is_malformed_stores_nothing(
    shared_app: Dispatcher, shared_http: httpx.AsyncClient, name: str, value: str
) -> None:
    before = await head(shared_http)
    headers = [(b"content-type", b"application/json"), (name.encode(), value.encode("latin-1"))]
    answer = await raw_request(
        shared_app, "POST", b"/streams/bad", headers=headers, body=b'{"type": "A"}'
    )
    assert answer.status == 400
    assert name in answer.problem()["detail"].lower()
    assert await head(shared_http) == before


async def test_two_expectations_are_refused(shared_http: httpx.AsyncClient) -> None:
    answer = await append(shared_http, "bad", headers={"if-match": "*", "if-none-match": "*"})
    problem(answer, 400, "malformed-request", "not both")


@pytest.mark.parametrize(
    "key",
    [b"", b" ", b'""', b"x" * 256, b'"' + b"x" * 256 + b'"', b"a\tb", b"a\x7fb", b"a\x85b"],
)
@pytest.mark.parametrize("path", [b"/streams/bad", b"/appends"])
async def test_a_key_that_is_malformed_stores_nothing(
    shared_app: Dispatcher, shared_http: httpx.AsyncClient, path: bytes, key: bytes
) -> None:
    before = await head(shared_http)
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key)]
    answer = await raw_request(shared_app, "POST", path, headers=headers, body=b'{"type": "A"}')
    assert answer.status == 400
    assert "Idempotency-Key" in answer.problem()["detail"]
    assert await head(shared_http) == before


@pytest.mark.parametrize("key", ["x" * 255, "a b c", "'; DROP TABLE", "\xe9", "ключ", '"'])
async def test_any_printable_text_is_a_key(shared_http: httpx.AsyncClient, key: str) -> None:
    headers = httpx.Headers([(b"idempotency-key", key.encode())])
    for status in (201, 200):
        answer = await shared_http.post(
            stream_path(f"key-{key[:9]}"), json={"type": "A"}, headers=headers
        )
        assert answer.status_code == status


@pytest.mark.parametrize(
    "prefer", ["=", "wait=", "wait=1=2", '"wait"', ";", "wait 1", "a;=b", "wäit", 'a="b']
)
async def test_a_preference_that_is_malformed_is_refused(
    shared_app: Dispatcher, prefer: str
) -> None:
    headers = [(b"content-type", b"application/json"), (b"prefer", prefer.encode())]
    for method, path in (
        ("POST", b"/streams/bad"),
        ("POST", b"/appends"),
        ("GET", b"/events"),
        ("GET", b"/streams/bad"),
        ("GET", b"/streams"),
    ):
        answer = await raw_request(shared_app, method, path, headers=headers, body=b'{"type": "A"}')
        assert answer.status == 400, (method, path)
        assert "Prefer" in answer.problem()["detail"]


@pytest.mark.parametrize(
    "prefer",
    ["wait=2", 'wait=2; until="orders"', "respond-async, wait=10", "handling = lenient", "x"],
)
async def test_a_preference_that_is_not_known_is_ignored(
    shared_http: httpx.AsyncClient, prefer: str
) -> None:
    answer = await append(shared_http, "preferred", headers={"prefer": prefer})
    assert answer.status_code == 201
    answer = await shared_http.get("/events?limit=1", headers={"prefer": prefer})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "x;epoch=1",
        "-1;epoch=1",
        "01;epoch=1",
        "1;epoch=0",
        "1;epoch=-1",
        "1;epoch=x",
        "1;epoch=",
        "1,epoch=1",
        "1;epoch=1;x=2",
        f"{LARGEST + 1};epoch=1",
        f"{10**400};epoch=1",
        f"1;epoch={10**400}",
        "1;epoch=1, 2;epoch=1",
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("path", ["/events", "/streams/carried", "/streams/carried/0", "/streams"])
async def test_a_position_that_no_append_gave_is_refused(
    shared_http: httpx.AsyncClient, path: str, value: str
) -> None:
    answer = await shared_http.get(path, headers={"event-position": value})
    problem(answer, 400, "malformed-request", "Event-Position")


BOUNDS = [
    *(
        (f"{name}={value}", name)
        for name in ("after", "before", "limit")
        for value in (
            "",
            "x",
            "1.5",
            "1e3",
            "0x1",
            "+1",
            "01",
            "%2B1",
            "%20",
            "%00",
            "1_0",
            "\u0663",
        )
    ),
    *((f"{name}={10**400}", name) for name in ("after", "before", "limit")),
    *((f"{name}={LARGEST + 1}", name) for name in ("after", "before")),
    ("before=-1", "before"),
    ("after=-2", "after"),
    ("limit=0", "limit"),
    ("limit=-1", "limit"),
    ("limit=1001", "limit"),
    ("direction=", "direction"),
    ("direction=up", "direction"),
    ("direction=Forward", "direction"),
    ("after=1&after=2", "after is given twice"),
    ("limit=1&limit=1", "limit is given twice"),
    ("direction=forward&direction=backward", "direction is given twice"),
    ("unknown=1", "unknown query parameter 'unknown'"),
    ("After=1", "unknown query parameter 'After'"),
    ("=1", "unknown query parameter ''"),
    ("after", "after"),
    ("%61fter=x", "after"),
    (f"{'x' * 10_000}=1", "unknown query parameter"),
]


@pytest.mark.parametrize(("query", "mention"), BOUNDS, ids=lambda text: ascii(text)[:40])
async def test_a_parameter_that_is_malformed_is_refused_by_every_read(
    shared_app: Dispatcher, shared_http: httpx.AsyncClient, query: str, mention: str
) -> None:
    await appended(shared_http, "bounded")
    for path in (b"/events", b"/streams/bounded"):
        answer = await raw_request(shared_app, "GET", path, query.encode())
        assert answer.status == 400, path
        assert mention in answer.problem()["detail"]


async def test_the_log_has_no_position_before_its_first(shared_http: httpx.AsyncClient) -> None:
    problem(await shared_http.get("/events?after=-1"), 400, "malformed-request", "after")


QUERIES = [
    "",
    "{",
    "null",
    "[]",
    '"text"',
    "{}",
    '{"any_of": []}',
    '{"any_of": {}}',
    '{"any_of": [[]]}',
    '{"any_of": [null]}',
    '{"any_of": [{"types": "A"}]}',
    '{"any_of": [{"types": null}]}',
    '{"any_of": [{"types": [1]}]}',
    '{"any_of": [{"types": [""]}]}',
    '{"any_of": [{"types": ["\\u0000"]}]}',
    '{"any_of": [{"types": ["\\ud800"]}]}',
    '{"any_of": [{"\\ud800": ["a"]}]}',
    '{"\\ud800": 1}',
    '{"any_of": [{"type": ["A"]}]}',
    '{"any_of": [{}], "none_of": []}',
    '{"any_of": [{"tags": ["e\u0301"]}]}',
    '{"any_of": [NaN]}',
    '{"any_of": [1e999]}',
    '{"any_of": ' + "9" * 5000 + "}",
    '{"any_of": ' + "[" * 20_000 + "]" * 20_000 + "}",
    '{"any_of": [' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]}",
    json.dumps({"any_of": [{"streams": ["x" * 256]}]}),
]


@pytest.mark.parametrize("text", QUERIES, ids=lambda text: ascii(text)[:40])
async def test_a_query_that_is_none_is_refused(shared_app: Dispatcher, text: str) -> None:
    answer = await raw_request(shared_app, "GET", b"/events", f"query={quote(text)}".encode())
    assert answer.status == 400
    assert "query" in answer.problem()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "query=" + quote(json.dumps({"any_of": [{}] * 65})),
        "query=" + quote(json.dumps({"any_of": [{"tags": [f"t{n}" for n in range(257)]}]})),
        "&".join(f"tag=t{n}" for n in range(257)),
        "&".join(f"type=t{n}" for n in range(20_000)),
    ],
    ids=["items", "values", "tags", "very many types"],
)
async def test_a_query_is_bounded(shared_app: Dispatcher, query: str) -> None:
    answer = await raw_request(shared_app, "GET", b"/events", query.encode())
    assert answer.status in (400, 413)
    assert "at most" in answer.problem()["detail"]


@pytest.mark.parametrize("name", ["type", "tag", "category", "stream"])
@pytest.mark.parametrize("value", ["", "%00", "a%0A", "x" * 256, "e%CC%81"], ids=lambda t: t[:9])
async def test_a_filter_that_can_mean_nothing_is_refused(
    shared_http: httpx.AsyncClient, name: str, value: str
) -> None:
    answer = await shared_http.get(f"/events?{name}={value}")
    problem(answer, 400, "malformed-request")
