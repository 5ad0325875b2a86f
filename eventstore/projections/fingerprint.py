"""Telling definitions of a projection apart, by facts and not by how SQLAlchemy spells them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from eventstore.core.definition import Definition
from eventstore.core.sql_projection import SqlProjection

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]


def fingerprint(projection: Definition) -> str:
    """Give the same text for definitions with the same facts, in every release."""
    return hashlib.sha256(json.dumps(facts(projection), sort_keys=True).encode()).hexdigest()


def facts(projection: Definition) -> dict[str, Any]:
    """Give what the rows of read tables depend on, handlers aside: query, partitions, tables, SQL.

    Names of constraints and indexes, comments and defaults are not among it: nothing depends on
    them, as rows are written whole.
    """
    facts = {
        "query": projection.query.to_json(),
        "partitions": projection.partitions,
        "tables": {table.name: _table(table) for table in projection.tables},
    }
    if isinstance(projection, SqlProjection):
        facts |= {"statement": projection.statement, "inline": projection.inline}
    return facts


def known_with(projection: Definition, known: Sequence[tuple[Any, ...]]) -> str:
    """Say in what a version that is known differs from a definition with another fingerprint.

    `known` are the rows of `projection_known`: query, partitions, and a table with its columns.
    """
    said = []
    given = {table.name: {column.name for column in table.columns} for table in projection.tables}
    if any(json.loads(query) != json.loads(projection.query.to_json()) for query, *_ in known):
        said.append("another query")
    if partitions := {count for _, count, *_ in known} - {projection.partitions}:
        said.append(f"partitions={partitions.pop()}")
    tables = {name: set(columns) for *_, name, columns in known}
    if tables.keys() != given.keys():
        said.append(f"other tables ({', '.join(sorted(tables))})")
    said += [
        f"other columns of table {name} ({', '.join(sorted(columns))})"
        for name, columns in sorted(tables.items())
        if columns != given.get(name, columns)
    ]
    if said:
        return " and ".join(said)
    # The rest of its facts is only known by their fingerprint.
    of_tables = "other types, keys, constraints or indexes of its tables"
    is_sql = isinstance(projection, SqlProjection)
    return f"another statement or inline, or {of_tables}" if is_sql else of_tables


def _table(table: sa.Table) -> dict[str, Any]:
    of_columns = {constraint for column in table.columns for constraint in column.constraints}
    return {
        "columns": {
            column.name: [_sql(column.type), "null" if column.nullable else "not null"]
            for column in table.columns
        },
        "key": [column.name for column in table.primary_key.columns],
        "constraints": sorted(
            [type(one).__name__, *_content(one)]
            for one in (table.constraints | of_columns) - {table.primary_key}
        ),
        "indexes": sorted(
            [
                "unique" if index.unique else "plain",
                *map(_sql, index.expressions),
                *(f"{name}={_sql(value)}" for name, value in sorted(index.dialect_kwargs.items())),
            ]
            for index in table.indexes
        ),
    }


def _content(constraint: sa.Constraint) -> Iterable[str]:
    """Give what a constraint demands: its condition, or its columns in their order."""
    if isinstance(constraint, sa.CheckConstraint):
        return [_sql(constraint.sqltext)]
    return [column.name for column in getattr(constraint, "columns", ())]


def _sql(element: Any) -> str:
    """Spell a type, a column or an expression; columns are their bare names."""
    if isinstance(element, sa.Column):
        return str(element.name)
    if isinstance(element, sa.ClauseElement):
        options = {"literal_binds": True, "include_table": False}
        return str(element.compile(dialect=_DIALECT, compile_kwargs=options))
    if hasattr(element, "compile"):
        return str(element.compile(dialect=_DIALECT))
    return str(element)
