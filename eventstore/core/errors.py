"""What can go wrong, as one tree, and the one table from SQLSTATE to class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EventStoreError(Exception):
    """Base of every error that the event store raises on purpose."""

    @property
    def facts(self) -> dict[str, Any]:
        """What happened as JSON-ready members: the same facts that SQL and REST give."""
        return {}


class InvalidInput(EventStoreError, ValueError):
    """The request itself is wrong; nothing was stored and a retry gives the same answer.

    `path` is the JSON path of the fault (`$[3].data`), empty when it is not in a body.
    """

    def __init__(self, problem: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.problem = problem
        self.path = path

    @property
    def facts(self) -> dict[str, Any]:
        return {"path": self.path} if self.path else {}


class LimitExceeded(InvalidInput):
    """The request is larger than a limit of this store allows; send less, or raise the limit."""


class AppendRefused(EventStoreError):
    """The state of the log refuses this append; nothing was stored."""


class RevisionConflict(AppendRefused):
    """The stream is not at the expected revision: someone else was faster.

    Recover by reading the stream again and deciding anew on its present state.
    `current_revision` is None when the stream does not exist.
    """

    def __init__(
        self, stream_name: str, expected_revision: str | int, current_revision: int | None
    ) -> None:
        now = "does not exist" if current_revision is None else f"is at revision {current_revision}"
        super().__init__(
            f"stream {stream_name!r} {now}, but the append expected {expected_revision}"
        )
        self.stream_name = stream_name
        self.expected_revision = expected_revision
        self.current_revision = current_revision

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "stream": self.stream_name,
            "expected_revision": self.expected_revision,
            "current_revision": self.current_revision,
        }


class DuplicateEventId(AppendRefused):
    """An event id of this append is already used by another append.

    A retry of the same append never raises this: it is given the first answer.
    """

    def __init__(self, event_id: str, stream_name: str, position: int) -> None:
        super().__init__(
            f"event id {event_id} is already used by another append: "
            f"stream {stream_name!r}, position {position}"
        )
        self.event_id = event_id
        self.stream_name = stream_name
        self.position = position

    @property
    def facts(self) -> dict[str, Any]:
        return {"event_id": self.event_id, "stream": self.stream_name, "position": self.position}


class IdempotencyConflict(DuplicateEventId):
    """The same event ids or the same idempotency key came before, with something else.

    Something else is another stream, type, data or tag, or events in another number or order;
    metadata does not count. What came before is stored, this is not: give it ids or a key of its
    own. The facts are those of an event that is stored under one of the ids.
    """

    def __init__(self, event_id: str, stream_name: str, position: int) -> None:
        super().__init__(event_id, stream_name, position)
        self.args = (
            "the same event ids or idempotency key were used for another append: event "
            f"{event_id} is at position {position}, in stream {stream_name!r}, and not as it is "
            "sent now; what was sent now is not stored",
        )


class CommandRefused(EventStoreError):
    """A decider refuses a command in the present state of its stream; nothing was stored.

    Raised by `decide`: `reason` is a sentence for people, `details` are what it rests on, as values
    that JSON has.
    """

    def __init__(self, reason: str, /, **details: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details

    @property
    def facts(self) -> dict[str, Any]:
        return {"reason": self.reason, "details": self.details}


class DeciderFailed(EventStoreError):
    """A decider's own code failed on a command, which may be right; nothing was stored.

    `problem` says what of it, and where. What it raised is the cause, and in the service's log.
    """

    def __init__(self, decider: str, command: str, stream_name: str, problem: str) -> None:
        super().__init__(
            f"decider {decider} failed on command {command} of stream {stream_name!r}: {problem}"
        )
        self.decider = decider
        self.command = command
        self.stream_name = stream_name
        self.problem = problem

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "decider": self.decider,
            "command": self.command,
            "stream": self.stream_name,
            "problem": self.problem,
        }


class UnreadableEvent(EventStoreError):
    """A stored event does not fit the type that its name stands for, so nothing rests on it.

    Give the type an upcast from the shape that is stored, or a field that may be missing its
    default. `path` is the JSON path of the fault in the event's data or metadata.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str,
        event_id: str,
        event_type: str,
        stream_name: str,
        revision: int,
        position: int,
    ) -> None:
        super().__init__(
            f"event {event_id} at position {position} (stream {stream_name!r}, revision "
            f"{revision}) is no {event_type}: {path}: {problem}"
        )
        self.problem = problem
        self.path = path
        self.event_id = event_id
        self.event_type = event_type
        self.stream_name = stream_name
        self.revision = revision
        self.position = position

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "problem": self.problem,
            "path": self.path,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "stream": self.stream_name,
            "revision": self.revision,
            "position": self.position,
        }


class ConditionFailed(AppendRefused):
    """An event that the append condition excludes was stored after the condition's position."""

    def __init__(self, position: int) -> None:
        super().__init__(
            f"the append condition failed: the event at position {position} matches it; "
            "read again up to there and decide anew"
        )
        self.position = position

    @property
    def facts(self) -> dict[str, Any]:
        return {"position": self.position}


class NotFound(EventStoreError, LookupError):
    """There is no such stream or event."""


class Unavailable(EventStoreError):
    """The append or read was not carried out; nothing was stored. Try again later.

    `retry_after` is a hint in seconds.
    """

    def __init__(self, problem: str, *, retry_after: int = 1) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class OutcomeUnknown(EventStoreError):
    """The line to the database broke and could not be made again in time.

    The append may be stored or not. Retry it with the same event ids or the same idempotency
    key: an append that was stored then gives its first answer, and nothing is stored twice.
    """

    def __init__(self, event_ids: tuple[str, ...]) -> None:
        super().__init__(
            "the append may be stored or not: the line to the database broke; "
            "retry with the same event ids or the same idempotency key"
        )
        self.event_ids = event_ids

    @property
    def facts(self) -> dict[str, Any]:
        return {"event_ids": list(self.event_ids)}


