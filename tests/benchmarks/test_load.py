"""The load generator, against a server that answers in pieces."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks._load import build_request, count_lines, drive

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"
LINES = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b'14\r\n{"data":{"a":1}}\n{}\n\r\n3\r\n{}\n\r\n0\r\n\r\n'
)


@contextmanager
def server(answer: bytes, *, requests: int, piece: int) -> Iterator[int]:
    """Answer so many requests on one connection, so many bytes a piece; give the port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(requests):
                connection.recv(65_536)
                for start in range(0, len(answer), piece):
                    connection.sendall(answer[start : start + piece])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("piece", [1, 3, 1_000])
def test_every_request_is_answered_once(piece: int) -> None:
    with server(CREATED, requests=3, piece=piece) as port:
        taken = drive(port, [build_request(n) for n in range(3)], connections=1)
    assert taken.events == 3
    assert taken.p50 is not None
    assert taken.p99 is not None
    assert 0 < taken.p50 <= taken.p99 <= taken.seconds


def test_an_answer_that_is_not_201_ends_the_run() -> None:
    refused = CREATED.replace(b"201 Created", b"503 Unavailable")
    with (
        server(refused, requests=1, piece=1_000) as port,
        pytest.raises(RuntimeError, match="503 Unavailable"),
    ):
        drive(port, [build_request(0)])


def test_a_service_that_hangs_up_ends_the_run() -> None:
    with (
        server(b"HTTP/1.1 201", requests=1, piece=100) as port,
        pytest.raises(RuntimeError, match="closed a connection"),
    ):
        drive(port, [build_request(0)])


@pytest.mark.parametrize("piece", [1, 2, 5, 1_000])
def test_lines_are_counted_across_pieces_and_chunks(piece: int) -> None:
    with server(LINES, requests=1, piece=piece) as port:
        assert count_lines(port, "/events").events == 3


def test_an_answer_that_is_cut_short_ends_the_run() -> None:
    with (
        server(LINES[:-5], requests=1, piece=1_000) as port,
        pytest.raises(RuntimeError, match="cut short"),
    ):
        count_lines(port, "/events")
