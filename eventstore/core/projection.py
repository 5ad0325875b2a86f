"""A projection: which events it takes, and how they become rows of its read tables.

A definition is data and pure functions: it knows no database, so it is tested without one (see
`eventstore.testing`). Read tables are SQLAlchemy Core tables, of which only names are used here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, get_args

from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery

if TYPE_CHECKING:
    import sqlalchemy as sa

Row: TypeAlias = dict[str, Any]
"""A row of a read table: values by column name."""
Key: TypeAlias = tuple[Any, ...]
"""Values of a read table's primary key, in the order of its columns."""
KeyOf: TypeAlias = Callable[[RecordedEvent], Any]
"""Gives the key of the row that an event concerns: a value, a tuple for several columns, or None
if it concerns none."""
Handler: TypeAlias = Callable[..., Row | None]
"""`(row, event, **lookups) -> row`: pure; None, given or returned, means that there is no row."""
OnFailure: TypeAlias = Literal["park", "stop", "skip"]

H = TypeVar("H", bound=Handler)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}").fullmatch


class Columns:
    """The names of a read table's columns, of its primary key apart."""

    __slots__ = ("_nulls", "key", "table")

    def __init__(self, table: sa.Table) -> None:
        self.table = table.name
        self.key = tuple(column.name for column in table.primary_key.columns)
        self._nulls = dict.fromkeys(column.name for column in table.columns)
        if not self.key:
            raise InvalidInput(f"read table {table.name!r} needs a primary key")

    def key_of(self, value: Any) -> Key | None:
        """Give a key as a tuple, or raise InvalidInput if it does not fit."""
        if value is None:
            return None
        key = value if isinstance(value, tuple) else (value,)
        if len(key) != len(self.key) or None in key:
            raise InvalidInput(f"the key of {self.table!r} is {self.key}, not {value!r}")
        return key

    def whole(self, key: Key, row: Mapping[str, Any]) -> Row:
        """Give a row with its key and every column, or raise InvalidInput if it does not fit."""
        if not isinstance(row, Mapping):
            raise InvalidInput(f"a row of {self.table!r} is a dict or None, not {row!r:.60}")
        whole: Row = {**self._nulls, **row}
        if len(whole) > len(self._nulls):
            unknown = ", ".join(sorted(row.keys() - self._nulls.keys()))
            raise InvalidInput(f"{self.table!r} has no column {unknown}")
        for name, value in zip(self.key, key, strict=True):
            if row.get(name, value) != value:
                raise InvalidInput(f"the row of {self.table!r} with key {key} has another {name}")
            whole[name] = value
        return whole


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


class Projection:
    """Read tables as folds of events. Every event that the query means is applied once, in order.

    `name` is a-z, 0-9 and _, at most 41 characters; a change of what the tables hold needs a new
    `version` (default 1). The query is given whole or by its dimensions, as for `EventQuery`;
    default: every event. `tables` are all read tables that it writes, each with a primary key.

    `partitions` (default 1) is how many runners may share it, each with some of the streams; then
    `keys_within_streams=True` has to promise that no row is ever concerned by two streams.

    An event whose handler fails is kept from harming the others by `on_failure`: "park" (default)
    holds back that stream in this projection until it is retried, "stop" stops the projection,
    "skip" leaves the event out and records that. `deadline` (seconds, default 30) is for a batch.

    Raises InvalidInput for a definition that does not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        version: int = 1,
        query: EventQuery | None = None,
        streams: Iterable[str] = (),
        categories: Iterable[str] = (),
        types: Iterable[str] = (),
        tags: Iterable[str] = (),
        tables: Iterable[sa.Table],
        partitions: int = 1,
        keys_within_streams: bool = False,
        on_failure: OnFailure = "park",
        deadline: float = 30.0,
    ) -> None:
        if not _NAME(name):
            raise InvalidInput(f"a projection's name is a-z, 0-9 and _, at most 41: {name!r}")
        if version < 1:
            raise InvalidInput(f"{name}: a version is 1 or more: {version}")
        if not 1 <= partitions <= 64:
            raise InvalidInput(f"{name}: partitions are 1 to 64: {partitions}")
        if partitions > 1 and not keys_within_streams:
            raise InvalidInput(
                f"{name}: two partitions must never write the same row; if no row is concerned by "
                "two streams, say keys_within_streams=True"
            )
        if on_failure not in get_args(OnFailure):
            raise InvalidInput(f"{name}: on_failure is park, stop or skip: {on_failure!r}")
        by_dimension = EventQuery(streams=streams, categories=categories, types=types, tags=tags)
        if query is not None and by_dimension:
            raise InvalidInput(f"{name}: give a query or its dimensions, not both")
        self.name = name
        self.version = version
        self.query = by_dimension if query is None else query
        self.tables = tuple(tables)
        self.partitions = partitions
        self.on_failure = on_failure
        self.deadline = deadline
        self.columns: Final = {table.name: Columns(table) for table in self.tables}
        if len(self.columns) != len(self.tables) or not self.tables:
            raise InvalidInput(f"{name}: at least one read table is needed, each with its own name")
        self._folds: list[Fold] = []
        self._by_type: dict[str, tuple[Fold, ...]] = {}

    def __repr__(self) -> str:
        return f"<Projection {self.name} version {self.version}>"

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
        is whole: a column that is left out is NULL. It does no I/O and reads no clock.

        `lookups` are rows of this projection's tables that the handler sees under these names, as
        they are at that event: `{"customer": (customers, lambda event: event.data["customer"])}`.
        """
        made = {name: Lookup(self._columns_of(of), by) for name, (of, by) in lookups.items()}
        columns, only = self._columns_of(table), frozenset(types)

        def register(handler: H) -> H:
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

    def _columns_of(self, table: sa.Table) -> Columns:
        try:
            return self.columns[table.name]
        except KeyError:
            raise InvalidInput(f"{table.name!r} is not one of {self.name}'s tables") from None
