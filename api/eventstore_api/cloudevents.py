"""CloudEvents 1.0 (JSON format) in and out.

In: `type` is the event type; `id` is the event id if it is a UUID, else a UUIDv5 of source and id
(CloudEvents says that source and id together are unique, so a retry is the same append); `data` is
the data; everything else is kept in metadata under `cloudevents`. Out: what came in comes back
out; an event that was not a CloudEvent gets the store as source and its stream as subject.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final

import msgspec

from eventstore import InvalidInput, Limits, RecordedEvent
from eventstore.core.events import EncodedEvent, encoded_event
from eventstore.core.jsontext import encode_json
from eventstore.core.times import time_text
from eventstore_api.problems import HttpError
from eventstore_api.wire import raw_text

_ID_NAMESPACE: Final = uuid.UUID("0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852")
_REQUIRED: Final = ("specversion", "id", "source", "type")
_OWN_EXTENSIONS: Final = ("position", "revision", "stream", "recordedat", "tags")
_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def decode_cloudevents(body: bytes, limits: Limits, *, batch: bool) -> tuple[EncodedEvent, ...]:
    """Read one CloudEvent, or a batch of them. Raises 400, or 422 with the path of the fault."""
    try:
        found = _raws.decode(body) if batch else [_raw.decode(body)]
    except msgspec.ValidationError as fault:
        raise InvalidInput(str(fault), path="$") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise HttpError("malformed-request", f"the body is not JSON: {fault}") from None
    except RecursionError:
        raise InvalidInput("nested too deep", path="$") from None
    return tuple(
        [_encoded(raw, f"$[{n}]" if batch else "$", limits) for n, raw in enumerate(found)]
    )


def _encoded(raw: dict[str, msgspec.Raw], path: str, limits: Limits) -> EncodedEvent:
    raw = dict(raw)
    data = raw.pop("data", None)
    if "data_base64" in raw:
        raise InvalidInput("data_base64 is not stored: send JSON data", path=path)
    attributes: dict[str, Any] = {}
    for name, value in raw.items():
        attributes[name] = json.loads(raw_text(value, f"{path}.{name}"))
    for name in _REQUIRED:
        value = attributes.pop(name, None)
        if not isinstance(value, str) or not value:
            raise InvalidInput("a required attribute, text", path=f"{path}.{name}")
        attributes[name] = value
    if attributes.pop("specversion") != "1.0":
        raise InvalidInput("the version is 1.0", path=f"{path}.specversion")
    event_type = attributes.pop("type")
    tags = attributes.pop("tags", "")
    if not isinstance(tags, str):
        raise InvalidInput("tags are one text, separated by commas", path=f"{path}.tags")
    for name in _OWN_EXTENSIONS:
        attributes.pop(name, None)
    return encoded_event(
        event_type,
        "null" if data is None else raw_text(data, f"{path}.data"),
        encode_json({"cloudevents": attributes}, path=path),
        _event_id(attributes["source"], attributes["id"]),
        [tag for tag in tags.split(",") if tag],
        path=path,
        limits=limits,
    )


def _event_id(source: str, identity: str) -> str:
    try:
        return str(uuid.UUID(identity))
    except ValueError:
        return str(uuid.uuid5(_ID_NAMESPACE, f"{source}\n{identity}"))


def _came_with(event: RecordedEvent) -> dict[str, Any]:
    """Give the attributes with which the event came as a CloudEvent; none if it did not.

    Metadata is the appender's own: what only looks like attributes must not make a bad CloudEvent.
    """
    kept = event.metadata.get("cloudevents")
    if not isinstance(kept, dict):
        return {}
    if not all(isinstance(kept.get(name), str) and kept[name] for name in ("id", "source")):
        return {}
    return {name: value for name, value in kept.items() if name not in ("data", "data_base64")}


def cloudevent_json(event: RecordedEvent, store_id: str) -> str:
    """Give an event as a CloudEvent."""
    attributes = {
        "id": str(event.event_id),
        "source": f"urn:eventstore:{store_id}",
        "subject": event.stream_name,
        "time": time_text(event.recorded_at),
        "datacontenttype": "application/json",
        **_came_with(event),
        "specversion": "1.0",
        "type": event.event_type,
        "stream": event.stream_name,
        "revision": event.revision,
        # CloudEvents integers are 32 bits wide; a position need not fit.
        "position": str(event.position),
        "recordedat": time_text(event.recorded_at),
    }
    if event.tags:
        attributes["tags"] = ",".join(event.tags)
    members = ",".join(
        f"{encode_basestring(name)}:{encode_json(value)}" for name, value in attributes.items()
    )
    return f'{{{members},"data":{event.data_json}}}'


def cloudevents_json(events: Sequence[RecordedEvent], store_id: str) -> bytes:
    """Give events as a batch of CloudEvents."""
    return f"[{','.join([cloudevent_json(event, store_id) for event in events])}]".encode()
