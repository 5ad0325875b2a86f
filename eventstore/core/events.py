"""Events: to append, and as recorded."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from eventstore.core.errors import InvalidInput, LimitExceeded, UnreadableEvent
from eventstore.core.jsontext import MOST_EXPANSION, encode_json, json_size, may_expand
from eventstore.core.limits import DEFAULT_LIMITS, Limits
from eventstore.core.streams import category, check_text

_decode: Final = json.JSONDecoder().raw_decode


@dataclass(slots=True)
class EventData:
    """An event to append.

    `data` is any JSON value, `metadata` a JSON object. `event_id` is made by the store unless
    given; give it (or an idempotency key) to make a retry of the append safe.
    """

    event_type: str
    data: Any = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    event_id: uuid.UUID | str | None = None
    tags: Iterable[str] = ()


class EncodedEvent(NamedTuple):
    """An event that is checked and ready for SQL: JSON as text, tags sorted.

    `event_id` is the caller's own, None when it gave none. `size` is characters of JSON text, near
    enough to bytes to bound a queue.
    """

    event_type: str
    data: str
    metadata: str
    event_id: str | None
    tags: tuple[str, ...]
    size: int


class _Columns(NamedTuple):
    position: int
    stream_name: str
    revision: int
    event_id: uuid.UUID
    event_type: str
    data_json: str
    metadata_json: str
    tags: list[str]
    recorded_at: datetime


class _Decoded:
    """A column of JSON as Python values: decoded once, without a lock, for many events are read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._column = f"{name}_json"

    def __get__(self, event: Any, owner: type | None = None) -> Any:
        if event is None:
            return self
        try:
            value, _ = _decode(getattr(event, self._column))
        except (RecursionError, ValueError) as fault:  # too deep, or a number too long, for Python
            raise UnreadableEvent(
                f"Python cannot read it: {fault}",
                path=f"$.{self._name}",
                event_id=str(event.event_id),
                event_type=event.event_type,
                stream_name=event.stream_name,
                revision=event.revision,
                position=event.position,
            ) from fault
        event.__dict__[self._name] = value  # found before this from now on
        return value


class RecordedEvent(_Columns):
    """An event of the log, in the order of the columns that every read selects.

    `data_json` and `metadata_json` are the text as jsonb holds it; `data` and `metadata` decode
    it on first use, and raise UnreadableEvent for what Python cannot read: earlier releases let
    psql store any depth and any number. `recorded_at` is the server's time.
    """

    data = _Decoded()
    """The event's body as Python values."""
    metadata = _Decoded()
    """The event's headers as Python values."""

    @property
    def category(self) -> str:
        """The category of the event's stream."""
        return category(self.stream_name)


_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


def check_event_id(event_id: object, *, path: str = "") -> str:
    """Give an event id as canonical text, or raise InvalidInput."""
    if isinstance(event_id, str) and _UUID(event_id):
        return event_id
    try:
        return str(event_id if isinstance(event_id, uuid.UUID) else uuid.UUID(str(event_id)))
    except ValueError:
        problem = f"an event id is a UUID: {str(event_id)[:60]!r}"
        raise InvalidInput(problem, path=path and f"{path}.id") from None


def check_tags(tags: Iterable[str], limits: Limits, *, path: str = "") -> tuple[str, ...]:
    """Give tags sorted and without repeats, or raise InvalidInput."""
    given = [tags] if isinstance(tags, str) else list(tags)
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in given):
        raise InvalidInput("tags are a list of texts", path=f"{path}.tags")
    result = tuple(sorted(set(given)))
    if len(result) > limits.event_tags:
        raise LimitExceeded(f"an event has at most {limits.event_tags} tags", path=f"{path}.tags")
    for tag in result:
        check_name(tag, "a tag", path=path, member="tags")
    return result


def check_name(text: str, what: str, *, path: str, member: str) -> str:
    """Return an event type or a tag, or raise InvalidInput that carries the path."""
    try:
        return check_text(text, what)
    except InvalidInput as fault:
        raise InvalidInput(fault.problem, path=f"{path}.{member}") from None


def _check_size(data: str, metadata: str, most: int, path: str) -> None:
    """Raise LimitExceeded if an event is stored as more bytes than are allowed.

    What counts is what readers are given, not how a client wrote it: one that escapes everything
    beyond ASCII may send six bytes for three, one that writes 1e308 five for 309.
    """
    texts = (data, metadata)
    if not any(map(may_expand, texts)) and sum(len(text.encode()) for text in texts) <= most:
        return
    size = sum(map(json_size, texts))
    if size > most:
        raise LimitExceeded(
            f"an event's data and metadata are at most {most} bytes: {size}", path=path
        )


def encode_event(
    event: EventData, *, path: str = "$", limits: Limits = DEFAULT_LIMITS
) -> EncodedEvent:
    """Check an event and give it in the form that SQL takes.

    Raises InvalidInput (with the path of the fault) or LimitExceeded.
    """
    if not isinstance(event, EventData):
        raise InvalidInput(f"not an EventData: {type(event).__name__}", path=path)
    metadata = event.metadata
    if type(metadata) is not dict and not isinstance(metadata, Mapping):
        raise InvalidInput("metadata is an object", path=f"{path}.metadata")
    return encoded_event(
        event.event_type,
        encode_json(event.data, path=path),
        encode_json(dict(metadata), path=path) if metadata else "{}",
        event.event_id,
        event.tags,
        path=path,
        limits=limits,
    )


def encoded_event(
    event_type: str,
    data: str,
    metadata: str,
    event_id: uuid.UUID | str | None,
    tags: Iterable[str],
    *,
    path: str,
    limits: Limits,
) -> EncodedEvent:
    """Put an event together whose data and metadata are checked JSON text already."""
    size = len(data) + len(metadata)
    if size * MOST_EXPANSION > limits.event_bytes:
        _check_size(data, metadata, limits.event_bytes, path)
    return EncodedEvent(
        check_name(event_type, "an event type", path=path, member="type"),
        data,
        metadata,
        None if event_id is None else check_event_id(event_id, path=path),
        check_tags(tags, limits, path=path) if tags else (),
        size,
    )
