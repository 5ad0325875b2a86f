"""Folding a batch of events in memory: which rows it needs, and which rows it leaves.

plan(projection, events)  ->  Plan   its `keys` are the rows to load
fold(plan, rows)          ->  Folded its `rows` are the rows to write
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from eventstore.core.columns import Columns, Key, Row
from eventstore.core.definition import OnFailure
from eventstore.core.errors import UnreadableEvent
from eventstore.core.events import RecordedEvent
from eventstore.core.projection import Fold, Projection

Rows: TypeAlias = dict[str, dict[Key, Row | None]]
"""Rows by table and key; None for a key without a row."""


class Failure(NamedTuple):
    """An event that could not be applied, and why."""

    event: RecordedEvent
    error: Exception


class Visit(NamedTuple):
    """One event in one fold: the key of its row, and those of what it looks up."""

    fold: Fold
    key: Key
    lookups: tuple[tuple[str, str, Key], ...]  # name, table, key


class Step(NamedTuple):
    """One event, with every fold that it goes through; or why that could not be told."""

    event: RecordedEvent
    visits: tuple[Visit, ...]
    error: Exception | None = None


class Plan(NamedTuple):
    """A batch of events before its rows are known."""

    on_failure: OnFailure
    columns: Mapping[str, Columns]
    steps: tuple[Step, ...]
    keys: dict[str, dict[Key, None]]
    """Keys by table, each once, in the order of the events."""


class Folded(NamedTuple):
    """What a batch comes to: rows that differ from those given, and events that failed."""

    rows: Rows
    failures: tuple[Failure, ...]


def plan(
    projection: Projection, events: Iterable[RecordedEvent], held: Container[str] = ()
) -> Plan:
    """Tell which rows a batch of events will need, but for the streams that are held back.

    The events' data is decoded on the way: what is planned ahead is all but folded.
    """
    steps: list[Step] = []
    keys: dict[str, dict[Key, None]] = {name: {} for name in projection.columns}
    for event in events:
        if event.stream_name in held:
            continue
        try:
            visits = _visits(projection, event)
            if visits:
                _decode(event)
            for visit in visits:
                keys[visit.fold.columns.table][visit.key] = None
                for _, table, key in visit.lookups:
                    keys[table][key] = None
        except Exception as error:  # noqa: BLE001 - the user's code: told with its event
            steps.append(Step(event, (), error))
        else:
            steps.append(Step(event, visits))
    return Plan(projection.on_failure, projection.columns, tuple(steps), keys)


def _decode(event: RecordedEvent) -> None:
    """Let data be there when a handler looks; what cannot be decoded fails then."""
    try:  # noqa: SIM105 - contextlib.suppress takes longer than all else here
        event.data  # noqa: B018 - kept by the event
    except UnreadableEvent:
        pass


def _visits(projection: Projection, event: RecordedEvent) -> tuple[Visit, ...]:
    visits = []
    for fold in projection.folds_of(event.event_type):
        key = fold.columns.key_of(fold.key(event))
        if key is None:
            continue
        lookups = []
        for name, lookup in fold.lookups.items():
            looked = lookup.columns.key_of(lookup.key(event))
            if looked is not None:
                lookups.append((name, lookup.columns.table, looked))
        visits.append(Visit(fold, key, tuple(lookups)))
    return tuple(visits)


def fold(plan: Plan, rows: Rows) -> Folded:
    """Fold a batch over the rows that it needs; `rows` stay as they are.

    An event that fails leaves nothing behind, not even in tables that it had gone through. What
    comes after it goes on as the policy says.
    """
    changed: Rows = {table: {} for table in rows}
    failures: list[Failure] = []
    held: set[str] = set()
    for step in plan.steps:
        if step.event.stream_name in held:
            continue
        error = _apply(step, rows, changed)
        if error is None:
            continue
        failures.append(Failure(step.event, error))
        if plan.on_failure == "stop":
            break
        if plan.on_failure == "park":
            held.add(step.event.stream_name)
    return Folded(
        {
            table: {
                key: row
                for key, row in new.items()
                if not plan.columns[table].same(row, rows[table][key])
            }
            for table, new in changed.items()
        },
        tuple(failures),
    )


def _apply(step: Step, rows: Rows, changed: Rows) -> Exception | None:
    if step.error is not None:
        return step.error
    before: list[tuple[str, Key, Row | None]] = []
    try:
        for fold, key, lookups in step.visits:
            table = fold.columns.table
            row = _row(rows, changed, table, key)
            if fold.lookups:
                seen: dict[str, Row | None] = dict.fromkeys(fold.lookups)
                for name, of, by in lookups:
                    seen[name] = fold.lookups[name].columns.copy(_row(rows, changed, of, by))
                new = fold.handler(fold.columns.copy(row), step.event, **seen)
            else:
                new = fold.handler(fold.columns.copy(row), step.event)
            if new is not None:
                new = fold.columns.whole(key, new)
            before.append((table, key, row))
            changed[table][key] = new
    except Exception as error:  # noqa: BLE001 - the user's code: told with its event
        for table, key, row in reversed(before):
            changed[table][key] = row
        return error
    return None


def _row(rows: Rows, changed: Rows, table: str, key: Key) -> Row | None:
    known = changed[table]
    return known[key] if key in known else rows[table][key]
