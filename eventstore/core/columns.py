"""The columns of a read table: which keys and rows it can hold, and in which form they are seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from eventstore.core.errors import InvalidInput
from eventstore.core.values import is_json, is_key_type, maker

if TYPE_CHECKING:
    import sqlalchemy as sa

Row: TypeAlias = dict[str, Any]
"""A row of a read table: values by column name."""
Key: TypeAlias = tuple[Any, ...]
"""Values of a read table's primary key, in the order of its columns."""


class Columns:
    """A read table's columns: what a key and a row of it are."""

    __slots__ = ("_makers", "_needed", "json", "key", "table", "values")

    def __init__(self, table: sa.Table) -> None:
        self.table = table.name
        self.key = tuple(column.name for column in table.primary_key.columns)
        self.values = frozenset(column.name for column in table.columns) - set(self.key)
        self.json = frozenset(column.name for column in table.columns if is_json(column))
        self._makers = {column.name: maker(column) for column in table.columns}
        self._needed = frozenset(c.name for c in table.columns if not c.nullable)
        if not self.key:
            raise InvalidInput(f"read table {table.name!r} needs a primary key")
        for column in table.primary_key.columns:
            if not is_key_type(column):
                raise InvalidInput(
                    f"a key of read table {table.name!r} is text, a number, a date, a time or a "
                    f"UUID, not {column.type!r} ({column.name})"
                )

    def key_of(self, value: Any) -> Key | None:
        """Give a key as a tuple, or raise InvalidInput if it does not fit."""
        if value is None:
            return None
        key = value if isinstance(value, tuple) else (value,)
        if len(key) != len(self.key) or None in key:
            raise InvalidInput(f"the key of {self.table!r} is {self.key}, not {value!r:.60}")
        made = tuple([self._made(name, part) for name, part in zip(self.key, key, strict=True)])
        if any(part != part for part in made):  # noqa: PLR0124 - true of NaN alone
            raise InvalidInput(f"a key of {self.table!r} cannot be NaN")
        return made

    def whole(self, key: Key, row: Mapping[str, Any]) -> Row:
        """Give a row as it is read back: with its key and every column.

        Raises InvalidInput if it does not fit.
        """
        if not isinstance(row, Mapping):
            raise InvalidInput(f"a row of {self.table!r} is a dict or None, not {row!r:.60}")
        whole: Row = dict(zip(self.key, key, strict=True))
        for name, value in whole.items():
            if name in row and self._made(name, row[name]) != value:
                raise InvalidInput(f"the row of {self.table!r} with key {key} has another {name}")
        if unknown := row.keys() - self.values - whole.keys():
            raise InvalidInput(f"{self.table!r} has no column {', '.join(sorted(unknown))}")
        for name in self.values:
            whole[name] = self._made(name, row.get(name))
        return whole

    def same(self, row: Row | None, other: Row | None) -> bool:
        """Whether two whole rows are equal, also where Python takes different JSON for equal."""
        return row == other and (
            not self.json
            or row is None
            or other is None
            or all(repr(row[name]) == repr(other[name]) for name in self.json)
        )

    def _made(self, name: str, value: Any) -> Any:
        if value is None:
            if name in self._needed:
                raise InvalidInput(f"{self.table}.{name} is not to be NULL")
            return None
        make = self._makers[name]
        if make is None:
            return value
        try:
            return make(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(f"{self.table}.{name}: {error}") from error
