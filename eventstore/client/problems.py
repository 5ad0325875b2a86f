"""Problem details back to errors: the counterpart of the service's one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
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

MOST_WAIT: Final = 60
"""Seconds that somebody in between can make a client wait before it tries again."""


class Refusal(NamedTuple):
    """What an answer that is not a success means. `slug` is empty if it is not the store's own."""

    error: EventStoreError
    slug: str
    status: int = 0

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return isinstance(self.error, (Unavailable, OutcomeUnknown))

    @property
    def wait(self) -> float:
        """Seconds that the answer asks to wait before the next try."""
        return self.error.retry_after if isinstance(self.error, Unavailable) else 0

    @property
    def nothing_stored(self) -> bool:
        """Whether the store itself says so, or who refused did not let the request through.

        Any other answer of a proxy leaves it open.
        """
        if self.slug:
            return self.slug in _BY_SLUG and not isinstance(self.error, OutcomeUnknown)
        return 300 <= self.status < 500 and self.status != 408


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


def refusal(
    status: int,
    problem: Mapping[str, Any],
    *,
    retry_after: str | None = None,
    where: str = "the service",
) -> Refusal:
    """Give the error that an answer stands for.

    `problem` is its body's members, empty if it is no problem+json; `retry_after` is the header;
    `where` names who was asked. What does not bear the store's marks is nobody's word for that
    something is not there.
    """
    kind = str(problem.get("type", ""))
    slug = kind.replace("/", ":").rpartition(":")[2]
    detail = str(problem.get("detail") or problem.get("title") or "")
    wait = _seconds(retry_after)
    if not kind.startswith("urn:eventstore:problem:"):
        return Refusal(_of_another(status, where, wait or 0), "", status)
    make = _BY_SLUG.get(slug)
    if make is not None:
        try:
            facts = {**problem, "retry_after": 1 if wait is None else wait}
            return Refusal(make(detail, facts), slug, status)
        except (KeyError, TypeError):
            pass  # of another release: what it says is told, and nothing is read into it
    return Refusal(EventStoreError(detail or f"the service answers {status}"), slug, status)


def _of_another(status: int, where: str, wait: int) -> EventStoreError:
    """Return what an answer means that is not a store's."""
    if status in (408, 429, 502, 503, 504):
        return Unavailable(f"no answer from the store at {where}: {status}", retry_after=wait)
    if status in (401, 403):
        return EventStoreError(
            f"{where} refuses these credentials ({status}): something in front of the store asks "
            "for others; give them as headers, e.g. Authorization"
        )
    return EventStoreError(
        f"this is not an event store's answer (status {status}) from {where}: check the URL, and "
        "what is in between"
    )


def _seconds(retry_after: str | None) -> int | None:
    """Read Retry-After: seconds, or a date (RFC 9110, 10.2.3); None if there is none to be read."""
    if not retry_after:
        return None
    if retry_after.isdecimal():
        return min(int(retry_after[:9]), MOST_WAIT)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    left = (at - datetime.now(at.tzinfo or UTC)).total_seconds() if at.tzinfo else 0
    return min(max(0, ceil(left)), MOST_WAIT)
