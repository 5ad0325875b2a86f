"""The service in the test's own process, called directly or behind a real HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import uvicorn
from fastapi import FastAPI

from eventstore import App, EventStore
from eventstore_api import create_app
from eventstore_api.app import in_front_of, make_api
from eventstore_api.dispatch import Dispatcher
from eventstore_api.guard import Guard
from eventstore_api.server import server_config


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to pytest, says when it listens, and ends when it is told to,
    not at uvicorn's next look."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._end = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        looking = asyncio.create_task(super().main_loop())
        await self._end.wait()
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking

    def end(self) -> None:
        """End in order; to be called from another thread."""
        self._loop.call_soon_threadsafe(self._end.set)


_idle: dict[bool, list[FastAPI]] = {True: [], False: []}


@contextmanager
def application(store: EventStore, *, manage: bool = False) -> Iterator[Dispatcher]:
    """Yield the service of a store, as `create_app` makes it without an App.

    FastAPI's part is one that an earlier test had: to make its routes takes longer than most tests.
    """
    api = _idle[manage].pop() if _idle[manage] else make_api(store, manage=manage)
    api.state.store = lambda: store
    try:
        yield in_front_of(api)
    finally:
        _idle[manage].append(api)


@contextmanager
def served(store: EventStore, app: App | None = None) -> Iterator[tuple[str, int]]:
    """Serve a store over a real socket, from a thread of its own; give host and port."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        application(store, manage=True)
        if app is None
        else nullcontext(create_app(store, app)) as made,
    ):
        guarded = made if isinstance(made, Guard) else Guard(made, hosts=None)
        config = server_config(guarded, lifespan="on", log_config=None)
        server = _Uvicorn(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="service")
        thread.start()
        try:
            assert server.listening.wait(30)
            host, port = listener.getsockname()
            yield host, port
        finally:
            server.end()
            thread.join(30)
        assert not thread.is_alive()
