"""How the service runs on uvicorn: one place for the settings that matter for speed and safety."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from eventstore.memory import settle_memory
from eventstore_api.limits import DEFAULT_HTTP_LIMITS, HttpLimits
from eventstore_api.protocol import Bodies, Protocol

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

FILES: Final = 65_536
"""Open files, and so connections, that the service asks for."""


class Server(uvicorn.Server):
    """uvicorn's server, which lets followers end before it waits for its connections to."""

    def __init__(self, config: uvicorn.Config, *, end_followers: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_followers = end_followers

    def stop(self) -> None:
        """End in order, as on a signal."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look now and then for requests that do not come on. Called ten times a second."""
        protocol = self.config.http_protocol_class
        if issubclass(protocol, Protocol) and counter % (10 * protocol.limits.stalled_seconds) == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.look(now)  # type: ignore[union-attr]
        return await super().on_tick(counter)

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


def server_config(
    app: ASGIApp, *, limits: HttpLimits = DEFAULT_HTTP_LIMITS, **options: Any
) -> uvicorn.Config:
    """Give uvicorn's settings for the service; `options` are uvicorn's own and win."""
    limited = {"limits": limits, "bodies": Bodies(limits.bodies_bytes)}
    settings: dict[str, Any] = {
        "http": type("Protocol", (Protocol,), limited),
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
