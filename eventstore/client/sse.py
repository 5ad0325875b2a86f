"""Server-sent events as the service writes them, read without I/O.

Not httpx-sse: it splits lines as text, and JSON may hold characters that are line ends to Python.
"""

from __future__ import annotations

from typing import NamedTuple

from eventstore.client.wire import decode_event, json_object
from eventstore.core.errors import EventStoreError, HistoryRewound, Unavailable
from eventstore.core.events import RecordedEvent

SSE = "text/event-stream"


class Place(NamedTuple):
    """Where a follower is: a position, and the epoch in which it was seen (None: the present)."""

    position: int
    epoch: int | None

    @property
    def event_id(self) -> str:
        """What to send as Last-Event-ID."""
        return str(self.position) if self.epoch is None else f"{self.position};epoch={self.epoch}"


class Step(NamedTuple):
    """A new place, and the event that was met there, if any."""

    place: Place
    event: RecordedEvent | None


class Decoder:
    """Takes the bytes of a response as they come, and gives its steps."""

    def __init__(self) -> None:
        self._rest = b""

    def steps(self, chunk: bytes) -> list[Step]:
        """Give the steps that this piece completes.

        Raises HistoryRewound or Unavailable where the service says that it ends the stream.
        """
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        return [step for block in blocks if (step := _step(block)) is not None]


def _step(block: bytes) -> Step | None:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line[1:])
    data = fields.get(b"data")
    event = None
    if data is not None:
        if (
            b'"type":' in data
        ):  # in a text the quotes would be escaped, and control frames have none
            event = decode_event(data)
        else:
            _check(fields.get(b"event", b"").decode(), json_object(data))
    place = fields.get(b"id")
    if place is None:
        return None
    position, _, epoch = place.partition(b";epoch=")
    try:
        return Step(Place(int(position), int(epoch)), event)
    except ValueError:
        raise EventStoreError(f"the service gives a malformed id: {place[:60]!r}") from None


def _check(name: str, facts: dict[str, object]) -> None:
    if name == "rewound":
        names = ("position", "epoch", "head", "current_epoch")
        raise HistoryRewound(*[int(str(facts[name])) for name in names])
    if name in ("shutdown", "failed"):
        raise Unavailable(str(facts.get("detail", "the service shuts down")))
