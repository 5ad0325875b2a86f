"""The applications under test, each in a uvicorn process: `_serve APP FD DSN SCHEMA`.

`service` is the real one, run as `eventstore serve` runs it; the others run on plain uvicorn with
uvloop, httptools and without an access log. `nothing` reads the body and answers: the limit of
serving HTTP. `transaction` is the plain way to write an append: a FastAPI route, a transaction a
request.
"""

from __future__ import annotations

import gc
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from eventstore import Appended, EventData, EventStore
from eventstore_api import create_app
from eventstore_api.server import server_config

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
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_ANSWER)).encode()),
    ]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


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
        app = nothing
    if name == "service":
        config = server_config(app, log_level="warning", lifespan="on")
    else:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            access_log=False,
            log_level="warning",
            lifespan="on",
        )
    server = uvicorn.Server(config)

    def stop_when_alone() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_when_alone, daemon=True).start()
    gc.collect()
    gc.freeze()
    server.run([socket.socket(fileno=int(descriptor))])
    return 0


if __name__ == "__main__":
    sys.exit(main())
