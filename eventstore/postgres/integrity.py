"""What only the database can say of the log's integrity: `eventstore verify --dsn`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import psycopg

from eventstore.core.history import EVENT_IDS
from eventstore.postgres.errors import translate
from eventstore.postgres.schema import DEFAULT_SCHEMA
from eventstore.postgres.statements import statements

# A check that reads through the index it is to check would see what the index says.
_NO_INDEX_SCANS: Final = (
    "-c enable_indexscan=off -c enable_indexonlyscan=off -c enable_bitmapscan=off"
)


class Integrity(NamedTuple):
    """One check: what must hold, how often it does not, and the first few cases."""

    check: str
    violations: int
    examples: list[str]


def examine(dsn: str, *, schema: str = DEFAULT_SCHEMA) -> list[Integrity]:
    """Run every check of the database. Reads the whole log twice; changes and blocks nothing.

    Raises Unavailable or AccessDenied if it cannot ask.
    """
    texts = statements(schema)

    def problems(name: str, *args: Any) -> list[tuple[Any, ...]]:
        with psycopg.RawCursor(connection) as cursor:
            return cursor.execute(texts[name].encode(), args).fetchall()

    try:
        with psycopg.connect(
            dsn, autocommit=True, application_name="eventstore verify", options=_NO_INDEX_SCANS
        ) as connection:
            return [
                _counted(EVENT_IDS, problems("repeated_event_ids")),
                _counted("the tag index says what events say", problems("wrong_event_tags")),
                _named("triggers refuse every change", problems("weak_triggers")),
                _named("indexes are valid", problems("invalid_indexes", schema)),
                _named("only the owner may change the log", problems("roles_that_may_write")),
            ]
    except psycopg.Error as error:
        raise translate(error) from error


def _counted(check: str, rows: list[tuple[Any, ...]]) -> Integrity:
    """Read rows that carry how many there are in all."""
    return Integrity(check, rows[0][1] if rows else 0, [row[0] for row in rows])


def _named(check: str, rows: list[tuple[Any, ...]]) -> Integrity:
    return Integrity(check, len(rows), [row[0] for row in rows])
