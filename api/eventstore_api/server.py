"""How the service runs on uvicorn: one place for the settings that matter for speed and safety."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from eventstore.memory import settle_memory

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

FILES: Final = 65_536
"""Open files, and so connections, that the service asks for."""


class OneWrite:
    """A transport that sends a response's head and body with one system call instead of two.

    uvicorn writes the head, then the body. The head is held until the body comes, or until the
    event loop's next turn if it does not (a stream whose first chunk takes time).
    """

    __slots__ = ("_handle", "_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._head = b""
        self._handle: asyncio.Handle | None = None

    def write(self, data: bytes) -> None:
        """Hold a first piece of data; send it with the next one."""
        if self._handle is None:
            self._head = data
            self._handle = self._loop.call_soon(self._send_head)
        else:
            self._handle.cancel()
            self._handle = None
            self._transport.write(self._head + data)

    def close(self) -> None:
        """Send what is held, then close."""
        if self._handle is not None:
            self._handle.cancel()
            self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        self._handle = None
        if not self._transport.is_closing():  # the client may have gone since
            self._transport.write(self._head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 by httptools, one write a response."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        self.transport = OneWrite(transport)  # type: ignore[assignment]


class Server(uvicorn.Server):
    """uvicorn's server, which lets followers end before it waits for its connections to."""

    def __init__(self, config: uvicorn.Config, *, end_followers: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_followers = end_followers

    def stop(self) -> None:
        """End in order, as on a signal."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order."""
        self._end_followers()
        await super().shutdown(sockets)


def settle_process() -> None:
    """Prepare a process that is to do nothing but serve: call when everything is made.

    Its memory is settled, and there may be as many connections as the administrator allows (by
    default often 1,024).
    """
    settle_memory()
    if resource is not None:
        soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
        if soft < wanted:
            with contextlib.suppress(ValueError, OSError):  # a system may refuse what it promised
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def server_config(app: ASGIApp, **options: Any) -> uvicorn.Config:
    """Give uvicorn's settings for the service; `options` are uvicorn's own and win."""
    settings: dict[str, Any] = {
        "http": Protocol,
        "ws": "none",
        "loop": "uvloop",
        "access_log": False,
        "server_header": False,
        # Behind a proxy nothing is decided by the client's address, so it is not worth a
        # middleware in front of every request.
        "proxy_headers": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 10,
    }
    return uvicorn.Config(app, **(settings | options))
