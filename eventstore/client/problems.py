"""Problem details back to errors: the counterpart of the service's one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from eventstore.core.errors import (
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


class Refusal(NamedTuple):
    """What an answer that is not a success means. `slug` is empty if it is not the store's own."""

    error: EventStoreError
    slug: str

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return isinstance(self.error, (Unavailable, OutcomeUnknown))

    @property
    def wait(self) -> float:
        """Seconds that the store itself asks to wait before the next try."""
        return self.error.retry_after if self.slug and isinstance(self.error, Unavailable) else 0

    @property
    def nothing_stored(self) -> bool:
        """Whether the store itself says so; a proxy's answer leaves that open."""
        return self.slug in _BY_SLUG and not isinstance(self.error, OutcomeUnknown)


def _invalid(cls: type[InvalidInput]) -> Callable[[str, Mapping[str, Any]], EventStoreError]:
    def make(detail: str, facts: Mapping[str, Any]) -> EventStoreError:
        path = str(facts.get("path", ""))
        return cls(detail.removeprefix(f"{path}: ") if path else detail, path=path)

    return make


_BY_SLUG: Final[Mapping[str, Callable[[str, Mapping[str, Any]], EventStoreError]]] = {
    "revision-conflict": lambda _, facts: RevisionConflict(
        facts["stream"], facts["expected_revision"], facts["current_revision"]
    ),
    "condition-failed": lambda _, facts: ConditionFailed(facts["position"]),
    "duplicate-event-id": lambda _, facts: DuplicateEventId(
        facts["event_id"], facts["stream"], facts["position"]
    ),
    "idempotency-conflict": lambda _, facts: IdempotencyConflict(
        facts["event_id"], facts["stream"], facts["position"]
    ),
    "history-rewound": lambda _, facts: HistoryRewound(
        facts["position"], facts["epoch"], facts["head"], facts["current_epoch"]
    ),
    "definition-changed": lambda _, facts: DefinitionChanged(
        facts["projection"], facts["version"], facts["known_with"]
    ),
    "consumer-refused": lambda detail, _: ConsumerRefused(detail),
    "projection-refused": lambda detail, _: ProjectionRefused(detail),
    "projection-stopped": lambda _, facts: ProjectionStopped(
        facts["projection"], facts["state"], facts["reason"]
    ),
    "stream-parked": lambda _, facts: StreamParked(
        facts["projection"], facts["stream"], facts["revision"], facts["error"]
    ),
    "projection-behind": lambda _, facts: ProjectionBehind(
        facts["projection"],
        facts["wanted"],
        checkpoint=facts["checkpoint"],
        events_per_second=facts["events_per_second"],
        is_run=facts["is_run"],
        is_stored=facts["is_stored"],
    ),
    "command-refused": lambda _, facts: CommandRefused(facts["reason"], **facts["details"]),
    "decider-failed": lambda _, facts: DeciderFailed(
        facts["decider"], facts["command"], facts["stream"], facts["problem"]
    ),
    "unreadable-event": lambda _, facts: UnreadableEvent(
        facts["problem"],
        path=facts["path"],
        event_id=facts["event_id"],
        event_type=facts["event_type"],
        stream_name=facts["stream"],
        revision=facts["revision"],
        position=facts["position"],
    ),
    "append-refused": lambda detail, _: AppendRefused(detail),
    "invalid-request": _invalid(InvalidInput),
    "malformed-request": _invalid(InvalidInput),
    "limit-exceeded": _invalid(LimitExceeded),
    "not-found": lambda detail, _: NotFound(detail),
    "schema-mismatch": lambda detail, _: SchemaMismatch(detail),
    "unavailable": lambda detail, facts: Unavailable(detail, retry_after=facts["retry_after"]),
    "outcome-unknown": lambda _, facts: OutcomeUnknown(tuple(facts["event_ids"])),
}


def refusal(status: int, problem: Mapping[str, Any], *, retry_after: str | None = None) -> Refusal:
    """Give the error that an answer stands for.

    `problem` is its body's members, empty if it is no problem+json; `retry_after` is the header.
    """
    kind = str(problem.get("type", ""))
    slug = kind.replace("/", ":").rpartition(":")[2]
    detail = str(problem.get("detail") or problem.get("title") or "")
    wait = int(retry_after) if retry_after and retry_after.isdecimal() else 1
    make = _BY_SLUG.get(slug)
    if make is not None:
        try:
            return Refusal(make(detail, {**problem, "retry_after": wait}), slug)
        except (KeyError, TypeError):
            return Refusal(EventStoreError(detail or f"the service answers {status}"), slug)
    if kind.startswith("urn:eventstore:"):
        return Refusal(EventStoreError(detail or f"the service answers {status}"), slug)
    if status in (502, 503, 504):
        return Refusal(Unavailable(f"no answer from the store: {status}", retry_after=wait), "")
    if status == 404:
        return Refusal(NotFound("there is no such resource"), "")
    return Refusal(
        EventStoreError(f"this is not an event store's answer (status {status}); check the URL"), ""
    )
