"""A projection as pure functions: how events become rows of its read tables.

A definition knows no database, so it is tested without one (see `eventstore.testing`). Read tables
are SQLAlchemy Core tables, of which only names and types are used here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack

from eventstore.core.columns import Columns, Row
from eventstore.core.definition import Definition, Options, check_options
from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.functions import check_function, check_pure, of
from eventstore.core.query import names

if TYPE_CHECKING:
    import sqlalchemy as sa

KeyOf: TypeAlias = Callable[[RecordedEvent], Any]
"""Gives the key of the row that an event concerns: a value, a tuple for several columns, or None
if it concerns none."""
Handler: TypeAlias = Callable[..., Row | None]
"""`(row, event, **lookups) -> row`: pure; None, given or returned, means that there is no row."""
Execute: TypeAlias = Callable[[Any, RecordedEvent, Callable[["sa.Table"], str]], Awaitable[None]]
"""`async (connection, event, name)`; `name(table)` is a read table's name in SQL."""

H = TypeVar("H", bound=Handler)
X = TypeVar("X", bound=Execute)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A row of another read table of the same projection, for a handler to see."""

    columns: Columns
    key: KeyOf


@dataclass(frozen=True, slots=True)
class Fold:
    """One read table as a fold of events by key."""

    columns: Columns
    key: KeyOf
    types: frozenset[str]
    lookups: Mapping[str, Lookup]
    handler: Handler


class Projection(Definition):
    """Read tables as folds of events. What it takes is told in `Definition`."""

    def __init__(self, name: str, **options: Unpack[Options]) -> None:
        check_options(name, options, Options)
        super().__init__(name, **options)
        self._folds: list[Fold] = []
        self._by_type: dict[str, tuple[Fold, ...]] = {}
        self._executes: list[tuple[frozenset[str], Execute]] = []

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The folds, in the order in which an event goes through them."""
        return tuple(self._folds)

    def fold(
        self,
        table: sa.Table,
        *,
        key: KeyOf,
        types: Iterable[str] = (),
        lookups: Mapping[str, tuple[sa.Table, KeyOf]] = MappingProxyType({}),
    ) -> Callable[[H], H]:
        """Make the decorated function the fold of a read table.

        It is called as `(row, event)` for each event of `types` (default: all) with a key, with
        the row as a dict of its own, or None, and gives the new row, or None to remove it. A row
        is whole: a column that is left out is NULL. It does no I/O and reads no clock. Values may
        be given as text where a column is of another type; they are seen as the table has them.
        CHECK and UNIQUE constraints hold for rows as a batch leaves them.

        `lookups` are rows of this projection's tables that the handler sees under these names, as
        they are at that event: `{"customer": (customers, lambda event: event.data["customer"])}`.
        """
        made = {name: Lookup(self.columns_of(of), by) for name, (of, by) in lookups.items()}
        columns, only = self.columns_of(table), self._types_of(types)
        check_pure(key, f"{self.name}: the key of a fold of {columns.table!r}", ["event"])
        for name, lookup in made.items():
            check_pure(lookup.key, f"{self.name}: the key of the lookup {name!r}", ["event"])
        if self._executes:
            raise InvalidInput(f"{self.name}: a projection folds or executes, not both")

        def register(handler: H) -> H:
            role = f"{self.name}: a fold of {columns.table!r}"
            check_pure(handler, role, ["row", "event"], by_name=list(made))
            self._folds.append(Fold(columns, key, only, made, handler))
            self._by_type.clear()
            return handler

        return register

    def folds_of(self, event_type: str) -> tuple[Fold, ...]:
        """Give the folds that an event of this type goes through."""
        found = self._by_type.get(event_type)
        if found is None:
            found = tuple(f for f in self._folds if not f.types or event_type in f.types)
            self._by_type[event_type] = found
        return found

    def execute(self, *, types: Iterable[str] = ()) -> Callable[[X], X]:
        """Make the decorated coroutine function what an event does, event by event: for what no
        fold can say.

        It is called as `(connection, event, name)` for each event of `types` (default: all) with
        an asyncpg connection, in the transaction of the batch, in which each event has a savepoint
        of its own. It writes this projection's tables only, under the name that `name(table)`
        gives: that of a version that is being built is another one. `deadline` is for each event.

        Prefer `fold`: it is many times faster, and tested without a database.
        """
        if self._folds:
            raise InvalidInput(f"{self.name}: a projection folds or executes, not both")
        only = self._types_of(types)

        def register(handler: X) -> X:
            takes = ["connection", "event", "name"]
            check_function(handler, f"{self.name}: what an event executes", takes)
            self._executes.append((only, handler))
            return handler

        return register

    @property
    def is_executed(self) -> bool:
        """Whether events are applied by `execute`."""
        return bool(self._executes)

    def executes_of(self, event_type: str) -> list[Execute]:
        """Give what an event of this type executes, in order."""
        return [handler for types, handler in self._executes if not types or event_type in types]

    def _types_of(self, types: Iterable[str]) -> frozenset[str]:
        with of(self.name):
            only, known = frozenset(names(types, "types")), self.query.types
        if known is not None and (strange := only - known):
            raise InvalidInput(
                f"{self.name}: not among the types of the projection: {', '.join(sorted(strange))}"
            )
        return only

    def columns_of(self, table: sa.Table | str) -> Columns:
        """Give the columns of one of its tables, or of that name. Raises InvalidInput."""
        name = table if isinstance(table, str) else table.name
        try:
            return self.columns[name]
        except KeyError:
            raise InvalidInput(f"{name!r} is not one of {self.name}'s tables") from None
