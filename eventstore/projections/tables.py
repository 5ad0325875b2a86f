"""Read tables in PostgreSQL: their DDL, and the statements that load and write rows by key.

Rows travel as one JSON text whatever their number, and PostgreSQL reads it by the columns' types:
a handler may give a value as text, and statement text never depends on the batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import quoted_name

from eventstore.core.columns import Key, Row
from eventstore.core.errors import InvalidInput
from eventstore.core.values import is_plain

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_MOST_NAME: Final = 45
"""Characters of a table's name, so that what is derived from it fits into PostgreSQL's 63."""


class Statements(NamedTuple):
    """SQL for one read table under one name; `$1` is a JSON array of objects."""

    load: str
    upsert: str
    delete: str


class ReadTable:
    """One read table of one version of a projection, in a schema.

    The version that serves has the plain name, any other one is called `name__v2`. Raises
    InvalidInput for what cannot be a read table.
    """

    def __init__(self, table: sa.Table, *, schema: str, version: int) -> None:
        if len(table.name) > _MOST_NAME or table.schema is not None:
            raise InvalidInput(
                f"a read table's name has at most {_MOST_NAME} characters and no schema: "
                f"{table.fullname!r}"
            )
        if table.foreign_keys:
            raise InvalidInput(
                f"read table {table.name!r} has a foreign key: rows come in any order"
            )
        self._table = table
        self._schema = schema
        self._suffix = f"__v{version}"
        self._key = [column.name for column in table.primary_key.columns]
        self._columns = [column.name for column in table.columns]
        self._json = {c.name for c in table.columns if isinstance(c.type, sa.JSON)}
        self._checked = [
            c.name for c in table.columns if not is_plain(c) and c.name not in self._json
        ]
        self._plain_key = len(self._key) == 1 and is_plain(table.columns[self._key[0]])
        self._types = {column.name: _type(column) for column in table.columns}
        self._statements = {plain: self._make(plain) for plain in (True, False)}

    @property
    def name(self) -> str:
        """Its name in the definition."""
        return str(self._table.name)

    def physical_name(self, *, serving: bool) -> str:
        """Its name in the database, quoted, with its schema."""
        name = self._table.name if serving else self._table.name + self._suffix
        return f"{_quoted(self._schema)}.{_quoted(name)}"

    def statements(self, *, serving: bool) -> Statements:
        """The statements under the name that it has now."""
        return self._statements[serving]

    def ddl(self, *, serving: bool) -> list[str]:
        """Give the statements that make it. Indexes and constraints are named by version."""
        name = self._table.name if serving else self._table.name + self._suffix
        clone = self._table.to_metadata(sa.MetaData(), schema=self._schema, name=name)
        base = self._table.name + self._suffix
        clone.primary_key.name = quoted_name(f"{base}_pkey", None)
        for column in clone.columns:
            column.autoincrement = False
        others = clone.constraints - {clone.primary_key}
        for number, constraint in enumerate(sorted(others, key=_content)):
            constraint.name = quoted_name(f"{base}_c{number}", None)
        made = [str(CreateTable(clone).compile(dialect=_DIALECT)).strip()]
        for number, index in enumerate(sorted(clone.indexes, key=lambda index: str(index.name))):
            index.name = quoted_name(f"{base}_i{number}", None)
            made.append(str(CreateIndex(index).compile(dialect=_DIALECT)))
        return made

    def encode_keys(self, keys: Iterable[Key]) -> str:
        """Write keys as `load` and `delete` take them, numbered from 0."""
        if self._plain_key:
            return _json_text([{"n": n, "k0": key[0]} for n, key in enumerate(keys)])
        return _json_text(
            [
                {"n": n, **{f"k{i}": _sent(part) for i, part in enumerate(key)}}
                for n, key in enumerate(keys)
            ]
        )

    def encode_rows(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Write whole rows as `upsert` takes them. Raises ValueError or TypeError for a value that
        JSON does not have."""
        return _json_text([self._encodable(row) for row in rows])

    def decode(self, record: asyncpg.Record) -> tuple[int, Row | None]:
        """Read a record of `load`: the key's number, and the row."""
        number, found, *values = record
        return number, dict(zip(self._columns, values, strict=True)) if found else None

    def _encodable(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        changed: Row = {}
        for name in self._json:
            if row[name] is not None:
                changed[name] = msgspec.Raw(json.dumps(row[name], allow_nan=False).encode())
        for name in self._checked:
            if type(row[name]) in _OTHERWISE:
                changed[name] = _sent(row[name])
        return {**row, **changed} if changed else row

    def _make(self, serving: bool) -> Statements:
        table = self.physical_name(serving=serving)
        keys = ", ".join(f"k{i} {self._types[name]}" for i, name in enumerate(self._key))
        on = " AND ".join(f"t.{_quoted(name)} = k.k{i}" for i, name in enumerate(self._key))
        columns = ", ".join(map(_quoted, self._columns))
        typed = ", ".join(f"{_quoted(name)} {self._types[name]}" for name in self._columns)
        values = [_quoted(name) for name in self._columns if name not in self._key]
        change = ", ".join(f"{name} = excluded.{name}" for name in values)
        return Statements(
            load=(
                f"SELECT k.n, t.{_quoted(self._key[0])} IS NOT NULL, "
                + ", ".join(f"t.{_quoted(name)}" for name in self._columns)
                + f" FROM json_to_recordset($1::text::json) AS k(n integer, {keys})"
                f" LEFT JOIN {table} AS t ON {on}"
            ),
            upsert=(
                f"INSERT INTO {table} ({columns}) SELECT {columns}"
                f" FROM json_to_recordset($1::text::json) AS r({typed})"
                f" ON CONFLICT ({', '.join(map(_quoted, self._key))}) DO "
                + (f"UPDATE SET {change}" if values else "NOTHING")
            ),
            delete=(
                f"DELETE FROM {table} AS t"
                f" USING json_to_recordset($1::text::json) AS k(n integer, {keys}) WHERE {on}"
            ),
        )


def _content(constraint: sa.Constraint) -> tuple[str, ...]:
    """What a constraint says, to sort by."""
    names = sorted(str(column.name) for column in getattr(constraint, "columns", ()))
    return type(constraint).__name__, str(getattr(constraint, "sqltext", "")), *names


def _quoted(name: str) -> str:
    return str(_DIALECT.identifier_preparer.quote(name))


def _type(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.Enum) and column.type.native_enum:
        raise InvalidInput(
            f"column {column.name!r}: a type of its own is not made; use Enum(native_enum=False)"
        )
    if column.computed is not None or column.identity is not None:
        raise InvalidInput(f"column {column.name!r}: a row is what the fold gives, nothing else")
    return str(column.type.compile(dialect=_DIALECT))


_OTHERWISE: Final = frozenset({float, timedelta, bytes, list})
"""Types that may need it."""


def _sent(value: Any) -> Any:
    """Give a text for what JSON has not, or has otherwise than PostgreSQL reads it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list):
        return [_sent(one) for one in value]
    return value


def _json_text(values: list[Any]) -> str:
    return str(msgspec.json.encode(values), "utf-8")
