"""Group commit, the pure part: which requests share a transaction, and their form in SQL.

The rules, and the reason for each:
- A stream is named by one request of a batch, unless the later ones expect ANY: an expected
  revision is compared with the head before the batch.
- An event id is in one request of a batch: the second copy of a retry must see the first stored.
- A condition goes with no earlier event of the batch that it would have to see.
- Requests that name the same stream keep their order: one that has to wait makes later ones wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from eventstore.core.append import Appended, AppendRequest
from eventstore.core.errors import EventStoreError, refusal_from
from eventstore.core.events import EncodedEvent
from eventstore.core.query import AppendCondition
from eventstore.core.revisions import ANY

MAX_BATCH_EVENTS: Final = 1_000
"""Beyond some hundred events a larger batch is not faster, it only makes others wait longer."""
MAX_BATCH_BYTES: Final = 8 << 20


class _Proxy(NamedTuple):
    stream_name: str
    event_type: str
    tags: tuple[str, ...]


class Batch:
    """Requests that share a transaction. `accept` says whether one more may join."""

    def __init__(
        self, *, max_events: int = MAX_BATCH_EVENTS, max_bytes: int = MAX_BATCH_BYTES
    ) -> None:
        self.requests: list[AppendRequest] = []
        self._streams: set[str] = set()
        self._waiting_streams: set[str] = set()
        self._ids: set[str] = set()
        self._events_left = max_events
        self._bytes_left = max_bytes

    def accept(self, request: AppendRequest) -> bool:
        """Take the request into the batch, or note that it waits for the next one."""
        if self._may_join(request):
            self.requests.append(request)
            for append in request.appends:
                self._streams.add(append.stream_name)
            self._events_left -= len(request.event_ids)
            self._bytes_left -= request.size
            if request.ids_known:
                self._ids.update(request.event_ids)
            return True
        self._waiting_streams.update(append.stream_name for append in request.appends)
        return False

    @property
    def is_full(self) -> bool:
        """Whether looking for more requests is of no use."""
        return self._events_left <= 0 or self._bytes_left <= 0

    def _may_join(self, request: AppendRequest) -> bool:
        if not self.requests:
            return not self._waiting_streams
        if len(request.event_ids) > self._events_left or request.size > self._bytes_left:
            return False
        for append in request.appends:
            if append.stream_name in self._waiting_streams:
                return False
            if append.stream_name in self._streams and append.expected != ANY.code:
                return False
        if request.ids_known and not self._ids.isdisjoint(request.event_ids):
            return False
        return request.condition is None or not self._has_match(request.condition)

    def _has_match(self, condition: AppendCondition) -> bool:
        return any(
            condition.none_matching.matches(
                _Proxy(append.stream_name, event.event_type, event.tags)
            )
            for request in self.requests
            for append in request.appends
            for event in append.events
        )


def columns(
    requests: Sequence[AppendRequest], *, look_up_ids: bool | None = None
) -> tuple[Any, ...]:
    """Give the arguments of `append_v1` for a batch: arrays, so that its text never changes.

    `look_up_ids` defaults to whether any request brings ids of its own.
    """
    append_request: list[int] = []
    append_stream: list[str] = []
    append_expected: list[int] = []
    event_append: list[int] = []
    events: list[EncodedEvent] = []
    ids: list[str] = []
    for number, request in enumerate(requests, 1):
        for append in request.appends:
            append_request.append(number)
            append_stream.append(append.stream_name)
            append_expected.append(append.expected)
            event_append += [len(append_request)] * len(append.events)
            events += append.events
        ids += request.event_ids
    types, data, metadata, _, tags, _ = map(list, zip(*events, strict=True))
    conditions = [(n, r.condition) for n, r in enumerate(requests, 1) if r.condition is not None]
    return (
        append_request,
        append_stream,
        append_expected,
        event_append,
        ids,
        types,
        data,
        metadata,
        [array_literal(names) if names else None for names in tags] if any(tags) else None,
        any(r.ids_known for r in requests) if look_up_ids is None else look_up_ids,
        [n for n, _ in conditions] or None,
        [condition.none_matching.to_json() for _, condition in conditions] or None,
        [condition.after for _, condition in conditions] or None,
    )


def array_literal(names: Iterable[str]) -> str:
    """Write a PostgreSQL text[] literal: arrays of arrays cannot be ragged, texts can."""
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return '{"' + '","'.join(quoted) + '"}'


Outcome = tuple[Appended, ...] | EventStoreError
"""What one request is told: an Appended for each of its appends, or why it was refused."""

_SQLSTATES: Final[Mapping[str, str]] = {
    "revision_conflict": "ST001",
    "duplicate_event_id": "ST002",
    "condition_failed": "ST003",
    "idempotency_conflict": "ST013",
}


def outcomes(requests: Sequence[AppendRequest], rows: Iterable[Sequence[Any]]) -> list[Outcome]:
    """Read the result of `append_v1` back: one row for each append, in order."""
    next_row: Callable[[], Sequence[Any]] = iter(rows).__next__
    told: list[Outcome] = []
    for request in requests:
        row = next_row()
        if len(request.appends) == 1 and row[0] == "appended":  # nearly always
            _, first_revision, revision, position, _ = row
            stream_name = request.appends[0].stream_name
            ids = tuple(request.event_ids)
            told.append((Appended(stream_name, first_revision, revision, position, ids),))
        else:
            told.append(_outcome(request, [row, *(next_row() for _ in request.appends[1:])]))
    return told


def _outcome(request: AppendRequest, rows: Sequence[Sequence[Any]]) -> Outcome:
    done = []
    ids = iter(request.event_ids)
    refusal: EventStoreError | None = None
    for append, (outcome, first_revision, revision, position, facts) in zip(
        request.appends, rows, strict=True
    ):
        if outcome in ("appended", "replayed"):
            done.append(
                Appended(
                    append.stream_name,
                    first_revision,
                    revision,
                    position,
                    tuple(islice(ids, len(append.events))),
                    outcome == "replayed",
                )
            )
        elif refusal is None and outcome != "not_appended":
            # A key stands for all that was sent with it: more events are other content.
            by_key = outcome == "duplicate_event_id" and request.idempotency_key is not None
            refusal = refusal_from(
                _SQLSTATES["idempotency_conflict" if by_key else outcome], json.loads(facts)
            )
    return tuple(done) if refusal is None else refusal
