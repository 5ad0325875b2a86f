"""Events and appends as the service writes and reads them.

Data and metadata go through as text in both directions, so that numbers keep every digit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from json.encoder import encode_basestring
from typing import Any, Final
from uuid import UUID

import msgspec

from eventstore.client.problems import refusal
from eventstore.core.append import Appended, AppendRequest
from eventstore.core.delivery import Delivery
from eventstore.core.errors import EventStoreError, Unavailable, expectation_name
from eventstore.core.events import EncodedEvent, RecordedEvent
from eventstore.core.readtables import TablePage
from eventstore.core.revisions import ANY, NO_STREAM, STREAM_EXISTS
from eventstore.core.streams import path_segment
from eventstore.core.times import time_text

NDJSON: Final = "application/x-ndjson"
_PLAIN_KEY: Final = re.compile(r"[ !#-\[\]-~]+").fullmatch
"""A key that every HTTP library sends as it is. For others the ids that they stand for are sent."""
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]').finditer
CUT_SHORT: Final = "the service's answer is cut short: read on after the last event"


class _Event(msgspec.Struct):
    position: int
    stream: str
    revision: int
    id: UUID
    type: str
    data: msgspec.Raw
    metadata: msgspec.Raw
    tags: list[str]
    recorded_at: datetime


class _Wait(msgspec.Struct):
    reached: bool
    problem: dict[str, Any] = {}


class _Appended(msgspec.Struct):
    stream: str
    first_revision: int
    revision: int
    position: int
    event_ids: tuple[str, ...]
    wait: _Wait | None = None


class _AppendedMany(msgspec.Struct):
    appends: list[_Appended]
    wait: _Wait | None = None


class _Rows(msgspec.Struct):
    rows: list[msgspec.Raw]
    position: int


class _Delivery(msgspec.Struct):
    id: str
    attempt: int
    leased_until: datetime
    event: _Event


class _Deliveries(msgspec.Struct):
    deliveries: list[_Delivery]


_one_event: Final = msgspec.json.Decoder(_Event)
_one_appended: Final = msgspec.json.Decoder(_Appended)
_many_appended: Final = msgspec.json.Decoder(_AppendedMany)
_rows: Final = msgspec.json.Decoder(_Rows)
_deliveries: Final = msgspec.json.Decoder(_Deliveries)


def decode_event(text: bytes) -> RecordedEvent:
    """Read one event."""
    try:
        return _recorded(_one_event.decode(text))
    except RecursionError:
        return _deep(text.decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not an event: {fault}") from fault


def decode_lines(text: bytes) -> list[RecordedEvent]:
    """Read events, one a line."""
    try:
        return list(map(_recorded, _one_event.decode_lines(text)))
    except RecursionError:
        return [decode_event(line) for line in text.splitlines()]
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not events: {fault}") from fault


def _deep(text: str) -> RecordedEvent:
    """Read an event whose data or metadata are nested too deep for a decoder: they stay text."""
    depth, name, begin = 0, "", 1
    kept = {}
    shallow = []
    for token in _TOKENS(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if (token[0] == "," and depth == 1) or depth == 0:  # a member has ended
            key, _, value = text[begin : token.start()].partition(":")
            name, begin = json.loads(key), token.end()
            if name in ("data", "metadata"):
                kept[name], value = value, "null"
            shallow.append(f"{key}:{value}")
    event = _one_event.decode("{" + ",".join(shallow) + "}")
    return _recorded(event)._replace(data_json=kept["data"], metadata_json=kept["metadata"])


class EventLines:
    """Takes the bytes of an NDJSON answer as they come, and gives its events, at most `limit`."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._rest = b""

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left == 0

    def events(self, chunk: bytes) -> list[RecordedEvent]:
        """Give the events that this piece completes."""
        lines, end, rest = chunk.rpartition(b"\n")
        if not end:
            self._rest += chunk
            return []
        found = decode_lines(self._rest + lines)
        self._rest = rest
        if self._left is not None:
            found = found[: self._left]
            self._left -= len(found)
        return found

    def end(self) -> None:
        """Say that no more comes. Raises Unavailable if there had to."""
        if self._rest:
            raise Unavailable(CUT_SHORT)


def _recorded(event: _Event) -> RecordedEvent:
    return RecordedEvent(
        event.position,
        event.stream,
        event.revision,
        event.id,
        event.type,
        str(event.data, "utf-8"),
        str(event.metadata, "utf-8"),
        event.tags,
        event.recorded_at,
    )


