"""Server-sent events over a real socket: history, the head, what comes, and coming back."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from eventstore import EventData, EventStore
from eventstore_api.sse import PIECE, pieces
from tests.api.rest import append, appended, problem
from tests.fix_database import Pg
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, wait_until

SSE = {"accept": "text/event-stream"}


class Frame(NamedTuple):
    """A frame as a browser understands it."""

    event: str
    data: Any
    id: str


class Stream:
    """An open response, frame by frame."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def frame(self) -> Frame | None:
        """Give the next frame; None at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE):
            async for line in self._lines:
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    data = json.loads(fields["data"])
                    return Frame(fields.get("event", "message"), data, fields.get("id", ""))
                else:
                    fields.clear()
        return None

    async def until(self, event: str) -> list[Frame]:
        """Give every frame up to one of this kind."""
        frames = []
        while (frame := await self.frame()) is not None:
            frames.append(frame)
            if frame.event == event:
                return frames
        raise AssertionError(f"the stream ended without {event}: {frames}")


@pytest.fixture
async def http(address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address), timeout=DEADLINE) as own:
        yield own


@asynccontextmanager
async def following(http: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Stream]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.stream("GET", path, headers=SSE | headers) as answer:
        if answer.status_code != 200:
            await answer.aread()
        yield Stream(answer)


async def test_history_then_caught_up_then_what_comes(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    await appended(http, "order-1", 3)
    async with following(http, "/events") as stream:
        headers = stream.answer.headers
        assert headers["content-type"] == "text/event-stream"
        assert "no-transform" in headers["cache-control"]
        *history, head = await stream.until("caught-up")
        assert [frame.data["position"] for frame in history] == [1, 2, 3]
        assert [frame.id for frame in history] == ["1;epoch=1", "2;epoch=1", "3;epoch=1"]
        page = (await http.get("/events")).json()["events"]
        assert [frame.data for frame in history] == page
        assert [frame.event for frame in history] == [event["type"] for event in page]
        assert head == Frame("caught-up", {"head": 3}, "3;epoch=1")
        await append(http, "order-2")
        await connection.execute("SELECT eventstore.append('order-3', 'ByHand')")
        live = [await stream.frame(), await stream.frame()]
        assert [frame and frame.data["position"] for frame in live] == [4, 5]


@pytest.mark.parametrize("size", [1, 100, PIECE // 2, PIECE, 3 * PIECE])
async def test_a_piece_of_the_response_is_small_or_one_event(store: EventStore, size: int) -> None:
    await store.append("a", [EventData("T", "x" * size)] * 150)
    events = [event async for event in store.read()]
    made = list(pieces(events, 1))
    assert b"".join(made).count(b"\ndata: ") == 150
    assert all(len(piece) <= PIECE or piece.count(b"\ndata: ") == 1 for piece in made)
    assert size > 100 or len(made) < 10


@pytest.mark.parametrize("given", ["2;epoch=1", "2"])
@pytest.mark.parametrize("path", ["/events", "/events?after=1", "/streams/order-1"])
async def test_comes_back_where_it_was(http: httpx.AsyncClient, path: str, given: str) -> None:
    await appended(http, "order-1", 4)
    async with following(http, path, last_event_id=given) as stream:
        frames = await stream.until("caught-up")
        assert [frame.data["position"] for frame in frames[:-1]] == [3, 4]


async def test_a_stream_is_followed_by_revision_and_need_not_exist_yet(
    http: httpx.AsyncClient,
) -> None:
    await appended(http, "other-1", 2)
    await appended(http, "order-1", 3)
    async with following(http, "/streams/order-1?after=1") as stream:
        frames = await stream.until("caught-up")
        assert [frame.data["revision"] for frame in frames[:-1]] == [2]
    async with following(http, "/streams/new-1") as stream:
        assert len(await stream.until("caught-up")) == 1
        await append(http, "other-1")
        await append(http, "new-1")
        frame = await stream.frame()
        assert frame is not None
        assert (frame.data["stream"], frame.data["revision"]) == ("new-1", 0)


@pytest.mark.parametrize(
    ("path", "headers", "status", "slug"),
    [
        ("/events", {"last_event_id": "x"}, 400, "malformed-request"),
        ("/events", {"last_event_id": "-1"}, 400, "malformed-request"),
        ("/events", {"last_event_id": "9" * 30}, 400, "malformed-request"),
        ("/events", {"last_event_id": "4;epoch=1"}, 409, "history-rewound"),
        ("/events", {"last_event_id": "1;epoch=2"}, 409, "history-rewound"),
        ("/events?after=4", {}, 409, "history-rewound"),
        ("/events?limit=1", {}, 400, "malformed-request"),
        ("/events?before=3", {}, 400, "malformed-request"),
        ("/events?direction=forward", {}, 400, "malformed-request"),
        ("/streams/order-1?after=3", {}, 409, "position-not-reached"),
        ("/streams/order-1?limit=3", {}, 400, "malformed-request"),
    ],
)
async def test_what_cannot_be_followed_is_refused(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], status: int, slug: str
) -> None:
    await appended(http, "order-1", 3)
    async with following(http, path, **headers) as stream:
        problem(stream.answer, status, slug)


async def test_an_event_may_be_called_as_a_control_frame_is(http: httpx.AsyncClient) -> None:
    await http.post("/streams/a", json={"type": "caught-up"})
    async with following(http, "/events") as stream:
        frames = await stream.until("caught-up") + await stream.until("caught-up")
    assert [frame.data.get("type") for frame in frames] == ["caught-up", None]


@pytest.mark.parametrize("name", ["lastEventId", "Last-Event-ID"])
async def test_comes_back_by_a_query_parameter_where_no_header_can_be_sent(
    http: httpx.AsyncClient, name: str
) -> None:
    await appended(http, "order-1", 4)
    for path in ("/events?stream=order-1&", "/streams/order-1?after=0&"):
        for given, header, found in (
            ("2%3Bepoch%3D1", None, [3, 4]),
            ("2", None, [3, 4]),
            ("", None, [1, 2, 3, 4]),
            ("1", "3;epoch=1", [4]),
            ("1", "", [2, 3, 4]),
        ):
            headers = {} if header is None else {"last_event_id": header}
            async with following(http, f"{path}{name}={given}", **headers) as stream:
                frames = await stream.until("caught-up")
                # Without an id a stream is followed from the revision that the address names.
                seen = [frame.data["position"] for frame in frames[:-1]]
                assert seen == [p for p in found if given or p > 1 or "after" not in path]


@pytest.mark.parametrize(
    ("value", "status", "slug"),
    [("x", 400, "malformed-request"), ("9", 409, "history-rewound"),
     ("1%3Bepoch%3D2", 409, "history-rewound"), ("1&lastEventId=1", 400, "malformed-request")],
)  # fmt: skip
async def test_a_parameter_that_names_no_event_is_refused(
    http: httpx.AsyncClient, value: str, status: int, slug: str
) -> None:
    await appended(http, "order-1", 1)
    async with following(http, f"/events?lastEventId={value}") as stream:
        problem(stream.answer, status, slug)


OWN = ("error", "open", "message", "caught-up", "shutdown", "rewound", "failed")


async def test_every_event_can_reach_onmessage(http: httpx.AsyncClient) -> None:
    for kind in ("Placed", *OWN):
        await http.post("/streams/order-1", json={"type": kind})
    for path in ("/events?frames=message", "/streams/order-1?frames=message"):
        async with following(http, path) as stream:
            *history, head = await stream.until("caught-up")
            assert {frame.event for frame in history} == {"message"}
            assert [frame.data["type"] for frame in history] == ["Placed", *OWN]
            assert head.data == {"head": len(OWN) + 1}


async def test_no_frame_is_called_as_what_happens_to_the_connection(
    http: httpx.AsyncClient,
) -> None:
    """EventSource itself has events `error` and `open`; control frames have no `type` in data."""
    for kind in OWN:
        await http.post("/streams/order-1", json={"type": kind})
    async with following(http, "/events?frames=event") as stream:
        frames = [await stream.frame() for _ in OWN]
        head = await stream.frame()
    seen = [(frame.event, frame.data["type"]) for frame in frames if frame is not None]
    hidden = {"error": "message", "open": "message"}
    assert seen == [(hidden.get(kind, kind), kind) for kind in OWN]
    assert head == Frame("caught-up", {"head": len(OWN)}, f"{len(OWN)};epoch=1")


@pytest.mark.parametrize("parameter", ["frames=message", "lastEventId=1", "Last-Event-ID=1"])
async def test_what_only_a_follower_may_say_is_refused_elsewhere(
    http: httpx.AsyncClient, parameter: str
) -> None:
    await appended(http, "order-1", 1)
    for path in ("/events", "/streams/order-1"):
        answer = await http.get(f"{path}?{parameter}")
        problem(answer, 400, "malformed-request", "text/event-stream")
    async with following(http, "/events?frames=all") as stream:
        problem(stream.answer, 400, "malformed-request", "event or message")


async def test_what_keeps_caches_away_means_nothing(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 2)
    for path in ("/events", "/streams/order-1", "/streams/order-1/0", "/streams", "/categories"):
        answer = await http.get(f"{path}?_=1796111405038")
        assert answer.status_code == 200, path
    answer = await http.get("/events?limit=1&_=1796111405038")
    assert answer.links["next"]["url"] == "?limit=1&after=1"
    async with following(http, "/events?_=1") as stream:
        assert len(await stream.until("caught-up")) == 3


async def test_a_restore_ends_the_stream_and_says_so(
    http: httpx.AsyncClient, connection: Pg
) -> None:
    await appended(http, "order-1", 1)
    async with following(http, "/events") as stream:
        await stream.until("caught-up")
        await connection.execute("SELECT eventstore.begin_epoch()")
        rewound = await stream.until("rewound")
        assert rewound[-1].data["current_epoch"] == 2
        assert await stream.frame() is None


@pytest.mark.one_postgres
def test_who_leaves_is_no_follower_any_more(dsn: str) -> None:
    """Also when nothing comes, and however it leaves."""
    store = EventStore(dsn)
    request = b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
    reset = struct.pack("ii", 1, 0)
    with served(store) as address, ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(20)]
        for client in clients:
            client.sendall(request)
        wait_until(lambda: store.followers == 20, "the followers")
        for client in clients[::2]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        stack.close()
        wait_until(lambda: store.followers == 0, "nobody to follow")


async def test_an_empty_page_waits_for_an_event(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 1)
    for path in ("/events?after=1&stream=order-1", "/streams/order-1?after=0"):
        started = asyncio.Event()

        async def wait(path: str = path, started: asyncio.Event = started) -> httpx.Response:
            started.set()
            return await http.get(path, headers={"prefer": "wait=20"})

        head = (await http.get("/")).json()["head"]
        waiting = asyncio.ensure_future(wait(path.replace("after=1", f"after={head}")))
        await started.wait()
        await append(http, "other-1")
        await append(http, "order-1")
        answer = await waiting
        assert [event["stream"] for event in answer.json()["events"]][:1] == ["order-1"]
        assert answer.headers["preference-applied"] == "wait=20"


async def test_a_known_head_waits_for_a_newer_one(http: httpx.AsyncClient) -> None:
    await appended(http, "order-1", 1)
    known = {"if-none-match": '"0"', "prefer": "wait=20"}
    waiting = asyncio.ensure_future(http.get("/streams/order-1?after=-1", headers=known))
    await append(http, "order-1")
    answer = await waiting
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'


async def test_a_wait_that_is_over_gives_what_there_is(http: httpx.AsyncClient) -> None:
    answer = await http.get("/events", headers={"prefer": "wait=0"})
    assert answer.json() == {"events": [], "head": 0}
    answer = await http.get("/events", headers={"prefer": "wait=1"})
    assert answer.json() == {"events": [], "head": 0}
    assert answer.headers["preference-applied"] == "wait=1"
    answer = await http.get("/streams/none", headers={"prefer": "wait=1"})
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("prefer", ["wait", "wait=x", "wait=-1", "wait=1.5", 'wait="'])
async def test_a_malformed_wait_is_refused(http: httpx.AsyncClient, prefer: str) -> None:
    answer = await http.get("/events", headers={"prefer": prefer})
    problem(answer, 400, "malformed-request")
