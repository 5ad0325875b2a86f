"""Testing projections without a database: `given(projection, events).expect(table, rows)`.

given(orders, [event("order-1", "OrderPlaced", {"total": 12})]).expect(
    order_summary, {"order-1": {"status": "placed", "total": 12}}
)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from eventstore.core.columns import Key, Row
from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput
from eventstore.core.events import EventData, RecordedEvent, encode_event
from eventstore.core.folding import Failure, Folded, Rows, fold, plan
from eventstore.core.projection import Projection
from eventstore.core.streams import check_stream_name

if TYPE_CHECKING:
    import sqlalchemy as sa

RECORDED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When every event of a test was recorded, unless it says otherwise."""


def event(
    stream_name: str,
    event_type: str,
    data: Any = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    recorded_at: datetime = RECORDED_AT,
) -> RecordedEvent:
    """Make an event as it would be recorded; `given` gives it its position and revision.

    `data` is {} unless given. Raises InvalidInput for what the store would not take.
    """
    encoded = encode_event(
        EventData(event_type, {} if data is None else data, metadata or {}, tags=tags)
    )
    return RecordedEvent(
        0,
        check_stream_name(stream_name),
        0,
        uuid.uuid4(),
        encoded.event_type,
        encoded.data,
        encoded.metadata,
        list(encoded.tags),
        recorded_at,
    )


def given(projection: Definition, events: Iterable[RecordedEvent]) -> Outcome:
    """Apply events to empty read tables, as a runner would; those that the query does not mean
    are passed over. Raises InvalidInput for one that does not fold: it needs a database.
    """
    if not isinstance(projection, Projection) or projection.is_executed:
        raise InvalidInput(f"{projection!r} does not fold: test it with a database")
    numbered = []
    revisions: dict[str, int] = {}
    for position, one in enumerate(events, 1):
        revision = revisions.get(one.stream_name, -1) + 1
        revisions[one.stream_name] = revision
        numbered.append(one._replace(position=position, revision=revision))
    planned = plan(projection, filter(projection.query.matches, numbered))
    empty: Rows = {table: dict.fromkeys(keys) for table, keys in planned.keys.items()}
    return Outcome(projection, fold(planned, empty))


class Outcome:
    """What came of the events: ask `expect`, `rows` or `failures`."""

    def __init__(self, projection: Projection, folded: Folded) -> None:
        self._projection = projection
        self._folded = folded

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The events that could not be applied, each with the exception of its handler."""
        return self._folded.failures

    def rows(self, table: sa.Table) -> dict[Key, Row]:
        """Give the rows of a read table by key (a tuple), whole."""
        return {key: row for key, row in self._folded.rows[table.name].items() if row is not None}

    def expect(self, table: sa.Table, rows: Mapping[Any, Mapping[str, Any]]) -> Outcome:
        """Compare a whole read table: rows by key, columns that are left out are NULL.

        Raises AssertionError, with what differs, unless they are equal; and the first handler's
        own exception if an event failed.
        """
        if self.failures:
            raise self.failures[0].error
        columns = self._projection.columns[table.name]
        wanted: dict[Key, Row] = {}
        for value, row in rows.items():
            key = columns.key_of(value)
            if key is None:
                raise InvalidInput(f"a row of {table.name} is expected without a key")
            wanted[key] = columns.whole(key, row)
        found = self.rows(table)
        differences = [
            f"  {key}: expected {wanted.get(key)}, found {found.get(key)}"
            for key in {**wanted, **found}
            if wanted.get(key) != found.get(key)
        ]
        if differences:
            raise AssertionError("\n".join([f"{table.name} is not as expected:", *differences]))
        return self
