"""Requests to append, out of what callers give: checked, with an id for every event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eventstore.core.append import (
    Append,
    AppendRequest,
    EncodedAppend,
    encode_append,
    make_request,
)
from eventstore.core.events import EventData
from eventstore.core.limits import Limits
from eventstore.core.query import AppendCondition
from eventstore.core.revisions import ExpectedRevision
from eventstore.ids import new_event_ids


def request_one(
    stream_name: str,
    events: EventData | Sequence[EventData],
    expected_revision: ExpectedRevision,
    *,
    idempotency_key: str | None,
    limits: Limits,
) -> AppendRequest:
    """Make the request of `append`. Raises InvalidInput."""
    encoded = encode_append(stream_name, events, expected_revision, limits=limits)
    return request_encoded([encoded], idempotency_key=idempotency_key, limits=limits)


def request_many(
    appends: Iterable[Append],
    *,
    condition: AppendCondition | None,
    idempotency_key: str | None,
    limits: Limits,
) -> AppendRequest:
    """Make the request of `append_many`. Raises InvalidInput, which names the append."""
    encoded = [
        encode_append(
            append.stream_name,
            append.events,
            append.expected_revision,
            path=f"$.appends[{n}].events",
            limits=limits,
        )
        for n, append in enumerate(appends)
    ]
    return request_encoded(
        encoded, condition=condition, idempotency_key=idempotency_key, limits=limits
    )


def request_encoded(
    appends: Sequence[EncodedAppend],
    *,
    condition: AppendCondition | None = None,
    idempotency_key: str | None = None,
    limits: Limits,
) -> AppendRequest:
    """Make one request of appends that are checked already. Raises InvalidInput."""
    count = sum([len(append.events) for append in appends])
    return make_request(
        appends,
        new_ids=new_event_ids(count) if idempotency_key is None else None,
        idempotency_key=idempotency_key,
        condition=condition,
        limits=limits,
    )
