"""A PostgreSQL-native event store: dense positions in commit order, exact retries, plain SQL."""

from eventstore.core.append import Append, Appended
from eventstore.core.errors import (
    AppendRefused,
    ConditionFailed,
    DuplicateEventId,
    EventStoreError,
    HistoryRewound,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    RevisionConflict,
    SchemaMismatch,
    Unavailable,
)
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.limits import Limits
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.revisions import ANY, NO_STREAM, STREAM_EXISTS, ExpectedRevision
from eventstore.feed import Follower
from eventstore.store import EventStore

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Append",
    "AppendCondition",
    "AppendRefused",
    "Appended",
    "ConditionFailed",
    "DuplicateEventId",
    "EventData",
    "EventQuery",
    "EventStore",
    "EventStoreError",
    "ExpectedRevision",
    "Follower",
    "HistoryRewound",
    "InvalidInput",
    "LimitExceeded",
    "Limits",
    "NotFound",
    "OutcomeUnknown",
    "RecordedEvent",
    "RevisionConflict",
    "SchemaMismatch",
    "Unavailable",
]
