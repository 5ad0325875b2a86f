"""Reading a read table: the statements, one after the other, for either driver. No I/O."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

from eventstore.core.catalog import no_projection
from eventstore.core.errors import (
    EventStoreError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from eventstore.core.paging import PAGE_BYTES
from eventstore.core.readtables import TablePage, TableQuery
from eventstore.postgres.errors import sqlstate_of
from eventstore.postgres.statements import statements

_TRIES: Final = 3
_NO_OPERATOR: Final = "42883"
_GONE: Final = {"42P01", "42703"}

Statement = tuple[str, Sequence[Any]]
Steps = Generator[Statement, Sequence[Any], TablePage]
"""Yields what is to be run, is sent the rows (or thrown our error), and returns the page."""


class _Column(NamedTuple):
    quoted: str
    type: str
    in_key: bool


class _Table(NamedTuple):
    """A table as the catalogue of PostgreSQL has it; `name` is quoted, with its schema."""

    name: str
    columns: dict[str, _Column]


def table_steps(query: TableQuery, *, schema: str) -> Steps:
    """Read a page and the checkpoint that it is as of, in one statement and so one snapshot.

    PostgreSQL takes that snapshot when it has locked the table that has the plain name, so a switch
    to another version comes before both or after both.

    Raises NotFound, InvalidInput, LimitExceeded (one row is larger than a page).
    """
    for _ in range(_TRIES):
        table = _table(query, (yield _lookup(query, schema)))
        try:
            found = yield _select(query, table, schema)
        except EventStoreError as error:
            if (state := sqlstate_of(error)) in _GONE:
                continue  # what was looked up has another name now
            if state == _NO_OPERATOR:
                names = ", ".join([*query.where, *filter(None, [query.column])])
                raise InvalidInput(f"a column of a type without an order: {names}") from error
            if isinstance(error, InvalidInput):
                yield from _find_fault(query, table)
            raise
        if found:
            [(checkpoint, count, given, rows)] = found
            if count and not given:
                raise LimitExceeded(
                    f"the row at offset {query.offset} of {query.table!r} is larger than a page "
                    f"({PAGE_BYTES} bytes); read it by SQL"
                )
            return TablePage(
                f"[{rows}]", checkpoint, query.offset + given if count > given else None
            )
    raise Unavailable(f"projection {query.projection!r} is being switched to another version")


def _lookup(query: TableQuery, schema: str) -> Statement:
    args = (query.projection, query.table, f"{schema}_read")
    return statements(schema)["projection_columns"], args


def _table(query: TableQuery, rows: Sequence[Any]) -> _Table:
    if not rows:
        raise no_projection(query.projection)
    tables, name = rows[0][:2]
    if name is None:
        raise NotFound(
            f"projection {query.projection!r} has no table {query.table!r}; it has: "
            + ", ".join(tables)
        )
    columns = {row[2]: _Column(*row[3:]) for row in rows}
    for column in (*query.where, *filter(None, [query.column])):
        if column not in columns:
            raise InvalidInput(
                f"table {query.table!r} has no column {column!r}; it has: {', '.join(columns)}"
            )
    return _Table(name, columns)


def _select(query: TableQuery, table: _Table, schema: str) -> Statement:
    """Give the one statement; every name in it is quoted by PostgreSQL, every value is bound."""
    where = " AND ".join(
        f"t.{table.columns[column].quoted} = ${n}::text::{table.columns[column].type}"
        for n, column in enumerate(query.where, 5)
    )
    order = [
        f"t.{column.quoted}" for name, column in table.columns.items() if column.in_key
    ]  # in the key's order
    if query.column is not None:
        first = f"t.{table.columns[query.column].quoted}"
        order = [first + " DESC" * query.descending, *(name for name in order if name != first)]
    ordered = ", ".join(order)
    text = f"""WITH place AS (
    SELECT min(p.checkpoint) AS checkpoint
      FROM {schema}.projection_versions AS v
      JOIN {schema}.projection_partitions AS p
        ON p.projection = v.projection AND p.version = v.version
     WHERE v.projection = $1 AND v.serving HAVING count(*) > 0),
page AS (SELECT t.* FROM {table.name} AS t {"WHERE " * bool(where)}{where}
          ORDER BY {ordered} LIMIT $2::bigint + 1 OFFSET $3),
texts AS (SELECT row_to_json(t.*)::text AS text, row_number() OVER (ORDER BY {ordered}) AS n
            FROM page AS t),
sized AS (SELECT text, n, sum(octet_length(text) + 1) OVER (ORDER BY n) AS size FROM texts)
SELECT place.checkpoint, (SELECT count(*) FROM sized), given.count, given.rows
  FROM place, LATERAL (
       SELECT count(*) AS count, coalesce(string_agg(text, ',' ORDER BY n), '') AS rows
         FROM sized WHERE n <= $2 AND size <= $4) AS given"""  # noqa: S608 - quoted by PostgreSQL
    args = (query.projection, query.limit, query.offset, PAGE_BYTES, *query.where.values())
    return text, args


def _find_fault(query: TableQuery, table: _Table) -> Generator[Statement, Sequence[Any], None]:
    """Name the column whose value PostgreSQL refuses."""
    for name, value in query.where.items():
        try:
            yield f"SELECT ($1::text::{table.columns[name].type}) IS NULL", (value,)
        except InvalidInput as error:
            raise InvalidInput(f"column {name!r}: {error}") from error
