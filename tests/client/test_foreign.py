"""What is in between answers, and the client believes nothing of it: only the store is believed."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from eventstore import (
    Append,
    EventData,
    EventStoreError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from eventstore.cli.target import headers_of
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore.client.problems import refusal
from tests.client.test_retry import Opener, Script, client

__all__ = ["client"]  # a fixture

HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}
FOREIGN = {
    "no such page": httpx.Response(404, content=b"<html>nothing here", headers=HTML),
    "no such thing, in JSON": httpx.Response(404, json={"type": "about:blank", "detail": "no"}),
    "a problem of somebody else": httpx.Response(
        404,
        content=b'{"type":"https://other.example/not-found"}',
        headers={"content-type": "application/problem+json"},
    ),
    "nothing": httpx.Response(204),
    "a page to log in": httpx.Response(200, content=b"<html>who are you?", headers=HTML),
    "another service": httpx.Response(200, json={"hello": "world"}),
    "a list": httpx.Response(200, json=[1, 2]),
    "no JSON": httpx.Response(200, content=b"{", headers=JSON),
    "elsewhere": httpx.Response(302, headers={"location": "https://sso.example/"}),
    "no credentials": httpx.Response(401, content=b"<html>", headers=HTML),
    "not allowed": httpx.Response(403, content=b"<html>", headers=HTML),
    "a fault": httpx.Response(500, content=b"<html>", headers=HTML),
    "in time": httpx.Response(408, content=b"<html>", headers=HTML),
    "too often": httpx.Response(429, content=b"<html>", headers=HTML),
    "out of order": httpx.Response(503, content=b"<html>", headers=HTML),
}
EVENT = EventData("T")


async def every(events: Any) -> list[Any]:
    return [event async for event in events]


READS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "head": lambda store: store.head(),
    "stream_head": lambda store: store.stream_head("a"),
    "event": lambda store: store.event(uuid.uuid4()),
    "read": lambda store: every(store.read()),
    "read_stream": lambda store: every(store.read_stream("a")),
    "follow": lambda store: every(store.follow()),
    "list_streams": lambda store: store.list_streams(),
    "categories": lambda store: store.categories(),
    "event_types": lambda store: store.event_types(),
    "wait_for": lambda store: store.wait_for("orders", position=1),
    "projections": lambda store: store.projections.all(),
    "rows": lambda store: store.projections.rows("orders", "orders"),
    "group": lambda store: store.consumers.get("mails"),
    "receive": lambda store: store.consumers.receive("mails"),
}
APPENDS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "append": lambda store: store.append("a", EVENT),
    "append by key": lambda store: store.append("a", EVENT, idempotency_key="k"),
    "append_many": lambda store: store.append_many([Append("a", EVENT), Append("b", EVENT)]),
}


async def test_no_answer_of_another_is_one_of_the_stores(
    client: Opener, subtests: pytest.Subtests
) -> None:
    for name, answer in FOREIGN.items():
        for what, call in (READS | APPENDS).items():
            with subtests.test(what, answer=name):
                async with client(Script(*[answer] * 9), 0) as store:
                    with pytest.raises(EventStoreError) as told:
                        await call(store)
                assert not isinstance(told.value, NotFound)
                if what in APPENDS:
                    refused = name in ("no credentials", "not allowed") or answer.status_code == 404
                    is_open = not refused and answer.status_code not in (302, 429)
                    assert isinstance(told.value, OutcomeUnknown) is is_open


async def test_what_passes_is_tried_again(client: Opener, subtests: pytest.Subtests) -> None:
    for status in (408, 429, 502, 503, 504):
        with subtests.test(status=status):
            answer = httpx.Response(status, headers={**HTML, "retry-after": "0"})
            script = Script(answer, answer)
            async with client(script, 30) as store:
                assert (await store.append("a", EVENT)).position == 1
            assert len(script.requests) == 3


def test_retry_after_is_seconds_or_a_date_and_bounded() -> None:
    def wait(value: str) -> float:
        return refusal(429, {}, retry_after=value).wait

    assert (wait("7"), wait("100000"), wait("soon"), wait("-1")) == (7, 60, 0, 0)
    assert 25 < wait(format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)) <= 30
    assert wait(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0


async def test_an_error_names_the_url_without_its_password() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404))
    async with EventStoreClient("http://u:s3cr3t@service/es", transport=transport) as store:
        with pytest.raises(EventStoreError, match=r"status 404\) from http://service/es") as told:
            await store.head()
        assert "s3cr3t" not in str(told.value)


async def test_headers_of_ones_own_go_with_every_request() -> None:
    seen: list[str | None] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(500)

    own = {"Authorization": "Bearer t0ken"}
    transport = httpx.MockTransport(note)
    async with EventStoreClient(
        "http://service", headers=own, retry_for=0, transport=transport
    ) as store:
        for call in (READS | APPENDS).values():
            with pytest.raises(EventStoreError):
                await call(store)
    with SyncEventStoreClient(
        "http://service", headers=own, retry_for=0, transport=transport
    ) as sync_store:
        with pytest.raises(EventStoreError):
            sync_store.head()
        with pytest.raises(EventStoreError):
            next(sync_store.follow())
    assert set(seen) == {"Bearer t0ken"}
    assert len(seen) == len(READS | APPENDS) + 2


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"Content-Type": "text/plain"}, "gives the header Content-Type by itself"),
        ({"if-match": "*"}, "by itself"),
        ({"a b": "c"}, "not a header's name"),
        ({"": "c"}, "not a header's name"),
        ({"Authorization": "s3cr3t\r\nX: y"}, "value of header Authorization"),
        ({"Authorization": "s3cr3t é"}, "value of header Authorization"),
    ],
)
def test_a_header_that_is_none_is_refused_without_its_value(
    headers: dict[str, str], problem: str
) -> None:
    for make in (EventStoreClient, SyncEventStoreClient):
        with pytest.raises(InvalidInput, match=problem) as refused:
            make("http://service", headers=headers)
        assert "s3cr3t" not in str(refused.value)


def test_the_command_line_takes_headers_from_the_environment() -> None:
    text = "Authorization: Bearer a:b\n\nX-Team:  shop \n"
    expected = {"Authorization": "Bearer a:b", "X-Team": "shop"}
    assert headers_of({"EVENTSTORE_HEADERS": text}) == expected
    assert headers_of({}) == {}
    with pytest.raises(InvalidInput, match="like Name: value"):
        headers_of({"EVENTSTORE_HEADERS": "nonsense"})


def test_unavailable_is_what_a_reader_is_told_in_passing() -> None:
    assert isinstance(refusal(429, {}).error, Unavailable)
