"""CloudEvents 1.0.2 in the JSON format, in and out.

In: `type` is the event type, `data` the data, `tags` the tags; source and id together stand for the
event id. Every attribute but the type is kept in metadata under `cloudevents`, as it came. Out: a
CloudEvent that came in has the attributes with which it came, and the store's own (`stream`,
`revision`, `position`, `recordedat`, `tags`) where those names are free. An event that was no
CloudEvent has the store as source, its event id as id, and its stream as subject.

Metadata is the appender's own: what only looks like attributes is left alone.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

import msgspec

from eventstore import InvalidInput, LimitExceeded, Limits, RecordedEvent
from eventstore.core.events import EncodedEvent, encoded_event
from eventstore.core.jsontext import encode_json
from eventstore.core.times import time_text
from eventstore_api.cloudevent_attributes import (
    FORBIDDEN,
    SPECVERSION,
    Attributes,
    Value,
    check_attributes,
    event_id_of,
    tag_list,
    tags_of,
)
from eventstore_api.json_members import members_of
from eventstore_api.problems import HttpError
from eventstore_api.wire import raw_text

KEPT: Final = "cloudevents"
"""The member of metadata that holds the attributes with which an event came."""
_BASE64: Final = "data_base64"
"""Marks there, whose names no attribute can have: the data are bytes, in base64 ..."""
_NO_DATA: Final = "no_data"
"""... or there were none, which is not the same as null."""
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NULL: Final = msgspec.Raw(b"null")


class Data(NamedTuple):
    """Data of a CloudEvent as JSON text; `mark` says what that stands for, if not for itself."""

    text: str
    mark: str | None = None


NO_DATA: Final = Data("null", _NO_DATA)


def bytes_data(content: bytes) -> Data:
    """Return bytes as data."""
    return Data(f'"{base64.b64encode(content).decode()}"', _BASE64)


def decode_cloudevents(
    body: bytes, limits: Limits, *, batch: bool, headers: Attributes | None = None
) -> tuple[EncodedEvent, ...]:
    """Read one CloudEvent, or a batch of them. Raises 400, or 422 with the path of the fault.

    `headers` are attributes that ce- headers repeat: one that says something else is refused.
    """
    path = "$"
    events = []
    try:
        raws = _raws.decode(body) if batch else [body]
        if len(raws) > limits.append_events:  # before any of them is looked at
            raise LimitExceeded(f"an append has at most {limits.append_events} events: {len(raws)}")
        for n, raw in enumerate(raws):
            path = f"$[{n}]" if batch else "$"
            events.append(_decoded(members_of(raw, path), f"{path}.", limits, headers or {}))
    except msgspec.ValidationError as fault:
        raise InvalidInput(str(fault), path=path) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise HttpError("malformed-request", f"the body is not JSON: {fault}") from None
    except RecursionError:
        raise InvalidInput("nested too deep", path=path) from None
    return tuple(events)


def _decoded(
    raw: dict[str, msgspec.Raw], place: str, limits: Limits, headers: Attributes
) -> EncodedEvent:
    data = _data(raw, place)
    attributes = check_attributes(
        {
            name: json.loads(raw_text(value, place + name))
            for name, value in raw.items()
            if name not in ("data", _BASE64)
        },
        place,
    )
    for name, value in headers.items():
        if value != _canonical(attributes.get(name)):
            raise HttpError("malformed-request", f"header ce-{name[:60]} is not what the body says")
    return encoded_cloudevent(attributes, data, place, limits)


def _data(raw: dict[str, msgspec.Raw], place: str) -> Data:
    encoded, data = raw.get(_BASE64, _NULL), raw.get("data")
    if encoded == _NULL:
        return NO_DATA if data is None else Data(raw_text(data, f"{place}data"))
    if data is not None and data != _NULL:
        raise InvalidInput("a CloudEvent has data or data_base64, not both", path=place + _BASE64)
    text = raw_text(encoded, place + _BASE64)
    if not _is_base64(json.loads(text)):
        raise InvalidInput("text in base64 (RFC 4648), with padding", path=place + _BASE64)
    return Data(text, _BASE64)


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def _canonical(value: Value | None) -> str | None:
    """Return an attribute's value as text, as headers have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def encoded_cloudevent(
    attributes: Attributes, data: Data, place: str, limits: Limits
) -> EncodedEvent:
    """Return an event to append, of checked attributes. Raises InvalidInput and LimitExceeded."""
    kept: dict[str, Any] = {
        name: value for name, value in attributes.items() if name not in ("specversion", "type")
    }
    if data.mark is not None:
        kept[data.mark] = True
    event_type, tags = str(attributes["type"]), attributes.get("tags")
    # Foreign events may have anything that CloudEvents allow in an attribute of that name.
    listed = tags_of(tags) if isinstance(tags, str) else []
    try:
        return encoded_event(
            event_type,
            data.text,
            encode_json({KEPT: kept}),
            event_id_of(str(attributes["source"]), str(attributes["id"])),
            listed,
            path="",
            limits=limits,
        )
    except InvalidInput as fault:  # named by the event's own members
        whole = place[:-1] if place.endswith(".") else ""
        path = place + fault.path.removeprefix(".") if fault.path else whole
        raise type(fault)(fault.problem, path=path) from None


