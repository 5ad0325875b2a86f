"""Retries: what is tried again, that it is the same append, and what is told in the end."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol

import httpx
import pytest

from eventstore import EventData, EventStoreError, OutcomeUnknown, RevisionConflict, Unavailable
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore.core.backoff import FIRST_DELAY, LONGEST_DELAY, delays
from tests.fix_faces import Face, Threaded

LINES = {"content-type": "application/x-ndjson"}
Answer = httpx.Response | Exception


def stored(request: httpx.Request) -> httpx.Response:
    """Answer as a service that has stored the append."""
    ids = [event["id"] for event in json.loads(request.content)]
    return httpx.Response(
        201,
        json={
            "stream": "a",
            "first_revision": 0,
            "revision": len(ids) - 1,
            "position": len(ids),
            "event_ids": ids,
        },
    )


def problem(slug: str, **facts: Any) -> httpx.Response:
    """Answer as a service that refuses."""
    status = 412 if slug == "revision-conflict" else 503
    body = json.dumps({"type": f"urn:eventstore:problem:{slug}", **facts})
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, content=body, headers=headers)


class Script:
    """A service that answers as the script says, and then as one that stores."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if self._answers else stored(request)
        if isinstance(answer, Exception):
            raise answer
        kept = {n: v for n, v in answer.headers.items() if n != "content-length"}
        # Each is used up by being read.
        return httpx.Response(answer.status_code, content=answer.content, headers=kept)


class Opener(Protocol):
    """Opens a client whose service is `script`."""

    def __call__(
        self, script: Callable[[httpx.Request], httpx.Response], retry_for: float
    ) -> AbstractAsyncContextManager[Face]: ...


@asynccontextmanager
async def _async(
    script: Callable[[httpx.Request], httpx.Response], retry_for: float
) -> AsyncIterator[Face]:
    transport = httpx.MockTransport(script)
    async with EventStoreClient(
        "http://service", retry_for=retry_for, transport=transport
    ) as store:
        yield store


@asynccontextmanager
async def _sync(
    script: Callable[[httpx.Request], httpx.Response], retry_for: float
) -> AsyncIterator[Face]:
    transport = httpx.MockTransport(script)
    with SyncEventStoreClient("http://service", retry_for=retry_for, transport=transport) as store:
        yield Threaded(store)


@pytest.fixture(params=[_async, _sync])
def client(request: pytest.FixtureRequest) -> Opener:
    """Each client in turn."""
    opener: Opener = request.param
    return opener


REFUSED = httpx.ConnectError("refused")
BROKEN = httpx.RemoteProtocolError("broke")
UNKNOWN = problem("outcome-unknown", event_ids=["x"])


@pytest.mark.parametrize(
    "answers",
    [
        [REFUSED],
        [BROKEN],
        [httpx.ReadTimeout("slow")],
        [UNKNOWN],
        [httpx.Response(502)],
        [httpx.Response(503, text="<html>")],
        [REFUSED, BROKEN, UNKNOWN],
    ],
)
async def test_what_fails_in_passing_is_tried_again_as_the_same_append(
    client: Opener, answers: list[Answer]
) -> None:
    script = Script(*answers)
    async with client(script, 30) as store:
        appended = await store.append("a", [EventData("T"), EventData("T")])
    assert len(script.requests) == len(answers) + 1
    assert len({request.content for request in script.requests}) == 1
    assert len(set(appended.event_ids)) == 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([REFUSED], Unavailable),
        ([problem("unavailable")], Unavailable),
        ([BROKEN], OutcomeUnknown),
        ([UNKNOWN], OutcomeUnknown),
        ([httpx.Response(504)], OutcomeUnknown),
    ],
)
async def test_an_append_that_may_be_stored_is_never_reported_as_not_stored(
    client: Opener, answers: list[Answer], expected: type[EventStoreError]
) -> None:
    script = Script(*answers)
    async with client(script, 0) as store:
        with pytest.raises(EventStoreError) as told:
            await store.append("a", EventData("T"))
    assert type(told.value) is expected
    if isinstance(told.value, OutcomeUnknown):
        [event] = json.loads(script.requests[0].content)
        assert told.value.event_ids == (event["id"],)


async def test_an_unknown_outcome_stays_unknown_until_someone_says_better(client: Opener) -> None:
    async with client(Script(BROKEN, *[REFUSED] * 100), 0.2) as store:
        with pytest.raises(OutcomeUnknown):
            await store.append("a", EventData("T"))


async def test_a_refusal_is_told_at_once(client: Opener) -> None:
    refused = problem("revision-conflict", stream="a", expected_revision=1, current_revision=2)
    script = Script(refused)
    async with client(script, 30) as store:
        with pytest.raises(RevisionConflict) as told:
            await store.append("a", EventData("T"), expected_revision=1)
    assert len(script.requests) == 1
    assert told.value.current_revision == 2


async def test_each_further_try_is_logged(client: Opener, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "eventstore.client"):
        async with client(Script(REFUSED, BROKEN), 30) as store:
            await store.append("a", EventData("T", {"secret": 1}))
    first, second = (record.getMessage() for record in caplog.records)
    pattern = r"POST /streams/a\S*: again in 0\.\d s: no answer from http\S+: "
    assert re.fullmatch(pattern + "refused", first)
    assert re.fullmatch(pattern + "broke", second)


async def test_a_read_is_tried_again_until_it_begins(client: Opener) -> None:
    script = Script(REFUSED, BROKEN, httpx.Response(200, headers=LINES))
    async with client(script, 30) as store:
        assert [event async for event in store.read()] == []
    assert len(script.requests) == 3


async def test_a_read_that_is_cut_short_is_told(client: Opener) -> None:
    cut = httpx.Response(200, content=b'{"position":1,', headers=LINES)
    async with client(Script(cut), 0) as store:
        with pytest.raises(Unavailable, match="cut short"):
            await anext(store.read())


async def test_what_anyio_makes_of_a_line_that_breaks_is_a_lost_line() -> None:
    script = Script(AttributeError("of a connection that broke while it was made"))
    async with _async(script, 30) as store:
        await store.append("a", EventData("T"))
    assert len(script.requests) == 2


def test_delays_double_up_to_a_limit_and_are_spread() -> None:
    longest = [delay for delay, _ in zip(delays(lambda _, high: high), range(9), strict=False)]
    assert longest[:3] == [FIRST_DELAY * 1.5, FIRST_DELAY * 3, FIRST_DELAY * 6]
    assert longest[-1] == LONGEST_DELAY * 1.5
    assert next(delays(lambda low, _: low)) == FIRST_DELAY * 0.5


@contextmanager
def resetting() -> Iterator[str]:
    """A server that ends every connection without a goodbye, as soon as it is made."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:

        def reset() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    no_goodbye = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_goodbye)
                    connection.close()

        thread = threading.Thread(target=reset)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_a_connection_that_breaks_while_it_is_made_is_a_lost_one() -> None:
    with resetting() as url:
        async with EventStoreClient(url, retry_for=0) as store:
            for _ in range(60):  # of a hundred connections one breaks in that very moment
                tries = [store.head() for _ in range(8)]
                found = await asyncio.gather(*tries, return_exceptions=True)
                assert {type(error) for error in found} == {Unavailable}
