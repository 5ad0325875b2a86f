"""What can be asked of a read table, checked, and a page of its rows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import UUID

from eventstore.core.errors import InvalidInput
from eventstore.core.reads import END

MOST_ROWS: Final = 1_000
"""Rows of a page, at most."""
DEFAULT_ROWS: Final = 100
RESERVED: Final = ("order", "limit", "offset")
"""What a request's parameters mean otherwise: columns of these names cannot be asked for."""


class TableQuery(NamedTuple):
    """Rows of a read table of the version that serves: `where` is columns and their values as text.

    `order` is a column, with `-` before it for descending; the primary key breaks ties. `position`
    is what they are to be as new as.
    """

    projection: str
    table: str
    where: Mapping[str, str]
    order: str | None
    limit: int
    offset: int
    position: int | None = None

    @property
    def column(self) -> str | None:
        """The column that it is ordered by."""
        return None if self.order is None else self.order.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether it is ordered from the highest value down."""
        return self.order is not None and self.order.startswith("-")


def table_query(
    projection: str,
    table: str,
    where: Mapping[str, Any] | None,
    order: str | None,
    limit: int,
    offset: int,
    position: int | None,
) -> TableQuery:
    """Check what is asked for; columns are the database's to know. Raises InvalidInput."""
    if not 1 <= limit <= MOST_ROWS:
        raise InvalidInput(f"a limit is 1 to {MOST_ROWS} rows: {limit}")
    if not 0 <= offset <= END:
        raise InvalidInput(f"an offset is 0 or more: {offset}")
    if position is not None and not 0 <= position <= END:
        raise InvalidInput(f"a position is 0 or more: {position}")
    for column in where or ():
        if column in RESERVED:
            raise InvalidInput(
                f"column {column!r} cannot be asked for: {', '.join(RESERVED)} mean something else"
            )
    texts = {column: _text(column, value) for column, value in (where or {}).items()}
    return TableQuery(projection, table, texts, order, limit, offset, position)


def _text(column: str, value: Any) -> str:
    """Give a value as PostgreSQL reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, (str, int, float, Decimal, UUID, date, datetime, time)):
        return str(value)
    raise InvalidInput(f"column {column!r}: no value to look for: {type(value).__name__}")


class _Page(NamedTuple):
    rows_json: str
    position: int
    next_offset: int | None


class TablePage(_Page):
    """Rows of a read table, and the projection's checkpoint, as of one moment.

    `rows_json` is their JSON array as PostgreSQL writes it; `rows` decodes it on first use: numbers
    with a fraction as Decimal, times and other types as text. `next_offset`
    is where more of them follow, None where these are the last.
    """

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as Python values."""
        decoded: list[dict[str, Any]] = json.loads(self.rows_json, parse_float=Decimal)
        return decoded

    def __repr__(self) -> str:
        return (
            f"TablePage(rows={self.rows!r}, position={self.position}, "
            f"next_offset={self.next_offset})"
        )