def cloudevent_json(event: RecordedEvent, store_id: str) -> str:
    """Return an event as a CloudEvent, which is always a valid one."""
    kept = _kept(event)
    at = time_text(event.recorded_at)
    stream_name = _allowed(event.stream_name)
    attributes: dict[str, Any] = {
        "specversion": SPECVERSION,
        "type": _allowed(event.event_type),
        "stream": stream_name,
        # CloudEvents integers are 32 bits wide, which a position need not fit.
        "revision": event.revision if event.revision < 2**31 else str(event.revision),
        "position": str(event.position),
        "recordedat": at,
    }
    if event.tags:
        attributes["tags"] = _allowed(tag_list(event.tags))
    if kept is None:
        attributes |= {
            "id": str(event.event_id),
            "source": f"urn:eventstore:{store_id}",
            "subject": stream_name,
            "time": at,
            "datacontenttype": "application/json",
        }
        data = f',"data":{event.data_json}'
    else:
        data = _data_member(event, kept)
        attributes |= kept
    members = ",".join(
        [f"{encode_basestring(name)}:{encode_json(value)}" for name, value in attributes.items()]
    )
    return f"{{{members}{data}}}"


def _kept(event: RecordedEvent) -> dict[str, Any] | None:
    """Return what was kept when the event came as a CloudEvent; None if it did not."""
    if f'"{KEPT}"' not in event.metadata_json:
        return None
    kept = event.metadata.get(KEPT)
    if not isinstance(kept, dict):
        return None
    marks = {name: kept[name] for name in (_BASE64, _NO_DATA) if kept.get(name) is True}
    attributes = {name: value for name, value in kept.items() if name not in marks}
    try:
        checked = check_attributes(
            attributes | {"specversion": SPECVERSION, "type": _allowed(event.event_type)}, "."
        )
    except InvalidInput:
        return None
    del checked["specversion"], checked["type"]
    return checked | marks


def _data_member(event: RecordedEvent, kept: dict[str, Any]) -> str:
    """Return the member that holds the data, and take the marks out that say which it is."""
    is_base64, is_none = kept.pop(_BASE64, False), kept.pop(_NO_DATA, False)
    if is_none and event.data_json == "null":
        return ""
    name = _BASE64 if is_base64 and _is_base64(event.data) else "data"
    return f',"{name}":{event.data_json}'


def _allowed(text: str) -> str:
    """Return text without the characters that the store takes in names and CloudEvents forbid."""
    return FORBIDDEN.sub("\ufffd", text)


def cloudevents_json(events: Sequence[RecordedEvent], store_id: str) -> bytes:
    """Return events as a batch of CloudEvents."""
    return f"[{','.join([cloudevent_json(event, store_id) for event in events])}]".encode()
