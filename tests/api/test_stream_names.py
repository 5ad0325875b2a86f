"""Names with every kind of legal character come through URLs unchanged; others are refused."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote

import httpx
import pytest

from eventstore_api.dispatch import Dispatcher
from tests.api.rest import (
    EVENT,
    all_pages,
    append,
    events_of,
    head,
    location,
    next_page,
    problem,
    raw_request,
    stream_path,
)

pytestmark = pytest.mark.one_postgres

LEGAL = [
    "order-1",
    " ",
    " leading and trailing ",
    "100%",
    "%2F",
    "%",
    "%00",
    "a/b",
    "/",
    "//",
    "/a/",
    "what?",
    "?a=b&c=d",
    "#1",
    "a#b?c/d%20",
    "*",
    ".",
    "..",
    "...",
    "../..",
    "..%2F..",
    "a/../b",
    "+",
    "a+b c",
    "&=;,:@$!~()[]{}|^`<>",
    "'",
    '"',
    '"quoted"',
    "back\\slash",
    "'; DROP TABLE eventstore.events; --",
    "$1",
    "{}",
    "NULL",
    "żółw",
    "日本語",
    "עברית-1",
    "مرحبا بالعالم",
    "🐢",
    "👩‍👩‍👧‍👦-1",
    "\u00a0nbsp",
    "\u200bzero width",
    "\u202eright to left",
    "\ufeffbom",
    "\U0010fffd",
    "x" * 255,
    "🐢" * 63 + "xyz",
    "-",
    "--",
    "streams",
    "0",
    "-1",
]


@pytest.mark.parametrize("name", LEGAL, ids=ascii)
async def test_a_legal_name_survives_every_url(shared_http: httpx.AsyncClient, name: str) -> None:
    http = shared_http
    for body in (EVENT, [EVENT, EVENT]):
        written = await append(http, name, body)
        assert written.status_code == 201, written.text
    assert written.json()["stream"] == name

    first = await http.get(location(written))
    assert (first.json()["stream"], first.json()["revision"]) == (name, 1)
    pages = await all_pages(http, f"{stream_path(name)}?limit=2")
    assert [(e["stream"], e["revision"]) for page in pages for e in page] == [
        (name, 0),
        (name, 1),
        (name, 2),
    ]
    assert (await http.head(stream_path(name))).headers["etag"] == '"2"'
    pages = await all_pages(http, f"/events?limit=1&stream={quote(name, safe='')}")
    assert [page[0]["stream"] for page in pages[:3]] == [name] * 3
    before = quote(name[:-1], safe="")
    listing = await http.get(f"/streams?limit=1&prefix={quote(name, safe='')}&after={before}")
    assert listing.json()["streams"] == [{"stream": name, "revision": 2}]
    conflict = await http.post(stream_path(name), json=EVENT, headers={"if-none-match": "*"})
    assert problem(conflict, 412, "revision-conflict")["stream"] == name


async def test_links_of_a_listing_lead_through_all_names(http: httpx.AsyncClient) -> None:
    for name in LEGAL:
        await append(http, name)
    found = []
    following: str | None = "/streams?limit=1"
    while following is not None:
        answer = await http.get(following)
        found += [one["stream"] for one in answer.json()["streams"]]
        following = next_page(answer)
    assert found == sorted(LEGAL)


@pytest.mark.parametrize("name", ["zażółć-1", "🐢🐢", "日本語 1"])
async def test_a_name_may_come_as_plain_utf8_too(shared_app: Dispatcher, name: str) -> None:
    # As `curl http://localhost:2113/streams/żółw-1` sends it.
    path = b"/streams/" + name.replace(" ", "%20").encode()
    query = b"limit=1&prefix=" + name.replace(" ", "+").encode()
    headers = [(b"content-type", b"application/json")]
    answer = await raw_request(shared_app, "POST", path, headers=headers, body=b'{"type": "A"}')
    assert (answer.status, answer.headers["etag"]) == (201, '"0"')
    assert unquote(answer.headers["location"]) == f"{name}/0"
    for method, where in (("GET", path), ("HEAD", path), ("GET", path + b"/0")):
        assert (await raw_request(shared_app, method, where)).status == 200
    for where in (b"/streams", b"/events"):
        what = query if where == b"/streams" else b"stream=" + query.partition(b"prefix=")[2]
        found = await raw_request(shared_app, "GET", where, what)
        assert name in found.body.decode()


ILLEGAL = [
    ("%00", "control character (U+0000)"),
    ("a%0Ab", "control character (U+000A)"),
    ("%7F", "control character (U+007F)"),
    ("%C2%85", "control character (U+0085)"),
    (quote(unicodedata.normalize("NFD", "é")), "normal form C"),
    (quote("\u212b"), "normal form C"),
    ("x" * 256, "at most 255 bytes of UTF-8: 256"),
    (quote("🐢" * 64), "at most 255 bytes of UTF-8: 256"),
    ("x" * 1_000_000, "at most 255 bytes"),
]
MALFORMED = ["%", "%4", "%zz", "a%2", "%u1234", "%FF", "%C3", "%ED%A0%80", "%F4%90%80%80", "%C0%AF"]


@pytest.mark.parametrize(("encoded", "fault"), ILLEGAL, ids=lambda text: ascii(text)[:30])
async def test_an_illegal_name_is_refused_by_every_route(
    shared_app: Dispatcher, encoded: str, fault: str
) -> None:
    for method, path in (
        ("POST", f"/streams/{encoded}"),
        ("GET", f"/streams/{encoded}"),
        ("GET", f"/streams/{encoded}/0"),
        ("HEAD", f"/streams/{encoded}"),
    ):
        headers = [(b"content-type", b"application/json")]
        answer = await raw_request(
            shared_app, method, path.encode(), headers=headers, body=b'{"type": "A"}'
        )
        assert answer.status == 422
        assert fault in answer.problem()["detail"]
    answer = await raw_request(shared_app, "GET", b"/events", f"stream={encoded}".encode())
    assert answer.status == 400
    assert fault in answer.problem()["detail"]


@pytest.mark.parametrize("encoded", [*MALFORMED, b"\xff", b"a\xc3", b"\xed\xa0\x80"])
async def test_what_is_no_utf8_or_no_escape_is_malformed(
    shared_app: Dispatcher, encoded: str | bytes
) -> None:
    segment = encoded.encode() if isinstance(encoded, str) else encoded
    headers = [(b"content-type", b"application/json")]
    for method, path, query in (
        ("POST", b"/streams/" + segment, b""),
        ("GET", b"/streams/" + segment, b""),
        ("GET", b"/streams/" + segment + b"/0", b""),
        ("HEAD", b"/streams/" + segment, b""),
        ("GET", b"/events/" + segment, b""),
        ("GET", b"/events", b"stream=" + segment),
        ("GET", b"/events", segment + b"=1"),
        ("GET", b"/streams", b"prefix=" + segment),
    ):
        answer = await raw_request(
            shared_app, method, path, query, headers=headers, body=b'{"type": "A"}'
        )
        assert answer.status == 400, (method, path, query)
        assert answer.problem()["type"].endswith(":malformed-request")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/streams/"), ("GET", "/streams/"), ("HEAD", "/streams/"), ("GET", "/streams//0")],
)
async def test_a_stream_without_a_name_is_not_found(
    shared_http: httpx.AsyncClient, method: str, path: str
) -> None:
    before = await head(shared_http)
    answer = await shared_http.request(method, path, json=EVENT)
    assert answer.status_code == 404
    assert await head(shared_http) == before


async def test_names_that_differ_in_escapes_only_are_different(http: httpx.AsyncClient) -> None:
    for name in ("a/b", "a%2Fb", "a%252Fb"):
        assert (await append(http, name)).json()["revision"] == 0
    assert len(events_of(await http.get("/events"))) == 3
