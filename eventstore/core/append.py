"""An append: what a caller asks for, and what it is told."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from eventstore.core.errors import (
    EventStoreError,
    IdempotencyConflict,
    InvalidInput,
    LimitExceeded,
)
from eventstore.core.events import EncodedEvent, EventData, encode_event
from eventstore.core.limits import DEFAULT_LIMITS, Limits
from eventstore.core.query import AppendCondition
from eventstore.core.revisions import ANY, ExpectedRevision, revision_code
from eventstore.core.streams import check_stream_name

MAX_KEY_LENGTH: Final = 255
_KEY_NAMESPACE: Final = uuid.UUID("0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42")


@dataclass(slots=True)
class Append:
    """What is for one stream, one of several appends that are stored together or not at all."""

    stream_name: str
    events: EventData | Sequence[EventData]
    expected_revision: ExpectedRevision = ANY


class Appended(NamedTuple):
    """Where an append was stored.

    `first_revision` to `revision` are its events' revisions, `position` is the last one's place in
    the log. `replayed` is True when this append had been stored before and this is its first
    answer again. `unapplied` is why the projection that was waited for has not applied it, None if
    it has, or if none was named.
    """

    stream_name: str
    first_revision: int
    revision: int
    position: int
    event_ids: tuple[str, ...]
    replayed: bool = False
    unapplied: EventStoreError | None = None


class EncodedAppend(NamedTuple):
    """An append that is checked and ready for SQL; `expected` is a revision code."""

    stream_name: str
    expected: int
    events: tuple[EncodedEvent, ...]


class AppendRequest(NamedTuple):
    """What one caller asks for: stored as a whole or not at all.

    `event_ids` are the ids of all events, in order; `ids_known` says that they are the caller's,
    or derived from its `idempotency_key`, so that they may be stored already. `size` is characters
    of JSON text.
    """

    appends: tuple[EncodedAppend, ...]
    event_ids: Sequence[str]
    ids_known: bool
    size: int
    condition: AppendCondition | None = None
    idempotency_key: str | None = None


def encode_append(
    stream_name: str,
    events: EventData | Sequence[EventData],
    expected_revision: ExpectedRevision = ANY,
    *,
    path: str = "$",
    limits: Limits = DEFAULT_LIMITS,
) -> EncodedAppend:
    """Check an append and give it in the form that SQL takes. Raises InvalidInput."""
    if isinstance(events, EventData):
        events = [events]
    elif isinstance(events, Mapping) or not isinstance(events, Iterable):
        raise InvalidInput(
            f"give EventData('SomeType', {{...}}), or a list of them: {events!r:.60}", path=path
        )
    return EncodedAppend(
        check_stream_name(stream_name),
        revision_code(expected_revision),
        tuple(
            [
                encode_event(event, path=f"{path}[{n}]", limits=limits)
                for n, event in enumerate(events)
            ]
        ),
    )


def make_request(
    appends: Iterable[EncodedAppend],
    *,
    new_ids: Sequence[str] | None = None,
    idempotency_key: str | None = None,
    condition: AppendCondition | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AppendRequest:
    """Put checked appends together as one request, and give every event its id.

    The ids are the caller's, or derived from `idempotency_key` (UUIDv5 over stream, key and the
    event's index in that stream, so that the order of streams does not matter), or taken from
    `new_ids`, which must have one for each event.
    Raises InvalidInput if the whole does not fit together, LimitExceeded if it is too large.
    """
    appends = tuple(appends)
    events: Sequence[EncodedEvent]
    if len(appends) == 1:
        events = appends[0].events
    else:
        events = [event for append in appends for event in append.events]
    size = _check_whole(appends, events, limits)
    given = [event.event_id for event in events if event.event_id is not None]
    ids: Sequence[str] = given
    if given:
        if idempotency_key is not None:
            raise InvalidInput("give event ids or an idempotency key, not both")
        if len(given) != len(events):
            raise InvalidInput("give an id for every event of an append, or for none")
        if len(set(given)) != len(given):
            raise InvalidInput("two events of an append have the same id")
    elif idempotency_key is not None:
        ids = derived_ids(appends, idempotency_key)
    elif new_ids is not None:
        ids = new_ids
    else:
        raise ValueError("ids are needed: given, derived or new")
    ids_known = bool(given) or idempotency_key is not None
    return AppendRequest(appends, ids, ids_known, size, condition, idempotency_key)


def derived_ids(appends: Sequence[EncodedAppend], idempotency_key: str) -> list[str]:
    """Give the ids that an idempotency key stands for, one for each event, in order."""
    if not 1 <= len(idempotency_key) <= MAX_KEY_LENGTH:
        raise InvalidInput(f"an idempotency key is 1 to {MAX_KEY_LENGTH} characters")
    indexes: defaultdict[str, count[int]] = defaultdict(count)
    return [
        derived_id(append.stream_name, idempotency_key, next(indexes[append.stream_name]))
        for append in appends
        for _ in append.events
    ]


def next_ids(request: AppendRequest) -> list[str]:
    """Return the ids that one more event of each stream would have by the request's key.

    One that is stored says that more events were sent with the key before.
    """
    key = request.idempotency_key
    if key is None:
        return []
    sizes: Counter[str] = Counter()
    for append in request.appends:
        sizes[append.stream_name] += len(append.events)
    return [derived_id(stream, key, size) for stream, size in sizes.items()]


def refuse_longer(stored: Iterable[Iterable[Any]]) -> None:
    """Raise IdempotencyConflict if one of `next_ids` is stored: a row of id, stream, position."""
    for event_id, stream_name, position in stored:
        raise IdempotencyConflict(event_id, stream_name, position)


def derived_id(stream_name: str, key: str, index: int) -> str:
    """Return the id that a key stands for in a stream: UUIDv5 over them and the event's index."""
    return str(uuid.uuid5(_KEY_NAMESPACE, f"{stream_name}\n{key}\n{index}"))


def _check_whole(
    appends: Sequence[EncodedAppend], events: Sequence[EncodedEvent], limits: Limits
) -> int:
    if not appends or not all(append.events for append in appends):
        raise InvalidInput("an append has at least one event")
    if len(events) > limits.append_events:
        raise LimitExceeded(f"an append has at most {limits.append_events} events: {len(events)}")
    size = sum([event.size for event in events])
    if size > limits.append_bytes:
        raise LimitExceeded(f"an append has at most {limits.append_bytes} bytes")
    if len(appends) > 1:
        seen: set[str] = set()
        for append in appends:
            if append.stream_name in seen and append.expected != ANY.code:
                raise InvalidInput(
                    f"stream {append.stream_name!r} is named twice: only its first append may "
                    "expect a revision, the others must expect any"
                )
            seen.add(append.stream_name)
    return size
