"""Light HTTP connections of the load process: followers over SSE, appends, and waits."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

from ._data import EVENT_TYPE
from ._load import CONNECTIONS, build_request, is_whole

_EVENT: Final = re.compile(rb"\nid: (\d+);epoch=\d+\nevent: %s\n" % EVENT_TYPE.encode())
_POSITION: Final = re.compile(rb'"position":(\d+)')

Delivered = Callable[[Sequence[int], float], None]
Failed = Callable[[BaseException], None]


class SseFollower(asyncio.Protocol):
    """Follows a path; of a frame only the position is looked at."""

    def __init__(self, path: str, delivered: Delivered, failed: Failed) -> None:
        self._path = path
        self._delivered = delivered
        self._failed = failed
        self._rest = b""
        self._position = 0
        self.caught_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask for the events."""
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n"
            "\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take frames, which may come in pieces."""
        now = perf_counter()
        data = self._rest + data
        end = data.rfind(b"\n\n") + 1  # the line end that stays is where the next frame begins
        self._rest = data[end:]
        if positions := [int(found) for found in _EVENT.findall(data, 0, end)]:
            for position in positions:
                if position <= self._position:
                    self._failed(RuntimeError(f"{position} came after {self._position}"))
                self._position = position
            self._delivered(positions, now)
        if not self.caught_up.done() and b"event: caught-up\n" in data[:end]:
            self.caught_up.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail: nobody hangs up on a follower."""
        lost = error or RuntimeError(f"{self._path} ended: {self._rest[:200]!r}")
        if not self.caught_up.done():
            self.caught_up.set_exception(lost)
        self._failed(lost)


class Requests:
    """Requests over connections that stay open; one that finds none free waits for it."""

    def __init__(self, failed: Failed) -> None:
        self._failed = failed
        self._free: list[_Connection] = []
        self._waiting: deque[tuple[bytes, Callable[[int], None]]] = deque()

    async def open(self, port: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, made = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(made)

    def close(self) -> None:
        """Hang up."""
        self._failed = lambda _: None
        for connection in self._free:
            connection.close()

    def send(self, number: int, answered: Callable[[int], None]) -> None:
        """Append the event with this number; `answered(position)` is called in the end."""
        self._waiting.append((build_request(number), answered))
        self._send()

    def wait(self, projection: str, position: int, answered: Callable[[int], None]) -> None:
        """Wait for a projection; `answered` is called with how far it is in the end."""
        request = (
            f"GET /projections/{projection}/position?at_least={position} HTTP/1.1\r\n"
            "host: 127.0.0.1\r\nprefer: wait=30\r\n\r\n"
        )
        self._waiting.append((request.encode(), answered))
        self._send()

    def free(self, connection: _Connection) -> None:
        """Take back a connection that has its answer."""
        self._free.append(connection)
        self._send()

    def fail(self, error: BaseException) -> None:
        """End the measurement."""
        self._failed(error)

    def _send(self) -> None:
        while self._waiting and self._free:
            self._free.pop().send(*self._waiting.popleft())


class _Connection(asyncio.Protocol):
    def __init__(self, owner: Requests) -> None:
        self._owner = owner
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def close(self) -> None:
        self._transport.abort()

    def send(self, request: bytes, answered: Callable[[int], None]) -> None:
        self._answered = answered
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            whole = is_whole(self._received)
        except RuntimeError as error:
            self._owner.fail(error)
            return
        if whole:
            position = _POSITION.search(self._received)
            assert position is not None
            self._received = b""
            self._answered(int(position[1]))
            self._owner.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.fail(error or RuntimeError("the service closed a connection"))
