"""The public names: adding one is a decision, losing one breaks users."""

from __future__ import annotations

import eventstore

PUBLIC = [
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


def test_the_public_names_are_these() -> None:
    assert eventstore.__all__ == PUBLIC


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in eventstore.__all__:
        value = getattr(eventstore, name)
        assert not isinstance(value, type) or value.__doc__, name
