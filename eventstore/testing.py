"""Testing projections, deciders and reactors without a database.

given(orders, [event("order-1", "OrderPlaced", {"total": 12})]).expect(
    order_summary, {"order-1": {"status": "placed", "total": 12}}
)
given(order, OrderPlaced(total=12)).when(PayOrder(amount=12)).then(OrderPaid(amount=12))
given(order, []).when(PayOrder(amount=12)).refused("there is no such order")
given(order, OrderPlaced(total=12)).when(PayOrder(amount=13)).refused("it is too much", due=12)
react(emails, event("order-1", "OrderPlaced")).then({"mail-1": EventData("EmailSent")})
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from eventstore.codec import codec_of, decode_event
from eventstore.codec import encode_event as encode_typed
from eventstore.core.columns import Key, Row
from eventstore.core.decider import Decider
from eventstore.core.definition import Definition
from eventstore.core.errors import CommandRefused, InvalidInput
from eventstore.core.event_types import is_model
from eventstore.core.events import EventData, RecordedEvent, encode_event
from eventstore.core.folding import Failure, Folded, Rows, fold, plan
from eventstore.core.jsontext import encode_json
from eventstore.core.projection import Projection
from eventstore.core.streams import check_stream_name
from eventstore.reacting import Reacted, react

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["Decided", "Given", "Outcome", "Reacted", "event", "given", "react"]

S = TypeVar("S")
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


@overload
def given(definition: Decider[S], events: Any) -> Given[S]: ...
@overload
def given(definition: Definition, events: RecordedEvent | Iterable[RecordedEvent]) -> Outcome: ...
def given(definition: Decider[S] | Definition, events: Any) -> Given[S] | Outcome:
    """Say what has happened before: one event or several.

    To a projection: apply the events to empty read tables, as a runner would; those that the query
    does not mean are passed over. Raises InvalidInput for one that does not fold: it needs a
    database.

    To a decider: events of its types, or stored ones (`event(...)`), which are read as the store
    would read them, upcasts included.
    """
    if isinstance(definition, Decider):
        return Given(definition, [_typed(definition, one) for one in _several(events)])
    return _applied(definition, _several(events))


def _several(events: Any) -> list[Any]:
    """Give one event or several as a list. Some kinds of event are iterable themselves."""
    if isinstance(events, RecordedEvent) or is_model(type(events)):
        return [events]
    if isinstance(events, str | Mapping) or not isinstance(events, Iterable):
        raise InvalidInput(f"give an event, or a list of them: {events!r:.60}")
    return list(events)


def _applied(projection: Definition, events: Iterable[RecordedEvent]) -> Outcome:
    if not isinstance(projection, Projection) or projection.is_executed:
        raise InvalidInput(f"{projection!r} does not fold: test it with a database")
    planned = plan(projection, filter(projection.query.matches, _numbered(events)))
    empty: Rows = {table: dict.fromkeys(keys) for table, keys in planned.keys.items()}
    folded = fold(planned, empty)
    for failed, error in folded.failures:
        error.add_note(f"at event {failed.position}: {failed.event_type} of {failed.stream_name}")
    return Outcome(projection, folded)


def _numbered(events: Iterable[RecordedEvent]) -> list[RecordedEvent]:
    numbered = []
    revisions: dict[str, int] = {}
    for position, one in enumerate(events, 1):
        if not isinstance(one, RecordedEvent):
            raise InvalidInput(
                f"a projection sees stored events, as event('order-1', 'OrderPlaced'): {one!r:.60}"
            )
        revision = revisions.get(one.stream_name, -1) + 1
        revisions[one.stream_name] = revision
        numbered.append(one._replace(position=position, revision=revision))
    return numbered


def _typed(decider: Decider[Any], one: Any) -> Any:
    """Give an event as it comes back from a store."""
    if isinstance(one, RecordedEvent):
        return decode_event(decider.events, one)
    stored = encode_typed(decider.events, one, metadata={}, tags=())
    stream_name = decider.stream("1")
    recorded = event(stream_name, stored.event_type, stored.data, metadata=stored.metadata)
    return decode_event(decider.events, recorded)


def _check_command(decider: Decider[Any], command: object) -> None:
    """Refuse a command that could not be sent as it is."""
    decider.name_of(command)
    codec = codec_of(type(command))
    try:
        codec.decode(encode_json(codec.to_json(command)))
    except InvalidInput as fault:
        raise InvalidInput(f"{command!r} is no {type(command).__qualname__}: {fault}") from fault


class Outcome:
    """What came of the events: ask `expect`, `rows` or `failures`."""

    def __init__(self, projection: Projection, folded: Folded) -> None:
        self.projection = projection
        self._folded = folded

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The events that could not be applied, each with the exception of its handler."""
        return self._folded.failures

    def rows(self, table: sa.Table | str) -> dict[Key, Row]:
        """Give the rows of a read table, or of that name, by key (a tuple), whole."""
        name = self.projection.columns_of(table).table
        return {key: row for key, row in self._folded.rows[name].items() if row is not None}

    def expect(self, table: sa.Table | str, rows: Mapping[Any, Mapping[str, Any]]) -> Outcome:
        """Compare a whole read table, or that of this name: rows by key.

        Columns that are left out are NULL.
        Raises AssertionError, with what differs, unless they are equal; and the first handler's
        own exception, with a note that names the event, if one failed.
        """
        if self.failures:
            raise self.failures[0].error
        columns = self.projection.columns_of(table)
        wanted: dict[Key, Row] = {}
        for value, row in rows.items():
            key = columns.key_of(value)
            if key is None:
                raise InvalidInput(f"a row of {columns.table} is expected without a key")
            wanted[key] = columns.whole(key, row)
        found = self.rows(table)
        differences = [
            f"  {key}: expected {wanted.get(key)}, found {found.get(key)}"
            for key in {**wanted, **found}
            if wanted.get(key) != found.get(key)
        ]
        if differences:
            raise AssertionError("\n".join([f"{columns.table} is not as expected:", *differences]))
        return self