def encode_event(event: RecordedEvent) -> str:
    """Write an event as one line of JSON, as the service does; without the line's end."""
    position, stream_name, revision, event_id, event_type, data, metadata, tags, recorded_at = event
    tag_list = ",".join(map(encode_basestring, tags))
    return (
        f'{{"position":{position},"stream":{encode_basestring(stream_name)},"revision":{revision},'
        f'"id":"{event_id}","type":{encode_basestring(event_type)},"data":{data},'
        f'"metadata":{metadata},"tags":[{tag_list}],"recorded_at":"{time_text(recorded_at)}"}}'
    )


def encode_append(request: AppendRequest) -> tuple[str, Mapping[str, str], bytes]:
    """Give the path, headers and body of an append: one stream's own resource where that will do.

    It carries its key, or every event its id, so that sending it again is the same append.
    """
    headers = {"content-type": "application/json"}
    ids: Iterator[str] | None = iter(request.event_ids)
    if (key := request.idempotency_key) is not None and _PLAIN_KEY(key):
        headers["idempotency-key"], ids = f'"{key}"', None
    if len(request.appends) == 1 and request.condition is None:
        [append] = request.appends
        headers |= _expectation(append.expected)
        return stream_path(append.stream_name), headers, _events(append.events, ids).encode()
    appends = ",".join(
        f'{{"stream":{encode_basestring(append.stream_name)},'
        f'"expected_revision":{_json_expectation(append.expected)},'
        f'"events":{_events(append.events, ids)}}}'
        for append in request.appends
    )
    condition = request.condition
    tail = (
        ""
        if condition is None
        else f',"condition":{{"none_matching":{condition.none_matching.to_json()},'
        f'"after":{condition.after}}}'
    )
    return "/appends", headers, f'{{"appends":[{appends}]{tail}}}'.encode()


def decode_appended(request: AppendRequest, body: bytes, *, replayed: bool) -> tuple[Appended, ...]:
    """Read the answer to `encode_append`."""
    try:
        if len(request.appends) == 1 and request.condition is None:
            answers = [_one_appended.decode(body)]
            wait = answers[0].wait
        else:
            many = _many_appended.decode(body)
            answers, wait = many.appends, many.wait
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not one to an append: {fault}") from fault
    unapplied = None
    if wait is not None and not wait.reached:
        unapplied = refusal(int(wait.problem.get("status", 503)), wait.problem).error
    return tuple(
        Appended(
            a.stream, a.first_revision, a.revision, a.position, a.event_ids, replayed, unapplied
        )
        for a in answers
    )


def decode_rows(body: bytes, *, offset: int, more: bool) -> TablePage:
    """Read a page of a read table."""
    try:
        page = _rows.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not rows: {fault}") from fault
    rows = b",".join(map(bytes, page.rows)).decode()
    return TablePage(f"[{rows}]", page.position, offset + len(page.rows) if more else None)


def decode_deliveries(body: bytes) -> list[Delivery]:
    """Read what was received."""
    try:
        found = _deliveries.decode(body).deliveries
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise EventStoreError(f"the service's answer is not deliveries: {fault}") from fault
    return [Delivery(d.id, d.attempt, d.leased_until, _recorded(d.event)) for d in found]


def stream_path(stream_name: str) -> str:
    """Give the path of a stream: its name as one percent-encoded segment."""
    return f"/streams/{path_segment(stream_name)}"


def _expectation(code: int) -> dict[str, str]:
    if code == ANY.code:
        return {}
    if code == NO_STREAM.code:
        return {"if-none-match": "*"}
    return {"if-match": "*" if code == STREAM_EXISTS.code else f'"{code}"'}


def _json_expectation(code: int) -> str:
    name = expectation_name(code)
    return str(name) if isinstance(name, int) else f'"{name}"'


def _events(events: tuple[EncodedEvent, ...], ids: Iterator[str] | None) -> str:
    if ids is None:
        return f"[{','.join([_event(event, '') for event in events])}]"
    pairs = zip(events, islice(ids, len(events)), strict=True)
    return f"[{','.join([_event(event, _id_member(i)) for event, i in pairs])}]"


def _id_member(event_id: str) -> str:
    return f'"id":"{event_id}",'


def _event(event: EncodedEvent, id_member: str) -> str:
    tags = f',"tags":[{",".join(map(encode_basestring, event.tags))}]' if event.tags else ""
    return (
        f'{{"type":{encode_basestring(event.event_type)},{id_member}'
        f'"data":{event.data},"metadata":{event.metadata}{tags}}}'
    )


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; empty if it is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
