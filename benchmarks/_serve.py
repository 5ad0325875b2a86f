"""The applications under test, each in a uvicorn process: `_serve APP FD DSN SCHEMA`.

`service` is the real one, run as `eventstore serve` runs it; the others run on plain uvicorn with
uvloop, httptools and without an access log. `nothing` reads the body and answers: the limit of
serving HTTP. `slow` does so after 50 ms, as somebody far away. `frames` writes a ready-made frame
to who follows: the limit of telling many. `transaction` is the plain way to write an append: a
FastAPI route, a transaction a request.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from eventstore import Appended, EventData, EventStore, RecordedEvent
from eventstore_api import create_app
from eventstore_api.server import Server, server_config, settle_process
from eventstore_api.sse import HEADERS, control, pieces

from ._data import EVENT_TYPE, json_text, payload, stream_name

SLOW: Final = 0.05
"""Seconds until `slow` answers."""
_ANSWER: Final = (
    b'{"stream":"order-1234","first_revision":12,"revision":12,"position":123456,'
    b'"event_ids":["01980000-0000-7000-8000-000000000000"]}'
)
"""As large as the answer to an append of one event."""


class Event(BaseModel):
    """The body of an append."""

    type: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, answer 201."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await _answer(receive, send, _ANSWER)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 201 after a while."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await asyncio.sleep(SLOW)
    await _answer(receive, send, _ANSWER)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(receive: Receive, send: Send, body: bytes) -> None:
    while (await receive()).get("more_body", False):
        pass
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class ReadyFrames:
    """Write one ready-made frame, but for its id, to those who follow the log or that stream."""

    def __init__(self) -> None:
        self._position = 0
        self._followers: dict[str, set[Send]] = defaultdict(set)
        event = RecordedEvent(
            *(0, stream_name(0), 0, uuid.UUID(int=0), EVENT_TYPE, json_text(payload(0)), "{}"),
            *([], datetime.now(UTC)),
        )
        self._frame = next(pieces([event], 1)).removeprefix(b"id: 0")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a follower, or an append."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["method"] == "GET":
            await self._follow(self._followers[scope["path"]], receive, send)
            return
        self._position += 1
        await _answer(receive, send, b'{"position":%d}' % self._position)
        body = b"id: %d%s" % (self._position, self._frame)
        for path in ("/events", scope["path"]):
            for tell in list(self._followers[path]):
                await tell({"type": "http.response.body", "body": body, "more_body": True})

    async def _follow(self, others: set[Send], receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        caught_up = control("caught-up", {"head": self._position})
        await send({"type": "http.response.body", "body": caught_up, "more_body": True})
        others.add(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        others.discard(send)


def transaction(store: EventStore, dsn: str) -> FastAPI:
    """Make an application whose append takes a connection and opens a transaction a request."""
    pool: asyncpg.Pool[asyncpg.Record]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal pool
        async with store, asyncpg.create_pool(dsn, min_size=8, max_size=8) as pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/streams/{stream_name}", status_code=201)
    async def append(stream_name: str, event: Event) -> dict[str, Any]:
        data = EventData(event.type, event.data, event.metadata)
        async with pool.acquire() as taken, taken.transaction():
            connection: Any = taken  # a pool's proxy, which behaves as its connection
            appended: Appended = await store.append(stream_name, data, connection=connection)
        return appended._asdict()

    return app


def main() -> int:
    """Serve until SIGTERM, or until whoever started this has gone."""
    name, descriptor, dsn, schema = sys.argv[1:]
    store = EventStore(dsn, schema=schema)
    app: ASGIApp
    if name == "service":
        app = create_app(store)
    elif name == "transaction":
        app = transaction(store, dsn)
    else:
        others: dict[str, ASGIApp] = {"frames": ReadyFrames(), "slow": slow, "nothing": nothing}
        app = others[name]
    if name == "service":
        config = server_config(app, log_level="warning", lifespan="on")
        server: uvicorn.Server = Server(config, end_followers=store.end_followers)
    else:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            access_log=False,
            log_level="warning",
            lifespan="on",
            timeout_keep_alive=600,  # connections are kept from round to round
        )
        server = uvicorn.Server(config)

    def stop_when_alone() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_when_alone, daemon=True).start()
    settle_process()
    server.run([socket.socket(fileno=int(descriptor))])
    return 0


if __name__ == "__main__":
    sys.exit(main())
