"""GET and HEAD of a stream, and of one of its events."""

from __future__ import annotations

import httpx
import pytest

from tests.api.rest import (
    Headers,
    all_pages,
    append,
    appended,
    events_of,
    next_page,
    problem,
)

pytestmark = pytest.mark.one_postgres

IMMUTABLE = "private, max-age=31536000, immutable"


def numbers(pages: list[list[dict[str, int]]]) -> list[list[int]]:
    """Give the revisions of each page."""
    return [[event["revision"] for event in page] for page in pages]


async def test_a_page_has_its_events_and_the_head(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    await appended(http, "order-2", 2)
    answer = await http.get("/streams/order-1")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["vary"] == "accept"
    body = answer.json()
    assert set(body) == {"events", "head"}
    assert body["head"] == 2
    assert [event["revision"] for event in body["events"]] == [0, 1, 2]
    assert {event["stream"] for event in body["events"]} == {"order-1"}
    assert next_page(answer) is None


@pytest.mark.parametrize(
    ("parameters", "pages"),
    [
        ("limit=3", [[0, 1, 2], [3, 4, 5], [6]]),
        ("limit=7", [[0, 1, 2, 3, 4, 5, 6]]),
        ("limit=1000", [[0, 1, 2, 3, 4, 5, 6]]),
        ("limit=2&after=2", [[3, 4], [5, 6]]),
        ("after=-1&limit=4", [[0, 1, 2, 3], [4, 5, 6]]),
        ("limit=2&after=0&before=5", [[1, 2], [3, 4]]),
        ("direction=forward&before=2", [[0, 1]]),
        ("direction=backward&limit=3", [[6, 5, 4], [3, 2, 1], [0]]),
        ("direction=backward&limit=2&before=5&after=1", [[4, 3], [2]]),
        ("after=6", [[]]),
        ("after=3&before=4", [[]]),
        ("after=5&before=2", [[]]),
        (f"after={2**63 - 1}", [[]]),
        (f"before={2**63 - 1}&limit=6", [[0, 1, 2, 3, 4, 5], [6]]),
        ("before=0", [[]]),
    ],
)
async def test_links_lead_from_page_to_page_to_the_end(
    http: httpx.AsyncClient, parameters: str, pages: list[list[int]]
) -> None:
    await appended(http, "a/b c-1", 7)
    assert numbers(await all_pages(http, f"/streams/a%2Fb%20c-1?{parameters}")) == pages


async def test_a_page_has_a_hundred_events_unless_said(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 101)
    assert list(map(len, await all_pages(http, "/streams/order-1"))) == [100, 1]


async def test_a_stream_without_events_is_not_found(shared_http: httpx.AsyncClient) -> None:
    problem(await shared_http.get("/streams/nobody"), 404, "not-found", "'nobody'")
    answer = await shared_http.head("/streams/nobody")
    assert (answer.status_code, answer.content) == (404, answer.content)
    problem(await shared_http.get("/streams/nobody/0"), 404, "not-found", "'nobody'")


async def test_the_head_of_a_stream_is_its_etag(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    answer = await http.head("/streams/order-1")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("none_match", "status"),
    [
        ('"2"', 304),
        ('W/"2"', 304),
        ('"1", "2"', 304),
        ("*", 304),
        ('"1"', 200),
        ('"22"', 200),
        ("2", 200),
    ],
)
async def test_a_reader_who_knows_the_head_is_told_so(
    http: httpx.AsyncClient, none_match: str, status: int
) -> None:
    await appended(http, "order-1", 3)
    for method in ("GET", "HEAD"):
        answer = await http.request(
            method, "/streams/order-1", headers={"if-none-match": none_match}
        )
        assert (answer.status_code, answer.headers["etag"]) == (status, '"2"')
        if status == 304:
            assert answer.content == b""


async def test_what_a_reader_knows_is_out_of_date_after_an_append(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    known = {"if-none-match": '"2"'}
    assert (await http.get("/streams/order-1", headers=known)).status_code == 304
    await appended(http, "order-2")
    assert (await http.get("/streams/order-1", headers=known)).status_code == 304
    await appended(http, "order-1")
    assert (await http.get("/streams/order-1", headers=known)).status_code == 200


async def test_one_event_never_changes(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    answer = await http.get("/streams/order-1/1")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["etag"] == '"1"'
    assert answer.json() == events_of(await http.get("/streams/order-1"))[1]
    known = await http.get("/streams/order-1/1", headers={"if-none-match": '"1"'})
    assert (known.status_code, known.content) == (304, b"")
    assert "content-length" not in known.headers


@pytest.mark.parametrize("revision", [3, 2**63 - 1])
async def test_an_event_that_is_not_there_yet_is_not_found_nor_kept(
    http: httpx.AsyncClient, revision: int
) -> None:
    await appended(http, "order-1", 3)
    answer = await http.get(f"/streams/order-1/{revision}")
    problem(answer, 404, "not-found", str(revision))


@pytest.mark.parametrize(
    "revision", ["-1", str(2**63), "x", "1.5", "1.0", "+1", "1_0", "%31", " 1"]
)
async def test_what_is_no_revision_is_refused(
    shared_http: httpx.AsyncClient, revision: str
) -> None:
    await appended(shared_http, "revisions", 2)
    answer = await shared_http.get(f"/streams/revisions/{revision}")
    problem(answer, 400, "malformed-request", "revision")


@pytest.mark.parametrize(
    ("position", "status"),
    [
        ("3;epoch=1", 200),
        ("0;epoch=1", 200),
        ("3; epoch=1", 200),
        ("4;epoch=1", 409),
        ("3;epoch=2", 409),
        ("1;epoch=2", 409),
        (f"{2**63 - 1};epoch=1", 409),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/streams/as-new-as",
        "/streams/as-new-as/0",
        "/events",
        "/streams",
        "/categories",
        "/event-types",
    ],
)
async def test_a_read_is_as_new_as_it_asks_or_says_that_it_cannot(
    shared_http: httpx.AsyncClient, path: str, position: str, status: int
) -> None:
    log = (await appended(shared_http, "as-new-as", 3))["position"]
    wanted, _, epoch = position.partition(";")
    if int(wanted) < 2**63 - 1:  # relative to what other tests have stored
        position = f"{log - 3 + int(wanted)};{epoch}"
    headers: Headers = {"event-position": position}
    answer = await shared_http.get(path, headers=headers)

    assert answer.status_code == status
    if status == 409:
        body = problem(answer, 409, "position-not-reached", f"position {log} of epoch 1")
        assert (body["head"], body["epoch"]) == (log, 1)


async def test_an_append_is_seen_by_the_read_that_carries_its_position(
    http: httpx.AsyncClient,
) -> None:
    written = await append(http, "order-1")
    carried = {"event-position": written.headers["event-position"]}
    for path in ("/streams/order-1", "/events", f"/events/{written.json()['event_ids'][0]}"):
        assert (await http.get(path, headers=carried)).status_code == 200
    assert (await http.head("/streams/order-1", headers=carried)).status_code == 200
    ahead = {"event-position": "2;epoch=1"}
    assert (await http.head("/streams/order-1", headers=ahead)).status_code == 409
