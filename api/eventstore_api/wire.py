"""JSON bodies: requests in, events and answers out.

An event's data and metadata are never decoded: their text goes to the database as it came, and
comes back as jsonb writes it.
"""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Sequence
from datetime import UTC
from json.encoder import encode_basestring
from typing import Any, Final, Literal, TypeVar

import msgspec

from eventstore import (
    NO_STREAM,
    STREAM_EXISTS,
    AppendCondition,
    Appended,
    EventQuery,
    InvalidInput,
    LimitExceeded,
    Limits,
    RecordedEvent,
)
from eventstore.core.append import EncodedAppend
from eventstore.core.events import EncodedEvent, encoded_event
from eventstore.core.jsontext import check_json_text
from eventstore.core.revisions import ANY, ExpectedRevision, revision_code
from eventstore.core.streams import check_stream_name
from eventstore_api.problems import HttpError

_EMPTY: Final = msgspec.Raw(b"{}")
T = TypeVar("T")
R = TypeVar("R")


class EventIn(msgspec.Struct, forbid_unknown_fields=True):
    """An event to append."""

    type: str
    data: msgspec.Raw = _EMPTY
    metadata: msgspec.Raw = _EMPTY
    id: str | None = None
    tags: list[str] = []


class AppendIn(msgspec.Struct, forbid_unknown_fields=True):
    """An append to one of several streams."""

    stream: str
    events: list[EventIn]
    expected_revision: int | Literal["no_stream", "stream_exists", "any"] = "any"


