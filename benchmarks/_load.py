"""The HTTP load generator: a process of its own that costs as little as can be.

One thread over non-blocking sockets; requests are bytes that are built beforehand, and of an answer
only the status, the length and the number of lines are looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import socket
import sys
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Final

from ._data import EVENT_TYPE, json_text, payload, stream_name
from ._process import command, environment
from ._report import Measurement, percentile

CONNECTIONS: Final = 64
_DATA_LINE: Final = b'\ndata: {"position":'
PATIENCE: Final = 60.0
"""Seconds without any answer, until the run fails."""


async def appends(port: int, count: int, first: int) -> Measurement:
    """Append `count` events, one a request, over 64 connections that stay open.

    `first` is the number of the first event. Raises RuntimeError unless every answer is 201.
    """
    return await measured("_load", "appends", port, count, first)


async def lines(port: int, path: str) -> Measurement:
    """Read a path as NDJSON and count the lines."""
    return await measured("_load", "lines", port, path)


async def frames(port: int, path: str, count: int) -> Measurement:
    """Follow a path over SSE until so many events have come."""
    return await measured("_load", "frames", port, path, count)


async def measured(module: str, *arguments: object) -> Measurement:
    """Run a module of this package that prints a measurement."""
    process = await asyncio.create_subprocess_exec(
        *command(module, *map(str, arguments)),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator failed ({process.returncode}); see above")
    return Measurement(*json.loads(output))


def build_request(number: int) -> bytes:
    """Give the bytes of a request that appends one event."""
    body = json_text({"type": EVENT_TYPE, "data": payload(number)}).encode()
    head = (
        f"POST /streams/{stream_name(number)} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client:
    """A connection that has one request under way."""

    __slots__ = ("received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = connect(port)
        self.socket.settimeout(None)  # the selector says when; a timeout costs a poll a call
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what is there; tell whether the answer is whole. Raises unless it is 201."""
        data = self.socket.recv(65_536)
        if not data:
            raise RuntimeError("the service closed a connection")
        self.received += data
        return is_whole(self.received)


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer is all there. Raises RuntimeError unless it is 200 or 201."""
    head_size = answer.find(b"\r\n\r\n")
    if head_size < 0:
        return False
    head = answer[:head_size].lower()
    if head[9:12] not in (b"200", b"201"):
        raise RuntimeError(f"refused: {answer.decode('latin-1')}")
    start = head.index(b"content-length:") + 15
    end = head.find(b"\r\n", start)
    length = int(head[start : end if end > 0 else head_size])
    return len(answer) >= head_size + 4 + length


def connect(port: int) -> socket.socket:
    """Connect to the service."""
    made = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def drive(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Measurement:
    """Send every request once, with at most one under way on each connection."""
    pending: Iterator[bytes] = iter(requests)
    latencies: list[float] = []
    with contextlib.ExitStack() as closing:
        selector = closing.enter_context(selectors.DefaultSelector())
        clients = [_Client(port) for _ in range(min(connections, len(requests)))]
        for client in clients:
            closing.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
        started = perf_counter()
        for client in clients:
            client.send(next(pending))
        while len(latencies) < len(requests):
            ready = selector.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"no answer within {PATIENCE:.0f} s")
            for key, _ in ready:
                client = key.data
                if not client.receive():
                    continue
                latencies.append(perf_counter() - client.sent_at)
                request = next(pending, None)
                if request is not None:
                    client.send(request)
        seconds = perf_counter() - started
    latencies.sort()
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return Measurement(len(latencies), seconds, p50, p99)


def count_lines(port: int, path: str) -> Measurement:
    """Read a chunked NDJSON answer to its end; its lines are JSON objects."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/x-ndjson\r\n\r\n"
    found = 0
    tail = b""
    with connect(port) as connection:
        started = perf_counter()
        connection.sendall(request.encode())
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = connection.recv(1 << 18)
            if not data:
                raise RuntimeError("the answer was cut short")
            # What frames the chunks ends in \r\n, a line in }\n; the service cuts no line in two.
            found += data.count(b"}\n") + (tail.endswith(b"}") and data.startswith(b"\n"))
            tail = (tail + data)[-7:] if len(data) < 7 else data[-7:]
        return Measurement(found, perf_counter() - started)


def count_frames(port: int, path: str, count: int) -> Measurement:
    """Follow from the start until `count` events have come; each has one `data:` line."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n"
    found = 0
    tail = b""
    with connect(port) as connection:
        started = perf_counter()
        connection.sendall(request.encode())
        while found < count:
            data = connection.recv(1 << 18)
            if not data:
                raise RuntimeError("the answer was cut short")
            # Text of events has its line ends escaped: a line of this kind begins nowhere else.
            found += data.count(_DATA_LINE) + (tail + data[: len(_DATA_LINE) - 1]).count(_DATA_LINE)
            tail = (tail + data)[1 - len(_DATA_LINE) :]
        return Measurement(found, perf_counter() - started)


def main() -> int:
    """Run one load and print what it took as JSON."""
    kind, port, *rest = sys.argv[1:]
    if kind == "appends":
        count, first = map(int, rest)
        taken = drive(int(port), [build_request(first + number) for number in range(count)])
    elif kind == "lines":
        taken = count_lines(int(port), rest[0])
    else:
        taken = count_frames(int(port), rest[0], int(rest[1]))
    print(json.dumps(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
