"""Driver errors to our own, in one place. The driver's error stays as the cause."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from eventstore.core.errors import (
    REFUSAL_BY_SQLSTATE,
    ConsumerRefused,
    EventStoreError,
    HistoryRewound,
    InvalidInput,
    NotFound,
    ProjectionRefused,
    SchemaMismatch,
    Unavailable,
    refusal_from,
)
from eventstore.postgres.dsn import unreadable_dsn

LOCK_TIMEOUT: Final = "55P03"
_READ_ONLY: Final = "25006"
_QUEUE_FULL: Final = "54000"
_NOT_THERE: Final = "ST008"
_REFUSED: Final = {"ST010": ProjectionRefused, "ST011": ConsumerRefused}
_REWOUND: Final = "ST012"
_WITH_FACTS: Final = {*REFUSAL_BY_SQLSTATE, _REWOUND}
_FORGOTTEN: Final = {"26000", "42P05"}  # a prepared statement that is not there, or is already
_MISSING: Final = {"3F000", "42P01", "42883"}
_LOST: Final = {"InterfaceError", "OperationalError", "InternalClientError"}
_INPUT_CLASSES: Final = {"22", "23", "54"}  # data exception, constraint, program limit


class AccessDenied(EventStoreError):
    """The database refuses the user: a wrong password, or a role without the right."""


def is_lost(error: BaseException) -> bool:
    """Tell whether the line broke, so that a statement that was sent may have been carried out."""
    if isinstance(error, (OSError, TimeoutError)):
        return True
    sqlstate = _sqlstate(error)
    if sqlstate is not None:
        return sqlstate[:2] == "08" or sqlstate.startswith("57P")
    if is_bad_input(error):
        return False
    # Neither driver gives a SQLSTATE for a connection that is closed under it; asyncpg's protocol
    # is in no state to go on when that happens between two statements.
    return any(cls.__name__ in _LOST for cls in type(error).__mro__)


def is_bad_input(error: BaseException) -> bool:
    """Tell whether the values of the statement are at fault, not the state of the database."""
    sqlstate = _sqlstate(error)
    if sqlstate is None:  # a value that the driver itself cannot encode
        return isinstance(error, (ValueError, OverflowError)) or type(error).__name__ == "DataError"
    return sqlstate[:2] in _INPUT_CLASSES or REFUSAL_BY_SQLSTATE.get(sqlstate) is InvalidInput


@contextmanager
def keeping_cancellation() -> Iterator[None]:
    """Let a cancelled call to a pool end as cancelled.

    Where a connection breaks at the moment in which a cancelled call gives it back, asyncpg raises
    an error of its own in place of the cancellation. Taken for a passing one, it would be tried
    again, by a task that everyone believes to be ending.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    except Exception as error:
        # A timeout of the call's own has taken its cancellation back, and stays what it is.
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise


def refused_connection(error: BaseException) -> EventStoreError:
    """Give our error for a connection that could not be made. Use as `raise ... from None`.

    What a driver says of a DSN that it cannot read may hold a part of the password, so that is
    replaced by a text of ours, and the cause is not kept.
    """
    malformed = isinstance(error, ValueError) or type(error).__name__ == "ProgrammingError"
    if malformed and _sqlstate(error) is None:
        return unreadable_dsn()
    return translate(error)


def translate(error: BaseException) -> EventStoreError:
    """Give our error for a driver's. Use as `raise translate(error) from error`."""
    if isinstance(error, EventStoreError):
        return error
    sqlstate = _sqlstate(error) or ""
    text = str(error).strip().partition("\n")[0]
    if (refused := _own(error, sqlstate, text)) is not None:
        return refused
    if sqlstate in _MISSING:
        return SchemaMismatch(
            f"the event store's tables are not there ({text}); run: eventstore migrate"
        )
    if sqlstate == "3D000":
        return Unavailable(
            f"there is no such database: {text}; run: createdb, then eventstore migrate"
        )
    if sqlstate == "42501" or sqlstate.startswith("28"):
        return AccessDenied(f"the database refuses this user: {text}")
    if sqlstate in _FORGOTTEN:
        return Unavailable(
            f"a connection pooler loses prepared statements ({text}): connect directly, use its "
            "session mode, or pgbouncer 1.21 or newer with max_prepared_statements > 0"
        )
    if sqlstate == _READ_ONLY:
        return Unavailable(
            f"not stored: the database is read-only ({text}); if it is a standby: connect to the "
            "primary"
        )
    if sqlstate == LOCK_TIMEOUT:
        return _locked(error)
    if is_bad_input(error):
        return InvalidInput(f"PostgreSQL refuses the value: {text}")
    if is_lost(error):
        return Unavailable(f"the database cannot be reached: {text or type(error).__name__}")
    return Unavailable(f"the database refuses to work: {text} ({sqlstate or type(error).__name__})")


def _locked(error: BaseException) -> Unavailable:
    context = getattr(getattr(error, "diag", error), "context", None) or ""
    if "consumer_groups" in context:
        return Unavailable(
            "nothing was changed: another transaction has held the consumer group for over 5 s; "
            "pg_blocking_pids() of who waits for it says which"
        )
    return Unavailable(
        "not stored: another transaction has held the append lock for over 5 s; "
        "'eventstore doctor' and the view eventstore.health say which"
    )


def _own(error: BaseException, sqlstate: str, text: str) -> EventStoreError | None:
    """Give the error of one of our own SQLSTATEs."""
    facts = json.loads(_detail(error) or "{}") if sqlstate in _WITH_FACTS else {}
    if sqlstate in REFUSAL_BY_SQLSTATE:
        return refusal_from(sqlstate, facts)
    if sqlstate == _REWOUND:
        return HistoryRewound(**facts)
    if sqlstate == _NOT_THERE:
        return NotFound(text)
    if sqlstate in _REFUSED:
        return _REFUSED[sqlstate](f"{text} ({_hint(error)})")
    return None


def sqlstate_of(error: EventStoreError) -> str | None:
    """Give the SQLSTATE of the driver's error behind one of ours, None if there is none."""
    return None if error.__cause__ is None else _sqlstate(error.__cause__)


def not_notified(error: BaseException) -> EventStoreError:
    """Give our error for a NOTIFY that failed. Use as `raise ... from error`."""
    if _sqlstate(error) == _QUEUE_FULL:
        return Unavailable(
            "the database's notification queue is full: a session that listens has had a "
            "transaction open for long; 'eventstore doctor' says which"
        )
    return translate(error)


def _sqlstate(error: BaseException) -> str | None:
    value = getattr(error, "sqlstate", None)
    return value if isinstance(value, str) else None


def _detail(error: BaseException) -> str | None:
    return _said(error, "detail")


def _hint(error: BaseException) -> str | None:
    return _said(error, "hint")


def _said(error: BaseException, what: str) -> str | None:
    diag = getattr(error, "diag", None)  # psycopg
    text = getattr(error, what, None) if diag is None else getattr(diag, f"message_{what}", None)
    return text if isinstance(text, str) else None
