"""Which representation a read gives, and which bodies an append takes."""

from __future__ import annotations

import httpx
import pytest

from tests.api.rest import (
    CLOUDEVENT,
    CLOUDEVENTS,
    EVENT,
    NDJSON,
    append,
    head,
    location,
    problem,
    stream_path,
)

pytestmark = pytest.mark.one_postgres

JSON = "application/json"
STREAM = "negotiated-1"


@pytest.mark.parametrize("path", ["/events", f"/streams/{STREAM}"])
@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (NDJSON, NDJSON),
        ("APPLICATION/X-NDJSON", NDJSON),
        (CLOUDEVENTS, CLOUDEVENTS),
        (f"{JSON}, {NDJSON}", JSON),
        (f"{NDJSON}, {JSON}", JSON),
        (f"{JSON};q=0.5, {NDJSON}", NDJSON),
        (f"{JSON};q=0.5, {NDJSON};q=0.6, {CLOUDEVENTS};q=0.7", CLOUDEVENTS),
        (f"{NDJSON};q=0.9, */*;q=0.1", NDJSON),
        (f"*/*, {JSON};q=0", NDJSON),
        (f"{JSON};q=0, application/*;q=0.2, {NDJSON};q=0.1", CLOUDEVENTS),
        (f"text/html, application/xhtml+xml, {JSON};q=0.9, */*;q=0.8", JSON),
        ("text/html, */*;q=0.1", JSON),
        (f"{NDJSON} ; Q=1.0", NDJSON),
        (f"text/csv, {NDJSON};q=0.1", NDJSON),
    ],
)
async def test_a_page_comes_in_the_form_that_is_preferred(
    shared_http: httpx.AsyncClient, path: str, accept: str, given: str
) -> None:
    await append(shared_http, STREAM)
    answer = await shared_http.get(f"{path}?limit=2", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, given)
    assert answer.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("accept", "given"),
    [("*/*", JSON), (JSON, JSON), (CLOUDEVENT, CLOUDEVENT), (f"{JSON};q=0.1, */*", CLOUDEVENT)],
)
async def test_one_event_comes_in_the_form_that_is_preferred(
    shared_http: httpx.AsyncClient, accept: str, given: str
) -> None:
    written = await append(shared_http, STREAM)
    [event_id] = written.json()["event_ids"]
    for path in (location(written), f"/events/{event_id}"):
        answer = await shared_http.get(path, headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, given)


@pytest.mark.parametrize(
    "path",
    [
        "/events",
        stream_path(STREAM),
        stream_path(STREAM, 0),
        "/streams",
        "/categories",
        "/event-types",
    ],
)
@pytest.mark.parametrize("accept", ["text/csv", "text/html", f"{JSON};q=0", "*/*;q=0", "json", ""])
async def test_a_form_that_is_not_there_is_not_acceptable(
    shared_http: httpx.AsyncClient, path: str, accept: str
) -> None:
    await append(shared_http, STREAM)
    answer = await shared_http.get(path, headers={"accept": accept})
    problem(answer, 406, "not-acceptable", JSON)


@pytest.mark.parametrize("accept", [f"{JSON};q=2", f"{JSON};q=-1", f"{JSON};q=x", "*/*;q=nan"])
@pytest.mark.parametrize("path", ["/events", "/streams", "/categories"])
async def test_a_quality_that_is_none_is_refused(
    shared_http: httpx.AsyncClient, path: str, accept: str
) -> None:
    answer = await shared_http.get(path, headers={"accept": accept})
    problem(answer, 400, "malformed-request", "Accept")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        NDJSON,
        "application/json; charset=latin-1",
        "application/json, application/json",
        "json",
        "",
    ],
)
@pytest.mark.parametrize("path", [stream_path(STREAM), "/appends"])
async def test_a_body_of_another_type_is_not_understood(
    shared_http: httpx.AsyncClient, path: str, content_type: str | None
) -> None:
    before = await head(shared_http)
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await shared_http.post(path, content=b'{"type": "A"}', headers=headers)
    problem(answer, 415, "unsupported-media-type")
    assert await head(shared_http) == before


async def test_several_streams_are_not_appended_to_by_cloudevents(
    shared_http: httpx.AsyncClient,
) -> None:
    answer = await shared_http.post("/appends", json=EVENT, headers={"content-type": CLOUDEVENT})
    problem(answer, 415, "unsupported-media-type", JSON)
