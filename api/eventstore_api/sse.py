"""Server-sent events: the log as a response that does not end.

Written here rather than by a library: a frame is made once for all followers and sent as bytes,
and what a library would add (pings, an end at shutdown) needs the follower's position anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from eventstore import EventStoreError, Follower, HistoryRewound, RecordedEvent, Unavailable
from eventstore_api.wire import encode, event_json

SSE: Final = "text/event-stream"
KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a comment is sent."""
OUTAGE: Final = 1.0
"""Seconds until the log is tried again when it cannot be read."""
RETRY: Final = 1_000
"""Milliseconds after which a client comes back when the line broke."""
PIECE: Final = 1 << 15
"""Bytes of one piece of the response, if there is more than one event in it: what a client that
does not read holds up."""
HEADERS: Final = {
    "content-type": SSE,
    # Nothing between here and the client may collect events before it passes them on.
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    "vary": "accept",
}


OWN_NAMES: Final = frozenset({"error", "open"})
"""What EventSource itself calls what happens to the connection: no frame has such a name."""


async def stream(follower: Follower, epoch: int, *, named: bool = True) -> AsyncGenerator[bytes]:
    """Write what a follower is given, until the client or the service goes.

    The frame of an event has the event's type as its name, so that a page listens to the types
    that it wants. Unless it is `named`: then every event comes as a `message`, and control frames
    alone have names.

    An event's `id` is its position and the epoch, as in Event-Position, so that a client that
    comes back with it after a restore is told. At a keep-alive the `id` moves on to where a
    sparse filter has got to: an id without data is remembered, and no event to its reader.
    """
    yield b"retry: %d\n\n" % RETRY
    caught_up = False
    async with follower:
        while True:
            try:
                events = await follower.next(KEEP_ALIVE)
            except Unavailable:  # the database is away: what is said next is that we are not
                await asyncio.sleep(OUTAGE)
                events = []
            except HistoryRewound as rewound:
                yield control("rewound", {**rewound.facts})
                return
            except EventStoreError as error:
                yield control("failed", {"detail": str(error)})
                return
            if follower.closed:
                yield control("shutdown", {"head": follower.position})
                return
            for piece in pieces(events, epoch, named=named):
                yield piece
            if events:
                continue
            if follower.caught_up and not caught_up:
                caught_up = True
                yield _id(follower.position, epoch) + control(
                    "caught-up", {"head": follower.position}
                )
            else:
                yield b": keep-alive\n" + _id(follower.position, epoch) + b"\n"


def pieces(events: Sequence[RecordedEvent], epoch: int, *, named: bool = True) -> Iterator[bytes]:
    """Give events as frames. Each is written once and kept with its event."""
    piece: list[bytes] = []
    size = 0
    for event in events:
        frame = _frame(event, epoch, named)
        if piece and size + len(frame) > PIECE:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(frame)
        size += len(frame)
    if piece:
        yield b"".join(piece)


def control(name: str, facts: dict[str, object]) -> bytes:
    """Give a frame that is no event of the log: its data has no `type`."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encode(facts))


def _frame(event: RecordedEvent, epoch: int, named: bool) -> bytes:
    name = "sse" if named else "sse_message"
    kept: bytes | None = event.__dict__.get(name)
    if kept is None:
        called = named and event.event_type not in OWN_NAMES
        field = f"event: {event.event_type}\n" if called else ""
        kept = (
            f"id: {event.position};epoch={epoch}\n{field}data: {event_json(event)}\n\n"
        ).encode()
        event.__dict__[name] = kept
    return kept


def _id(position: int, epoch: int) -> bytes:
    return b"id: %d;epoch=%d\n" % (position, epoch)
