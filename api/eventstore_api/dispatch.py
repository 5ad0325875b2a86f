"""The hot routes, in front of FastAPI's middleware.

FastAPI's own machinery costs several times what serving HTTP does, so appends and page reads are
plain ASGI endpoints, chosen here. They share limits, parameters, headers and problem answers with
all other routes, and stand in the same API description.

Paths are split before they are decoded, so that a stream name may hold any character, `/` as
`%2F`. FastAPI's routes see the path still encoded, for the same reason.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import cache
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventstore import EventStoreError, LimitExceeded, Limits, Unavailable
from eventstore_api.headers import Headers
from eventstore_api.parameters import decode
from eventstore_api.problems import HttpError, problem

logger: Final = logging.getLogger("eventstore_api")
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")


class Reply(NamedTuple):
    """What a hot endpoint answers: a whole body, or chunks of one."""

    status: int
    headers: dict[str, str]
    body: bytes | AsyncGenerator[bytes]


class Request:
    """A request to a hot endpoint."""

    __slots__ = ("_receive", "_scope", "headers", "name")

    def __init__(self, scope: Scope, receive: Receive, name: str) -> None:
        self._scope = scope
        self._receive = receive
        self.name = name
        self.headers = Headers(scope["headers"])

    @property
    def query_string(self) -> bytes:
        """The query string as it came."""
        query_string: bytes = self._scope["query_string"]
        return query_string

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as they came, one pair for each: those that come twice do so here."""
        raw: list[tuple[bytes, bytes]] = self._scope["headers"]
        return raw

    async def body(self, limit: int) -> bytes:
        """Give the body. Raises 413 as soon as it is known to be larger than `limit` bytes."""
        message = await self._receive()
        if message["type"] == "http.disconnect":  # also before anything of the body has come
            raise ClientGoneError("the client went away before its request was whole")
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            chunks = [body]
            size = len(body)
            while message.get("more_body", False) and size <= limit:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError("the client went away before its request was whole")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
            body = b"".join(chunks)
        if len(body) > limit:
            raise LimitExceeded(f"a request body is at most {limit} bytes")
        return body


class ClientGoneError(Exception):
    """There is nobody left to answer."""


Endpoint = Callable[[Request], Awaitable[Reply]]


class Dispatcher:
    """The outermost ASGI application: hot endpoints, else the application behind it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        append: Endpoint,
        append_many: Endpoint,
        read_stream: Endpoint,
        read_log: Endpoint,
    ) -> None:
        self._app = app
        self._of_path: dict[bytes, dict[str, Endpoint]] = {
            b"/appends": {"POST": append_many},
            b"/events": {"GET": read_log},
        }
        self._of_stream = {"POST": append, "GET": read_stream}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not (scope["raw_path"].isascii() and scope["query_string"].isascii()):
            escaped = {name: _escaped(scope[name]) for name in ("raw_path", "query_string")}
            scope = {**scope, **escaped}
        path: bytes = scope["raw_path"].partition(b"?")[0]
        method = scope["method"]
        is_head = method == "HEAD" and not _is_stream(path)  # whose head is a route of its own
        if is_head:
            method, send = "GET", _without_body(send)
            scope = {**scope, "method": method}
        endpoints = self._of_path.get(path)
        name = b""
        if endpoints is None and path.startswith(b"/streams/"):
            name = path[9:]
            if _is_stream(path) and method != "HEAD":
                endpoints = self._of_stream
        if endpoints is None:
            await self._app({**scope, "path": path.decode("latin-1")}, receive, send)
            return
        try:
            endpoint = endpoints.get(method) or _refuse_method(endpoints, method)
            request = Request(scope, receive, decode(name.decode("latin-1"), "the stream name"))
            reply = await endpoint(request)
        except EventStoreError as error:
            reply = Reply(*problem(error))
        except ClientGoneError:
            return
        except asyncio.CancelledError:  # the service ends, and has waited long enough
            reply = Reply(*problem(Unavailable("the service is shutting down")))
        except Exception:  # a fault of ours: it goes to the log whole, and to the client as a 500
            logger.exception("%s %s failed", method, path.decode("latin-1"))
            reply = Reply(*problem(HttpError("internal-error", "see the service's log")))
        if is_head and not isinstance(reply.body, bytes):  # it may have no end
            await reply.body.aclose()
            await _start(reply, send)
            return
        await _send(reply, receive, send)


def _is_stream(path: bytes) -> bool:
    return path.startswith(b"/streams/") and len(path) > 9 and b"/" not in path[9:]


def _without_body(send: Send) -> Send:
    """Answer HEAD as GET is answered, but for the body (RFC 9110, 9.3.2)."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body"})

    return send_head


def _escaped(raw: bytes) -> bytes:
    """Percent-encode what is not ASCII: some clients send the UTF-8 of a name as it is."""
    return _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], raw)


def _refuse_method(endpoints: dict[str, Endpoint], method: str) -> Endpoint:
    allowed = sorted({*endpoints, "HEAD"} if "GET" in endpoints else endpoints)
    raise HttpError("method-not-allowed", f"{method} is not allowed here", allow=", ".join(allowed))


@cache
def _name(header: str) -> bytes:
    return header.encode("latin-1")


async def _start(reply: Reply, send: Send) -> None:
    headers = [(_name(k), v.encode("latin-1")) for k, v in reply.headers.items()]
    if isinstance(reply.body, bytes) and reply.status != 304:  # that would be of what is not sent
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _send(reply: Reply, receive: Receive, send: Send) -> None:
    await _start(reply, send)
    if isinstance(reply.body, bytes):
        await send({"type": "http.response.body", "body": reply.body})
        return
    # What goes wrong from here on ends the connection without the last chunk, so that the client
    # sees that the answer is cut short.
    try:
        async with while_connected(receive), aclosing(reply.body) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except ClientGoneError:  # the rest would be read for nobody
        return
    except Unavailable as error:
        logger.warning("an answer is cut short: %s", error)
        return
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """End the block with ClientGoneError when the client goes, wherever it waits then."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a request is served by a task
    left = went = False

    async def watch() -> None:
        nonlocal went
        while (await receive())["type"] != "http.disconnect":
            pass
        if not left:
            went = True
            task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        if went and task.uncancel() == 0:
            raise ClientGoneError from None
        raise
    finally:
        left = True
        watcher.cancel()


def body_limit(limits: Limits) -> int:
    """Give the largest body: an append's bytes and what JSON puts around its events."""
    return limits.append_bytes + (1 << 20)
