"""Commands as they are sent, and what the service answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from eventstore.client.problems import refusal
from eventstore.core.append import Appended
from eventstore.core.errors import EventStoreError, InvalidInput
from eventstore.core.events import EventData
from eventstore.core.jsontext import encode_json


class CommandBody(NamedTuple):
    """A command to one stream, named whole or by the id of its entity."""

    stream: str | None
    entity_id: str | None
    data: Any
    metadata: Mapping[str, Any]
    tags: Iterable[str]

    def encode(self) -> bytes:
        """Give what is sent. Raises InvalidInput."""
        if (self.stream is None) == (self.entity_id is None):
            raise InvalidInput("give stream, a name, or entity_id, what is behind its category")
        if isinstance(self.tags, str):
            raise InvalidInput("tags are a list of texts")
        named = {"id": self.entity_id} if self.stream is None else {"stream": self.stream}
        data = dict(self.data) if isinstance(self.data, Mapping) else self.data
        body = {**named, "data": data, "metadata": dict(self.metadata), "tags": list(self.tags)}
        return encode_json(body, path="$").encode()


class CommandAnswer(NamedTuple):
    """What a command has caused: `events` as they are stored, none if it caused nothing.

    `revision` is that of the stream's last event (None without events), `position` that event's
    place in the log, 0 without events. `appended` is where the events are, None if there are none.
    """

    stream_name: str
    events: tuple[EventData, ...]
    revision: int | None
    position: int
    appended: Appended | None

    @property
    def replayed(self) -> bool:
        """Whether the command had been handled before: then this is its first answer again."""
        return self.appended is not None and self.appended.replayed


class _Event(msgspec.Struct):
    revision: int
    id: str
    type: str
    data: Any
    metadata: dict[str, Any]
    tags: list[str]


class _Wait(msgspec.Struct):
    reached: bool
    problem: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    stream: str
    events: list[_Event]
    position: int
    replayed: bool
    revision: int | None = None
    wait: _Wait | None = None


_answer = msgspec.json.Decoder(_Answer)


def decode_answer(body: bytes) -> CommandAnswer:
    """Read what the service answers to a command."""
    try:
        told = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not one to a command: {fault}") from fault
    events = tuple([EventData(e.type, e.data, e.metadata, e.id, e.tags) for e in told.events])
    appended = None
    if told.events and told.revision is not None:
        unapplied = None
        if told.wait is not None and not told.wait.reached:
            unapplied = refusal(int(told.wait.problem.get("status", 503)), told.wait.problem).error
        appended = Appended(
            told.stream,
            told.events[0].revision,
            told.revision,
            told.position,
            tuple([event.id for event in told.events]),
            told.replayed,
            unapplied,
        )
    return CommandAnswer(told.stream, events, told.revision, told.position, appended)
