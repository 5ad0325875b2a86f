"""Members of a consumer group over HTTP, as light as can be: `_members KIND PORT EVENTS [GROUP]`.

Each has a connection and a thread of its own: it receives, looks for the ids, and acks. `pages` is
the limit: the same connections page the log in the same batches, and acknowledge nothing.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Final

from ._load import connect, is_whole, measured
from ._report import Measurement

MEMBERS: Final = 4
BATCH: Final = 50
_ID: Final = re.compile(rb'"id":"(\d+-\d+)"')


async def members(port: int, group: str, events: int) -> Measurement:
    """Receive and ack so many events of a group, in a process of its own."""
    return await measured("_members", "members", port, events, group)


async def pages(port: int, events: int) -> Measurement:
    """Page so many events of the log."""
    return await measured("_members", "pages", port, events)


def _ask(connection: socket.socket, method: str, path: str, body: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nprefer: wait=5\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    connection.sendall(f"{head}\r\n{body}".encode())
    answer = b""
    while not is_whole(answer):
        data = connection.recv(1 << 18)
        if not data:
            raise RuntimeError("the service closed a connection")
        answer += data
    return answer


def _deliveries(connection: socket.socket, group: str) -> Iterator[int]:
    """Receive and ack; give how many, batch by batch."""
    while True:
        received = _ask(
            connection, "POST", f"/consumers/{group}/receive", json.dumps({"max": BATCH})
        )
        if ids := [found.decode() for found in _ID.findall(received)]:
            _ask(connection, "POST", f"/consumers/{group}/ack", json.dumps({"deliveries": ids}))
            yield len(ids)


def _pages(connection: socket.socket, first: int, events: int) -> Iterator[int]:
    """Read every fourth page; give how many events each has."""
    for after in range(first * BATCH, events, MEMBERS * BATCH):
        path = f"/events?after={after}&before={events + 1}&limit={BATCH}"
        yield _ask(connection, "GET", path).count(b'"recorded_at":')


def _drive(events: int, works: Sequence[Iterator[int]]) -> Measurement:
    """Let each work in a thread until all events are done together."""
    lock = threading.Lock()
    over = threading.Event()
    failed: list[Exception] = []
    done, ended = 0, 0.0

    def run(work: Iterator[int]) -> None:
        nonlocal done, ended
        try:
            for count in work:
                with lock:
                    done += count
                    ended = perf_counter()
                    if done >= events:
                        over.set()
        except Exception as error:  # noqa: BLE001 - raised below
            failed.append(error)
            over.set()

    began = perf_counter()
    for work in works:  # daemons: some wait for what will not come when all is done
        threading.Thread(target=run, args=(work,), daemon=True).start()
    over.wait()
    if failed:
        raise failed[0]
    return Measurement(done, ended - began)


def main() -> int:
    """Run one load and print what it took as JSON."""
    kind, port, events, *group = sys.argv[1:]
    connections = [connect(int(port)) for _ in range(MEMBERS)]
    if kind == "members":
        works = [_deliveries(connection, *group) for connection in connections]
    else:
        works = [_pages(one, number, int(events)) for number, one in enumerate(connections)]
    print(json.dumps(_drive(int(events), works)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