class Given(Generic[S]):
    """What a decider has been told: `state` is what it makes of it, `when` asks it to decide."""

    def __init__(self, decider: Decider[S], events: list[Any]) -> None:
        self._decider = decider
        self.state = decider.fold(events)

    def when(self, command: object) -> Decided[S]:
        """Decide a command.

        Raises InvalidInput for a command whose values are not of its types, and for an event that
        could not be stored.
        """
        _check_command(self._decider, command)
        try:
            caused = self._decider.decide(command, self.state)
        except CommandRefused as refused:
            return Decided(command, [], self.state, refused)
        events = [_typed(self._decider, one) for one in caused]
        return Decided(command, events, self._decider.fold(events, self.state), None)


class Decided(Generic[S]):
    """What a decider has decided: ask `then` or `refused`. `state` is that behind its events."""

    def __init__(
        self, command: object, events: list[Any], state: S, refusal: CommandRefused | None
    ) -> None:
        self._command = command
        self._refusal = refusal
        self.events = events
        self.state = state

    def then(self, events: Any) -> Decided[S]:
        """Expect this event, or these in order, and no other. Raises AssertionError otherwise."""
        if self._refusal is not None:
            raise AssertionError(f"{self._command} is refused: {self._refusal}") from self._refusal
        wanted = _several(events)
        if wanted != self.events:
            pairs = zip_longest(wanted, self.events, fillvalue="nothing")
            lines = [_difference(number, *pair) for number, pair in enumerate(pairs)]
            raise AssertionError("\n".join([f"{self._command} causes something else:", *lines]))
        return self

    def refused(self, reason: str | None = None, /, **details: Any) -> CommandRefused:
        """Expect a refusal, for this reason and with these details, among others, if given.

        Raises AssertionError otherwise.
        """
        if self._refusal is None:
            raise AssertionError(f"{self._command} is not refused, but causes {self.events}")
        if reason not in (None, self._refusal.reason):
            raise AssertionError(
                f"{self._command} is refused for another reason:\n"
                f"  expected: {reason}\n  found:    {self._refusal.reason}"
            ) from self._refusal
        found = self._refusal.details
        if {**found, **details} != found:
            raise AssertionError(
                f"{self._command} is refused with other details:\n"
                f"  expected: {details}\n  found:    {found}"
            ) from self._refusal
        return self._refusal


def _difference(number: int, wanted: object, found: object) -> str:
    if wanted == found:
        return f"  {number}: {found}"
    return f"  {number}: expected {wanted}\n  {' ' * len(str(number))}  found    {found}"
