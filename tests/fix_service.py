"""The service in the test's own process, behind a real HTTP server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from eventstore import App, EventStore
from eventstore_api import create_app
from eventstore_api.server import server_config


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to pytest and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def served(store: EventStore, app: App | None = None) -> Iterator[tuple[str, int]]:
    """Serve a store over a real socket, from a thread of its own; give host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = server_config(create_app(store, app), lifespan="on", log_config=None)
        server = _Uvicorn(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="service")
        thread.start()
        try:
            assert server.listening.wait(30)
            host, port = listener.getsockname()
            yield host, port
        finally:
            server.should_exit = True
            thread.join(30)
        assert not thread.is_alive()
