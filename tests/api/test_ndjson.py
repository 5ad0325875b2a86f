"""Reads as NDJSON: everything up to the head, without end of memory, and no longer than wanted."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.types import Message

from eventstore import EventData, EventStore, RecordedEvent, Unavailable
from eventstore.core.reads import Scan
from eventstore_api.dispatch import Dispatcher
from tests.api.rest import NDJSON, append, appended, events_of, head, problem, request_scope

pytestmark = pytest.mark.one_postgres

ACCEPT = {"accept": NDJSON}


async def test_everything_comes_up_to_the_head(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 2500)
    for path in ("/events", "/streams/order-1"):
        answer = await http.get(path, headers=ACCEPT)
        assert answer.headers["content-type"] == NDJSON
        assert answer.text.endswith("}\n")
        assert [event["position"] for event in events_of(answer)] == list(range(1, 2501))
        assert "link" not in answer.headers
    backward = await http.get("/events?direction=backward", headers=ACCEPT)
    assert [event["position"] for event in events_of(backward)] == list(range(2500, 0, -1))


async def test_the_head_is_told_before_the_events(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    assert (await http.get("/events", headers=ACCEPT)).headers["event-position"] == "3;epoch=1"
    assert (await http.get("/streams/order-1", headers=ACCEPT)).headers["etag"] == '"2"'


@pytest.mark.parametrize("limit", [1, 999, 1000])
async def test_a_limit_holds_for_lines_too(shared_http: httpx.AsyncClient, limit: int) -> None:
    await appended(shared_http, "many-lines", 1500)
    answer = await shared_http.get(f"/streams/many-lines?limit={limit}", headers=ACCEPT)
    assert [event["revision"] for event in events_of(answer)] == list(range(limit))


async def test_a_line_is_what_a_page_has(http: httpx.AsyncClient) -> None:
    event = {"type": "Line", "data": "one\ntwo\u2028three\u0085four", "tags": ["a b"]}
    await append(http, "order-1", event)
    answer = await http.get("/events", headers=ACCEPT)
    lines = answer.content.split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == events_of(await http.get("/events"))


async def test_nothing_is_no_line(http: httpx.AsyncClient) -> None:
    answer = await http.get("/events", headers=ACCEPT)
    assert (answer.status_code, answer.content) == (200, b"")
    problem(await http.get("/streams/nobody", headers=ACCEPT), 404, "not-found")


async def test_a_reader_who_knows_the_head_gets_no_lines(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 3)
    answer = await http.get("/streams/order-1", headers={**ACCEPT, "if-none-match": '"2"'})
    assert (answer.status_code, answer.content) == (304, b"")


def count_pages(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the size of every page that is read from now on."""
    sizes: list[int] = []
    read_page = store.page

    async def page(scan: Scan, limit: int) -> list[RecordedEvent]:
        found = await read_page(scan, limit)
        sizes.append(len(found))
        await store.append("meanwhile", EventData("Meanwhile"))
        return found

    monkeypatch.setattr(store, "page", page)
    return sizes


async def test_what_is_appended_meanwhile_is_left_out(
    store: EventStore, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await appended(http, "order-1", 2500)
    pages = count_pages(store, monkeypatch)

    assert len(events_of(await http.get("/events", headers=ACCEPT))) == 2500
    assert pages == [100, 400, 1000, 1000, 0]
    assert await head(http) == 2505


async def test_nothing_more_is_read_for_a_client_that_has_gone(
    store: EventStore, app: Dispatcher, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await appended(http, "order-1", 8000)
    pages = count_pages(store, monkeypatch)
    chunks: list[bytes] = []
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        chunks.append(message.get("body", b""))
        if len(chunks) == 2:  # the head of the answer, and some lines
            gone.set()

    await app(
        request_scope("GET", b"/events", headers=[(b"accept", NDJSON.encode())]), receive, send
    )
    assert b"".join(chunks).count(b"\n") <= 2000
    assert len(pages) <= 3


def fail_at_page(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database be away when a page with that number is read."""
    read_page = EventStore.page
    pages = 0

    async def page(store: EventStore, scan: Scan, limit: int) -> list[RecordedEvent]:
        nonlocal pages
        pages += 1
        if pages == number:
            raise Unavailable("the database cannot be reached")
        return await read_page(store, scan, limit)

    monkeypatch.setattr(EventStore, "page", page)


async def test_what_cannot_be_read_at_all_is_refused_as_elsewhere(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await appended(http, "order-1", 3)
    fail_at_page(1, monkeypatch)
    problem(await http.get("/events", headers=ACCEPT), 503, "unavailable")


async def test_lines_that_break_off_are_seen_to_and_are_one_line_in_the_log(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as http:
        await appended(http, "order-1", 1500)
        fail_at_page(2, monkeypatch)
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/events", headers=ACCEPT)
    assert "an answer is cut short: the database cannot be reached" in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