class ConditionIn(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing matching this query after this position."""

    none_matching: Any
    after: int = 0


class AppendsIn(msgspec.Struct, forbid_unknown_fields=True):
    """Appends that are stored together or not at all."""

    appends: list[AppendIn]
    condition: ConditionIn | None = None


class WaitOut(msgspec.Struct, omit_defaults=True):
    """Whether the projection that was waited for has applied an append, and why not."""

    projection: str
    reached: bool
    problem: msgspec.Raw | None = None


class AppendedOut(msgspec.Struct, omit_defaults=True):
    """Where an append was stored."""

    stream: str
    first_revision: int
    revision: int
    position: int
    event_ids: tuple[str, ...]
    wait: WaitOut | None = None


class AppendsOut(msgspec.Struct, omit_defaults=True):
    """Where appends were stored; `position` is that of the last event."""

    appends: list[AppendedOut]
    position: int
    wait: WaitOut | None = None


_KINDS: Final = (
    (b"\x1f\x8b", "it is packed by gzip; send it unpacked"),
    (BOM_UTF16_LE, "it is UTF-16; send UTF-8"),
    (BOM_UTF16_BE, "it is UTF-16; send UTF-8"),
)
"""What else people send, by its first bytes."""
_SMALLEST_EVENT: Final = len('{"type":"T"}')
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_event: Final = msgspec.json.Decoder(EventIn)
_events: Final = msgspec.json.Decoder(list[EventIn])
_appends: Final = msgspec.json.Decoder(AppendsIn)
encode: Final = msgspec.json.Encoder().encode
_WORDS: Final[dict[str, ExpectedRevision]] = {
    "no_stream": NO_STREAM,
    "stream_exists": STREAM_EXISTS,
    "any": ANY,
}


def decode_events(body: bytes, limits: Limits) -> tuple[EncodedEvent, ...]:
    """Read one event object or an array of them. Raises 400, or 422 with the path of the fault."""
    if body[:3] == BOM_UTF8:
        body = body[3:]
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        if len(body) > _SMALLEST_EVENT * limits.append_events:
            _check_count(len(decoded(_raws, body)), limits)
        events = decoded(_events, body)
        return tuple([_encoded(e, f"$[{n}]", limits) for n, e in enumerate(events)])
    return (_encoded(decoded(_event, body), "$", limits),)


def decode_appends(
    body: bytes, limits: Limits
) -> tuple[list[EncodedAppend], AppendCondition | None]:
    """Read the body of POST /appends."""
    request = decoded(_appends, body)
    _check_count(sum([len(append.events) for append in request.appends]), limits)
    encoded = []
    for n, append in enumerate(request.appends):
        path = f"$.appends[{n}]"
        stream_name = located(f"{path}.stream", check_stream_name, append.stream)
        expected = append.expected_revision
        word = _WORDS[expected] if isinstance(expected, str) else expected
        code = located(f"{path}.expected_revision", revision_code, word)
        events = [
            _encoded(event, f"{path}.events[{i}]", limits) for i, event in enumerate(append.events)
        ]
        encoded.append(EncodedAppend(stream_name, code, tuple(events)))
    return encoded, _condition(request.condition, limits)


def _check_count(events: int, limits: Limits) -> None:
    """Refuse too many events before any of them is looked at."""
    if events > limits.append_events:
        raise LimitExceeded(f"an append has at most {limits.append_events} events: {events}")


def located(path: str, check: Callable[[T], R], value: T) -> R:
    """Check a value; a fault carries the path."""
    try:
        return check(value)
    except InvalidInput as fault:
        raise InvalidInput(fault.problem, path=path) from None


def _condition(condition: ConditionIn | None, limits: Limits) -> AppendCondition | None:
    if condition is None:
        return None
    if not 0 <= condition.after < 2**63:
        raise InvalidInput("a position is 0 or more", path="$.condition.after")
    query = EventQuery.from_json(
        condition.none_matching, path="$.condition.none_matching", limits=limits
    )
    return AppendCondition(query, condition.after)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a body. Raises 400 if it is not JSON, and 422 with the path of the fault."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as fault:
        problem, _, path = str(fault).partition(" - at `")
        raise InvalidInput(problem, path=path.rstrip("`") or "$") from None
    except msgspec.DecodeError as fault:
        if body[:3] == BOM_UTF8:  # some editors and libraries begin with it
            return decoded(decoder, body[3:])
        looks = next((what for start, what in _KINDS if body.startswith(start)), fault)
        raise HttpError("malformed-request", f"the body is not JSON: {looks}") from None
    except UnicodeDecodeError:
        raise HttpError("malformed-request", "the body is not UTF-8") from None
    except RecursionError:
        raise InvalidInput("nested too deep") from None


def _encoded(event: EventIn, path: str, limits: Limits) -> EncodedEvent:
    data = raw_text(event.data, f"{path}.data")
    metadata = "{}" if event.metadata is _EMPTY else raw_text(event.metadata, f"{path}.metadata")
    if metadata[:1] != "{":
        raise InvalidInput("metadata is an object", path=f"{path}.metadata")
    return encoded_event(event.type, data, metadata, event.id, event.tags, path=path, limits=limits)


def raw_text(raw: msgspec.Raw, path: str) -> str:
    """Give raw JSON as checked text."""
    try:
        text = str(raw, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("not UTF-8", path=path) from None
    check_json_text(text, path=path)
    return text


def appended_out(appended: Appended) -> AppendedOut:
    """Give the wire form of where an append was stored."""
    return AppendedOut(
        appended.stream_name,
        appended.first_revision,
        appended.revision,
        appended.position,
        appended.event_ids,
    )


def event_json(event: RecordedEvent) -> str:
    """Give an event as one line of JSON."""
    position, stream_name, revision, event_id, event_type, data, metadata, tags, recorded_at = event
    tag_list = ",".join(map(encode_basestring, tags)) if tags else ""
    # This runs for every event that is read: `time_text` without the call.
    at = recorded_at.astimezone(UTC).isoformat("T", "microseconds")
    return (
        f'{{"position":{position},"stream":{encode_basestring(stream_name)},"revision":{revision},'
        f'"id":"{event_id}","type":{encode_basestring(event_type)},"data":{data},'
        f'"metadata":{metadata},"tags":[{tag_list}],"recorded_at":"{at}"}}'
    )


def page_json(events: Sequence[RecordedEvent], head: int) -> bytes:
    """Give a page of events."""
    return f'{{"events":[{",".join(map(event_json, events))}],"head":{head}}}'.encode()


def ndjson(events: Sequence[RecordedEvent]) -> bytes:
    """Give events one a line."""
    return "".join([event_json(event) + "\n" for event in events]).encode()
