"""Errors to RFC 9457 problem details: one table, used by every route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from eventstore import (
    AppendRefused,
    CommandRefused,
    ConditionFailed,
    ConsumerRefused,
    DeciderFailed,
    DefinitionChanged,
    DuplicateEventId,
    EventStoreError,
    HistoryRewound,
    IdempotencyConflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    ProjectionBehind,
    ProjectionRefused,
    ProjectionStopped,
    RevisionConflict,
    SchemaMismatch,
    StreamParked,
    Unavailable,
    UnreadableEvent,
)

PROBLEM_JSON: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:eventstore:problem:"


class HttpError(EventStoreError):
    """A fault of the request as HTTP, not of what it asks for. `slug` names it in PROBLEMS."""

    def __init__(self, slug: str, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.slug = slug
        self._facts = facts

    @property
    def facts(self) -> dict[str, Any]:
        return self._facts


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, the stable end of its type, and its title."""

    status: int
    slug: str
    title: str


_BY_ERROR: Final[tuple[tuple[type[EventStoreError], Kind], ...]] = (
    (RevisionConflict, Kind(412, "revision-conflict", "The stream is at another revision")),
    (ConditionFailed, Kind(412, "condition-failed", "The append condition is not met")),
    (IdempotencyConflict, Kind(409, "idempotency-conflict", "Other content came with that key")),
    (DuplicateEventId, Kind(409, "duplicate-event-id", "An event id is used already")),
    (HistoryRewound, Kind(409, "history-rewound", "The log does not have that position")),
    (DefinitionChanged, Kind(409, "definition-changed", "The projection has another definition")),
    (ConsumerRefused, Kind(409, "consumer-refused", "The consumer group refuses the operation")),
    (ProjectionRefused, Kind(409, "projection-refused", "The projection refuses the operation")),
    (ProjectionStopped, Kind(409, "projection-stopped", "The projection does not run")),
    (StreamParked, Kind(409, "stream-parked", "The projection holds the stream back")),
    (ProjectionBehind, Kind(503, "projection-behind", "The projection has not come there yet")),
    (AppendRefused, Kind(409, "append-refused", "The log refuses the append")),
    (CommandRefused, Kind(422, "command-refused", "The decider refuses the command")),
    (DeciderFailed, Kind(500, "decider-failed", "The decider failed")),
    (UnreadableEvent, Kind(409, "unreadable-event", "A stored event does not fit its type")),
    (LimitExceeded, Kind(413, "limit-exceeded", "The request is too large")),
    (InvalidInput, Kind(422, "invalid-request", "The request is invalid")),
    (NotFound, Kind(404, "not-found", "There is no such thing")),
    (OutcomeUnknown, Kind(503, "outcome-unknown", "The append may be stored or not")),
    (Unavailable, Kind(503, "unavailable", "Not carried out; try again")),
    (SchemaMismatch, Kind(503, "schema-mismatch", "The database's schema does not fit")),
    (EventStoreError, Kind(503, "unavailable", "Not carried out; try again")),
)
_BY_SLUG: Final = {
    kind.slug: kind
    for kind in (
        Kind(400, "malformed-request", "The request is malformed"),
        Kind(403, "forbidden-origin", "Pages of that origin may change nothing here"),
        Kind(404, "not-found", "There is no such thing"),
        Kind(405, "method-not-allowed", "The method is not allowed here"),
        Kind(406, "not-acceptable", "The representation is not available"),
        Kind(409, "position-not-reached", "The log has not reached that position"),
        Kind(408, "request-timeout", "The request did not come in time"),
        Kind(414, "uri-too-long", "The URL is too long"),
        Kind(415, "unsupported-media-type", "The content type is not understood"),
        Kind(421, "misdirected-request", "The service is not known by that name"),
        Kind(431, "headers-too-large", "The headers are too large"),
        Kind(501, "not-implemented", "That part of HTTP is not implemented"),
        Kind(500, "internal-error", "The service failed"),
    )
}
KINDS: Final = {kind.slug: kind for _, kind in _BY_ERROR} | _BY_SLUG
"""Every kind of problem by its slug, for the API description."""


def kind_of(error: EventStoreError) -> Kind:
    """Give the kind of problem that an error is."""
    if isinstance(error, HttpError):
        return _BY_SLUG[error.slug]
    return next(kind for cls, kind in _BY_ERROR if isinstance(error, cls))


def problem(error: EventStoreError) -> tuple[int, dict[str, str], bytes]:
    """Give an error as a status, headers and a problem+json body."""
    kind = kind_of(error)
    headers = {"content-type": PROBLEM_JSON, "cache-control": "no-store"}
    if kind.status == 503:
        headers["retry-after"] = str(getattr(error, "retry_after", 1))
    if isinstance(error, HttpError) and "allow" in error.facts:
        headers["allow"] = error.facts["allow"]
    if isinstance(error, RevisionConflict) and error.current_revision is not None:
        headers["etag"] = f'"{error.current_revision}"'
    body = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": str(error).encode(errors="replace").decode(),
        **error.facts,
    }
    return kind.status, headers, msgspec.json.encode(body, enc_hook=str)
