"""A PostgreSQL-native event store: dense positions in commit order, exact retries, plain SQL."""

from eventstore.app import App
from eventstore.catalog import ProjectionCatalog
from eventstore.codec import decode_event
from eventstore.consumers import ConsumerCatalog
from eventstore.core.append import Append, Appended
from eventstore.core.catalog import ParkedStream, ProjectionStatus, TableComparison
from eventstore.core.decider import Decider
from eventstore.core.delivery import (
    ConsumerGroup,
    Delivery,
    GroupStatus,
    ParkedDelivery,
    Settled,
)
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
from eventstore.core.event_types import EventTypes
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.limits import Limits
from eventstore.core.projection import Projection
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.reactor import Reactor
from eventstore.core.readtables import TablePage
from eventstore.core.revisions import ANY, NO_STREAM, STREAM_EXISTS, ExpectedRevision
from eventstore.core.sql_projection import SqlProjection
from eventstore.deciders import Handled
from eventstore.feed import Follower
from eventstore.member import Member
from eventstore.reactors import Context
from eventstore.store import EventStore

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "App",
    "Append",
    "AppendCondition",
    "AppendRefused",
    "Appended",
    "CommandRefused",
    "ConditionFailed",
    "ConsumerCatalog",
    "ConsumerGroup",
    "ConsumerRefused",
    "Context",
    "Decider",
    "DeciderFailed",
    "DefinitionChanged",
    "Delivery",
    "DuplicateEventId",
    "EventData",
    "EventQuery",
    "EventStore",
    "EventStoreError",
    "EventTypes",
    "ExpectedRevision",
    "Follower",
    "GroupStatus",
    "Handled",
    "HistoryRewound",
    "IdempotencyConflict",
    "InvalidInput",
    "LimitExceeded",
    "Limits",
    "Member",
    "NotFound",
    "OutcomeUnknown",
    "ParkedDelivery",
    "ParkedStream",
    "Projection",
    "ProjectionBehind",
    "ProjectionCatalog",
    "ProjectionRefused",
    "ProjectionStatus",
    "ProjectionStopped",
    "Reactor",
    "RecordedEvent",
    "RevisionConflict",
    "SchemaMismatch",
    "Settled",
    "SqlProjection",
    "StreamParked",
    "TableComparison",
    "TablePage",
    "Unavailable",
    "UnreadableEvent",
    "decode_event",
]
