"""The columns of a read table: which keys and rows it can hold, and in which form they are seen."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias

from eventstore.core.errors import InvalidInput
from eventstore.core.values import Make, is_json, is_key_type, is_mutable, maker

if TYPE_CHECKING:
    import sqlalchemy as sa

Row: TypeAlias = dict[str, Any]
"""A row of a read table: values by column name."""
Key: TypeAlias = tuple[Any, ...]
"""Values of a read table's primary key, in the order of its columns."""


class Columns:
    """A read table's columns: what a key and a row of it are."""

    __slots__ = ("_json", "_key_makers", "_made", "_mutable", "_nulls", "key", "table")

    def __init__(self, table: sa.Table) -> None:
        self.table = table.name
        self.key = tuple(column.name for column in table.primary_key.columns)
        if not self.key:
            raise InvalidInput(f"read table {table.name!r} needs a primary key")
        for column in table.primary_key.columns:
            if not is_key_type(column):
                raise InvalidInput(
                    f"a key of read table {table.name!r} is text, a number, a time, bytes or a "
                    f"UUID, not {column.type!r} ({column.name})"
                )
        self._nulls: Row = dict.fromkeys(column.name for column in table.columns)
        self._key_makers = [(c.name, maker(c)) for c in table.primary_key.columns]
        self._made = [
            (c.name, maker(c), c.nullable) for c in table.columns if c.name not in self.key
        ]
        self._json = [column.name for column in table.columns if is_json(column)]
        self._mutable = [c.name for c in table.columns if is_mutable(c)]

    def key_of(self, value: Any) -> Key | None:
        """Give a key as a tuple, or raise InvalidInput if it does not fit."""
        if value is None:
            return None
        key = value if isinstance(value, tuple) else (value,)
        if len(key) != len(self.key) or None in key:
            raise InvalidInput(f"the key of {self.table!r} is {self.key}, not {value!r:.60}")
        made = []
        for (name, make), part in zip(self._key_makers, key, strict=True):
            part = self._make(name, make, part)  # noqa: PLW2901
            if part != part:  # noqa: PLR0124 - true of NaN alone
                raise InvalidInput(f"a key of {self.table!r} cannot be NaN")
            made.append(part)
        return tuple(made)

    def whole(self, key: Key, row: Mapping[str, Any]) -> Row:
        """Give a row as it is read back: with its key and every column.

        Raises InvalidInput if it does not fit.
        """
        if type(row) is not dict and not isinstance(row, Mapping):
            raise InvalidInput(f"a row of {self.table!r} is a dict or None, not {row!r:.60}")
        whole: Row = {**self._nulls, **row}
        if len(whole) > len(self._nulls):
            unknown = ", ".join(sorted(row.keys() - self._nulls.keys()))
            raise InvalidInput(f"{self.table!r} has no column {unknown}")
        for (name, make), value in zip(self._key_makers, key, strict=True):
            if name in row and self._make(name, make, row[name]) != value:
                raise InvalidInput(f"the row of {self.table!r} with key {key} has another {name}")
            whole[name] = value
        name = ""
        try:
            for name, make, nullable in self._made:
                value = whole[name]
                if value is None:
                    if not nullable:
                        raise ValueError("it is not to be NULL")
                elif make is not None:
                    whole[name] = make(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(f"{self.table}.{name}: {error}") from error
        return whole

    def copy(self, row: Row | None) -> Row | None:
        """Copy a row with what is in it, so that a handler may change either in place."""
        if row is None:
            return None
        copied = row.copy()
        for name in self._mutable:
            copied[name] = deepcopy(row[name])
        return copied

    def same(self, row: Row | None, other: Row | None) -> bool:
        """Whether two whole rows are equal, also where Python takes different JSON for equal."""
        return row == other and (
            row is None
            or other is None
            or all(repr(row[name]) == repr(other[name]) for name in self._json)
        )

    def _make(self, name: str, make: Make | None, value: Any) -> Any:
        if make is None:
            return value
        try:
            return make(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput(f"{self.table}.{name}: {error}") from error
