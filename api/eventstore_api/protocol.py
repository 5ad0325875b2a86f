"""HTTP/1.1 on one connection: what uvicorn's protocol takes, and what is refused before that.

Three of its habits are not ours. It stops reading at an `Upgrade` that it does not take, and would
take the body for the next request: here the request is read again without it (RFC 9110, 7.8). It
writes a refusal at once, into the midst of whatever is being answered: here it waits for its turn.
And it reads on after each answer while other requests wait: here only when none does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from eventstore import Unavailable
from eventstore.core.errors import EventStoreError
from eventstore_api.limits import DEFAULT_HTTP_LIMITS, HttpLimits
from eventstore_api.problems import HttpError, problem
from eventstore_api.transport import OneWrite

logger: Final = logging.getLogger("eventstore_api")
QUIET: Final = 1.0
"""Seconds for which no other refused request is logged."""


class Bodies:
    """Bytes of request bodies that are in memory, of all connections."""

    __slots__ = ("limit", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0


class _Flow(FlowControl):
    """Reads on only when no request of the connection waits for its answer."""

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if not self._protocol.pipeline:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, one write a response."""

    limits: HttpLimits = DEFAULT_HTTP_LIMITS
    bodies: Bodies = Bodies(DEFAULT_HTTP_LIMITS.bodies_bytes)
    _logged_at = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fault: EventStoreError | None = None
        self._is_refused = False
        self._in_head = True  # also before the first byte
        self._head_bytes = 0
        self._body_bytes = 0  # of requests that are not answered yet
        self._came = 0  # bytes since the last look
        self._since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        self.transport = OneWrite(transport)  # type: ignore[assignment]
        self.flow = _Flow(transport, self)
        self._since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what the connection held."""
        self._release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came. What comes after something that is refused is read by nobody."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_bytes += len(data)
        self._came += len(data)
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            self._refuse(
                self._fault
                or HttpError("malformed-request", f"the request is not HTTP/1.1: {error}")
            )
            return
        most = self.limits.url_bytes + self.limits.header_bytes
        if self._in_head and self._head_bytes > most:
            self._refuse(
                HttpError("headers-too-large", f"a request's head is at most {most} bytes")
            )

    def _read(self, data: bytes) -> None:
        """Read on, and each request again that offers another protocol, as if it did not."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[upgrade.args[0] :]
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        if self.scope["method"] == "CONNECT":
            raise httptools.HttpParserError("CONNECT is for proxies, and this is none")
        head = [self.scope["method"].encode(), b" ", self.url]
        head.append(b" HTTP/%s\r\n" % self.scope["http_version"].encode())
        for name, value in self.headers:
            if name != b"upgrade":
                head += (name, b": ", value, b"\r\n")
        head.append(b"\r\n")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        return b"".join(head)

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self._in_head = True
        self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Begin to answer a request, unless its head is refused."""
        self.scope["method"] = self.parser.get_method().decode("ascii")
        version = self.parser.get_http_version()
        self.scope["http_version"] = version
        if self.parser.should_upgrade():  # it comes again without
            return
        self._in_head = False
        self._fault = self._fault_of_head(version)
        if self._fault is not None:
            raise ValueError(self._fault)  # ends the parser, not the connection's answers
        self._head_bytes = 0
        super().on_headers_complete()
        if version == "1.0":
            self.cycle.__class__ = _UnchunkedCycle  # its task has not begun

    def _fault_of_head(self, version: str) -> EventStoreError | None:
        limits = self.limits
        if len(self.url) > limits.url_bytes:
            return HttpError("uri-too-long", f"a URL is at most {limits.url_bytes} bytes here")
        if len(self.headers) > limits.headers:
            return HttpError("headers-too-large", f"at most {limits.headers} headers")
        if self._head_bytes > limits.header_bytes:
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.header_bytes:
                return HttpError(
                    "headers-too-large",
                    f"a request's headers are at most {limits.header_bytes} bytes",
                )
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return HttpError("malformed-request", "a request has one Host header (RFC 9112)")
        if version not in ("1.1", "1.0"):
            return HttpError("malformed-request", f"HTTP/1.1 is spoken here, not {version}")
        if b"transfer-encoding" in names:
            codings = [value for name, value in self.headers if name == b"transfer-encoding"]
            if version == "1.0":
                return HttpError("malformed-request", "HTTP/1.0 has no Transfer-Encoding")
            if [coding.strip().lower() for coding in codings] != [b"chunked"]:
                return HttpError("not-implemented", "the only Transfer-Encoding here is chunked")
        return None

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, as long as there is room for it."""
        if self.parser.should_upgrade():
            return
        cycle = self.cycle
        if not cycle.response_complete:
            bodies = self.bodies
            bodies.size += len(body)
            self._body_bytes += len(body)
            if bodies.size > bodies.limit:
                self._fault = Unavailable("too many request bodies are on their way at once")
                raise ValueError(self._fault)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End to read a request."""
        if self.parser.should_upgrade():
            return
        self._in_head = True
        self._head_bytes = 0
        self._since = 0.0  # nothing is waited for: the keep-alive timer ends the connection
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, if one waits."""
        if not self.pipeline:
            self._release()
        super().on_response_complete()

    def _release(self) -> None:
        self.bodies.size -= self._body_bytes
        self._body_bytes = 0

    def look(self, now: float) -> None:
        """Refuse a request that takes too long to come. Called every `stalled_seconds`."""
        came, self._came = self._came, 0
        if self._is_refused or self.transport.is_closing():
            return
        if self._in_head:
            if not self._since or now - self._since <= self.limits.head_seconds:
                return
            if self._head_bytes:
                self._refuse(HttpError("request-timeout", "the request's head took too long"))
            else:
                self.transport.close()
        elif (
            self.cycle is not None
            and self.cycle.more_body
            and not self.flow.read_paused
            and now - self._since > self.limits.stalled_seconds
            and came < self.limits.stalled_bytes
        ):
            self._refuse(HttpError("request-timeout", "the request's body took too long"))

    def _refuse(self, error: EventStoreError) -> None:
        """Answer with a problem when all requests before are answered, then close."""
        self._is_refused = True
        now = time.monotonic()
        if now - Protocol._logged_at > QUIET:
            Protocol._logged_at = now
            client = "a client" if self.client is None else f"{self.client[0]}:{self.client[1]}"
            logger.info("refused what %s sent: %s", client, error)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:  # it is whole, and is answered first
                self._refuse_in_turn(error)
                return
            if self.pipeline and self.pipeline[0][0] is cycle:  # it has not begun
                self.pipeline.popleft()
                self._refuse_in_turn(error)
                return
            cycle.disconnected = True  # nobody hears what else is said of it
            cycle.message_event.set()
            self._release()
            if cycle.response_started:
                self.transport.close()
                return
        self.transport.write(_bytes_of(error))
        self.transport.close()

    def _refuse_in_turn(self, error: EventStoreError) -> None:
        scope: Any = {"type": "http", "method": "GET", "http_version": "1.1"}
        refusal: Any = _Refusal(error)
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self.pipeline.appendleft((cycle, refusal))


