"""A line to a server that a test can cut or slow down, or on which answers get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict

from tests.fix_server import new_room

SOCKET = ".s.PGSQL.5432"


class Proxy:
    """Passes everything on between clients of `dsn` and the server, until it is told not to."""

    def __init__(self, server_dsn: str, room: Path) -> None:
        self._server = conninfo_to_dict(server_dsn)
        self.socket = room / SOCKET
        self._listener: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.swallows = False
        """Whether what the server says is lost on its way; what the clients say still arrives."""
        self.swallowed = asyncio.Event()
        """Set when an answer has been lost."""
        self.delay: Callable[[], float] | None = None
        """Gives the seconds that the next piece of what is sent takes; None: it passes at once."""
        host = quote(str(room), safe="")
        parts = urlsplit(server_dsn)
        self.dsn = urlunsplit(parts._replace(query=f"host={host}&port=5432"))

    async def listen(self) -> Self:
        """Take connections; `refuse` ends it."""
        self._listener = await asyncio.start_unix_server(self._connected, self.socket)
        return self

    async def refuse(self) -> None:
        """Take no more connections: the server is not reachable."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self.socket.unlink(missing_ok=True)

    def cut(self) -> None:
        """Cut every line that there is."""
        for line in list(self._lines):
            line.transport.abort()

    async def close(self) -> None:
        await self.refuse()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(
        self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter
    ) -> None:
        host, port = str(self._server["host"]), str(self._server.get("port") or 5432)
        try:
            if host.startswith("/"):
                path = f"{host}/.s.PGSQL.{port}"
                server_in, server_out = await asyncio.open_unix_connection(path)
            else:
                server_in, server_out = await asyncio.open_connection(host, int(port))
        except OSError:  # there is no server now, and that is what the client is to see
            client_out.transport.abort()
            return
        if self._listener is None:  # it refuses since: `cut` has not seen this line
            client_out.transport.abort()
            server_out.transport.abort()
            return
        self._lines |= {client_out, server_out}
        for source, target, is_answer in (
            (client_in, server_out, False),
            (server_in, client_out, True),
        ):
            task = asyncio.create_task(self._pass_on(source, target, is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if is_answer and self.swallows:
                    self.swallowed.set()
                    continue
                for piece in self._pieces(data):
                    if self.delay is not None:
                        await asyncio.sleep(self.delay())
                    target.write(piece)
                    await target.drain()
        self._lines.discard(target)
        target.close()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut what is sent where a reader may not expect it, unless it passes at once."""
        size = len(data) if self.delay is None else max(7, len(data) // 3)
        return (data[at : at + size] for at in range(0, len(data), size))


@asynccontextmanager
async def new_proxy(server_dsn: str) -> AsyncIterator[Proxy]:
    """Open a line to the server that `server_dsn` names."""
    with new_room() as room:
        proxy = await Proxy(server_dsn, room).listen()
        try:
            yield proxy
        finally:
            await proxy.close()
