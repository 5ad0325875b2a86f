"""A connection without a network, and an application that notes what it is asked."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from eventstore_api.limits import DEFAULT_HTTP_LIMITS, HttpLimits
from eventstore_api.server import server_config
from tests.fix_waiting import DEADLINE


class Noting:
    """Reads each body whole, notes the request, and answers with its length."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.streams = False
        """Whether answers have no length."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.seen.append((scope["method"], scope["path"], body))
        await self.may_answer.wait()
        text = b"%d" % len(body)
        headers = [] if self.streams else [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text, "more_body": self.streams})
        if self.streams:
            await send({"type": "http.response.body", "body": b"."})


class Wire:
    """One connection to `app`; what it sent so far is `sent`."""

    def __init__(self, app: Noting, limits: HttpLimits = DEFAULT_HTTP_LIMITS) -> None:
        config = server_config(app, limits=limits, log_config=None)
        config.load()
        self.state = ServerState()
        self.protocol: Any = config.http_protocol_class(  # type: ignore[call-arg]
            config=config,
            server_state=self.state,
            app_state={},
            _loop=asyncio.get_running_loop(),
        )
        self.sent = b""
        self.is_paused = False
        self.waiting_when_resumed: list[int] = []
        self.closed = asyncio.Event()
        self.protocol.connection_made(cast("Any", self))

    def feed(self, data: bytes) -> None:
        """Let these bytes come in one segment."""
        self.protocol.data_received(data)

    async def end(self) -> list[tuple[int, bytes]]:
        """Wait until the service closes the connection; give its answers."""
        async with asyncio.timeout(DEADLINE):
            await self.closed.wait()
        return answers(self.sent)

    # What asyncio's transports do.
    def write(self, data: bytes) -> None:
        assert not self.closed.is_set()
        self.sent += data

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self.waiting_when_resumed.append(len(self.protocol.pipeline))

    def get_extra_info(self, _name: str) -> None:
        return None


def answers(sent: bytes) -> list[tuple[int, bytes]]:
    """Return the status and body of each answer."""
    found: list[tuple[int, bytes]] = []

    class Reader:
        body = b""

        def on_body(self, body: bytes) -> None:
            self.body += body

        def on_message_complete(self) -> None:
            found.append((parser.get_status_code(), self.body))
            self.body = b""

    parser = httptools.HttpResponseParser(Reader())
    parser.feed_data(sent)
    return found