class HistoryRewound(EventStoreError):
    """The log is not the one that was followed: restored to an earlier state, or another one.

    `position` in `epoch` is where the follower was, `head` in `current_epoch` is where the log
    ends now. What was built from the log has to be compared or built anew.
    """

    def __init__(self, position: int, epoch: int, head: int, current_epoch: int) -> None:
        super().__init__(
            f"position {position} of epoch {epoch} is not in this log, which is at position {head} "
            f"of epoch {current_epoch}: its history was rewound, or it is another log"
        )
        self.position = position
        self.epoch = epoch
        self.head = head
        self.current_epoch = current_epoch

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "epoch": self.epoch,
            "head": self.head,
            "current_epoch": self.current_epoch,
        }


class SchemaMismatch(EventStoreError):
    """The database's schema is missing, older or newer than this code needs."""


class DefinitionChanged(EventStoreError):
    """A version of a projection has begun with another definition than the one given now.

    Give the changed definition a new version: it is then built beside the one that serves.
    `known_with` says in what it differs, for people.
    """

    def __init__(
        self,
        projection: str,
        version: int,
        known_with: str = "other tables, or another query, partitions, statement or inline",
    ) -> None:
        super().__init__(
            f"projection {projection!r} version {version} is known with {known_with}: give the "
            f"changed definition version {version + 1}; handlers may change freely under the same "
            "version"
        )
        self.projection = projection
        self.version = version
        self.known_with = known_with

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "projection": self.projection,
            "version": self.version,
            "known_with": self.known_with,
        }


class ProjectionRefused(EventStoreError):
    """The state of a projection refuses an operation on one of its versions; nothing was changed.

    The text says what stands in the way, and what to do about it.
    """


class ConsumerRefused(EventStoreError):
    """A consumer group is there with another ordering, or workers run it; nothing was changed.

    The text says what stands in the way, and what to do about it.
    """


class ProjectionStopped(EventStoreError):
    """The projection is paused or stopped, so waiting for it is in vain until it is resumed."""

    def __init__(self, projection: str, state: str, reason: str | None) -> None:
        super().__init__(
            f"projection {projection!r} is {state}" + (f": {reason}" if reason else "")
        )
        self.projection = projection
        self.state = state
        self.reason = reason

    @property
    def facts(self) -> dict[str, Any]:
        return {"projection": self.projection, "state": self.state, "reason": self.reason}


class StreamParked(EventStoreError):
    """The projection holds the stream back, from an event on that it could not apply."""

    def __init__(self, projection: str, stream_name: str, revision: int, error: str) -> None:
        super().__init__(
            f"stream {stream_name!r} is parked in projection {projection!r} at revision "
            f"{revision}: {error}"
        )
        self.projection = projection
        self.stream_name = stream_name
        self.revision = revision
        self.error = error

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "projection": self.projection,
            "stream": self.stream_name,
            "revision": self.revision,
            "error": self.error,
        }


class ProjectionBehind(EventStoreError, TimeoutError):
    """The projection has not come there in time.

    `checkpoint` is how far it is, `events_per_second` how fast it moved meanwhile, `is_run`
    whether a worker runs it at all: wait again, or start a worker. `is_stored` is whether what
    was waited for has been written at all, as it has been if an append gave it.
    """

    def __init__(
        self,
        projection: str,
        wanted: str,
        *,
        checkpoint: int,
        events_per_second: float,
        is_run: bool,
        is_stored: bool,
    ) -> None:
        super().__init__(
            f"projection {projection!r} has not applied {wanted}"
            + (" yet" if is_stored else ", which is not written yet")
            + ": it is at position "
            f"{checkpoint}, "
            + (f"moving at {events_per_second:.0f} events/s" if is_run else "and no worker runs it")
        )
        self.projection = projection
        self.wanted = wanted
        self.checkpoint = checkpoint
        self.events_per_second = events_per_second
        self.is_run = is_run
        self.is_stored = is_stored

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "projection": self.projection,
            "wanted": self.wanted,
            "checkpoint": self.checkpoint,
            "events_per_second": round(self.events_per_second, 1),
            "is_run": self.is_run,
            "is_stored": self.is_stored,
        }


REFUSAL_BY_SQLSTATE: Mapping[str, type[EventStoreError]] = {
    "ST001": RevisionConflict,
    "ST002": DuplicateEventId,
    "ST003": ConditionFailed,
    "ST004": InvalidInput,
    "ST013": IdempotencyConflict,
}
"""Our own SQLSTATEs (class ST). Migration files raise them; this table is their only reader."""


def refusal_from(sqlstate: str, facts: Mapping[str, Any]) -> EventStoreError:
    """Give the error of an append that the database refused, from its facts.

    `facts` is the JSON of the SQL function's DETAIL or of its result.
    """
    cls = REFUSAL_BY_SQLSTATE[sqlstate]
    if cls is RevisionConflict:
        return RevisionConflict(
            facts["stream"], expectation_name(facts["expected"]), facts["current_revision"]
        )
    if issubclass(cls, DuplicateEventId):
        return cls(facts["event_id"], facts["stream"], facts["position"])
    if cls is ConditionFailed:
        return ConditionFailed(facts["position"])
    return InvalidInput(facts["problem"])


def expectation_name(expected: int) -> str | int:
    """Name an expected revision as SQL carries it (negative numbers stand for words)."""
    return {-1: "no_stream", -2: "any", -3: "stream_exists"}.get(expected, expected)