class _UnchunkedCycle(RequestResponseCycle):
    """An answer to HTTP/1.0, which has no chunks: one without a length ends with the connection."""

    _is_endless = False

    async def send(self, message: Any) -> None:
        """Send a part of an answer."""
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message["headers"]}
            bodiless = self.scope["method"] == "HEAD" or message["status"] in (204, 304)
            self._is_endless = not bodiless and b"content-length" not in names
        if not self._is_endless:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self.response_started = True
            head = [STATUS_LINE[message["status"]]]
            for name, value in message["headers"]:
                head += (name, b": ", value, b"\r\n")
            self.transport.write(b"".join([*head, b"connection: close\r\n\r\n"]))
            return
        self.transport.write(message.get("body", b""))
        if not message.get("more_body", False):
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()


class _Refusal:
    """Answers with a problem whatever was asked."""

    def __init__(self, error: EventStoreError) -> None:
        self._status, headers, self._body = problem(error)
        self._headers = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        self._headers.append((b"content-length", str(len(self._body)).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": self._body})


def _bytes_of(error: EventStoreError) -> bytes:
    """Return a problem as the bytes of an answer after which the connection ends."""
    status, headers, body = problem(error)
    headers |= {"content-length": str(len(body)), "connection": "close"}
    lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", body])
