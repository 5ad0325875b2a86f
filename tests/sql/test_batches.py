"""Any batches of any requests do what a dozen lines of Python say that they should."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.core.append import AppendRequest
from eventstore.core.batching import Batch, columns, outcomes
from eventstore.core.events import EncodedEvent
from eventstore.core.revisions import ANY, NO_STREAM, STREAM_EXISTS
from eventstore.postgres.statements import statements
from tests.fix_database import Pg
from tests.fix_examples import requests
from tests.fix_waiting import dense

IDS = [f"00000000-0000-7000-8000-{n:012}" for n in range(12)]
"""Few, so that retries, parts of retries and ids of other appends come up often."""


class Stored(NamedTuple):
    """An event of the model's log."""

    stream_name: str
    revision: int
    event_type: str
    tags: tuple[str, ...]
    event_id: str
    data: str


class Model:
    """What the log is to be: one request after the other, one event after the other."""

    def __init__(self) -> None:
        self.log: list[Stored] = []

    def heads(self, stream: str) -> int:
        return sum(event.stream_name == stream for event in self.log) - 1

    def apply(self, request: AppendRequest) -> Any:
        replay = self._known(request)
        if replay is not None:
            return replay
        if condition := request.condition:
            for position, event in enumerate(self.log, 1):
                if position > condition.after and condition.none_matching.matches(event):
                    return ("ConditionFailed", position)
        for append in request.appends:
            head = self.heads(append.stream_name)
            expected = append.expected
            if not (
                expected == ANY.code
                or (expected == STREAM_EXISTS.code and head >= 0)
                or (expected == NO_STREAM.code and head == -1)
                or expected == head >= 0
            ):
                return ("RevisionConflict", append.stream_name, None if head < 0 else head)
        return self._store(request)

    def _store(self, request: AppendRequest) -> Any:
        ids = iter(request.event_ids)
        answers = []
        for append in request.appends:
            first = self.heads(append.stream_name) + 1
            for n, event in enumerate(append.events):
                self.log.append(
                    Stored(
                        append.stream_name,
                        first + n,
                        event.event_type,
                        event.tags,
                        next(ids),
                        event.data,
                    )
                )
            answers.append((first, first + len(append.events) - 1, len(self.log), False))
        return tuple(answers)

    def _known(self, request: AppendRequest) -> Any:
        at = {event.event_id: position for position, event in enumerate(self.log, 1)}
        found = [at[i] for i in request.event_ids if request.ids_known and i in at]
        if not found:
            return None
        ids = iter(request.event_ids)
        answers = []
        differing = []
        is_retry = True
        for append in request.appends:
            positions = [at.get(next(ids)) for _ in append.events]
            events = [self.log[position - 1] for position in positions if position]
            first = events[0].revision if events else 0
            is_retry &= [(append.stream_name, first + n) for n in range(len(positions))] == [
                event[:2] for event in events
            ]
            differing += [
                position
                for position, sent in zip(positions, append.events, strict=True)
                if position and not self._is_same(self.log[position - 1], sent)
            ]
            answers.append((first, events and events[-1].revision, positions[-1], True))
        if is_retry and not differing:
            return tuple(answers)
        is_whole = len(found) == len(request.event_ids)
        position = (differing if is_whole and differing else found)[0]
        stored = self.log[position - 1]
        name = "IdempotencyConflict" if is_whole else "DuplicateEventId"
        return (name, stored.event_id, stored.stream_name, position)

    def _is_same(self, stored: Stored, sent: EncodedEvent) -> bool:
        return stored[2:4] + stored[5:] == (sent.event_type, sent.tags, sent.data)


def told(outcome: Any) -> Any:
    """An outcome in the model's words."""
    if isinstance(outcome, tuple):
        return tuple((a.first_revision, a.revision, a.position, a.replayed) for a in outcome)
    facts = outcome.facts
    facts.pop("expected_revision", None)
    return (type(outcome).__name__, *facts.values())


def planned(queue: Sequence[AppendRequest]) -> list[list[AppendRequest]]:
    batches = []
    waiting = list(queue)
    while waiting:
        batch = Batch()
        waiting = [request for request in waiting if not batch.accept(request)]
        batches.append(batch.requests)
    return batches


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queue=st.lists(requests(IDS), min_size=1, max_size=20))
async def test_batches_do_what_their_requests_would_do_one_after_the_other(
    connection: Pg, queue: list[AppendRequest]
) -> None:
    queue = [
        r if r.ids_known else r._replace(event_ids=[str(uuid.uuid4()) for _ in r.event_ids])
        for r in queue
    ]
    model = Model()
    transaction = connection.transaction()
    await transaction.start()
    try:
        for batch in planned(queue):
            rows = await connection.fetch(statements()["append"], *columns(batch))
            answers = [told(outcome) for outcome in outcomes(batch, list(map(tuple, rows)))]
            assert answers == [model.apply(request) for request in batch]
        stored = await connection.fetch(
            "SELECT stream_name, revision, event_type, tags, event_id::text,"
            " replace(data::text, ' ', '')"
            " FROM eventstore.events ORDER BY position"
        )
        assert [tuple(row) for row in stored] == [
            (*event[:3], list(event.tags), *event[4:]) for event in model.log
        ]
        index = await connection.fetch("SELECT tag, position FROM eventstore.event_tags")
        assert sorted(map(tuple, index)) == sorted(
            (tag, n) for n, event in enumerate(model.log, 1) for tag in event.tags
        )
        assert await dense(connection) == len(model.log)
    finally:
        await transaction.rollback()
