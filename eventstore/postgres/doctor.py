"""What is well and what is not with a store's database, and what to do: `eventstore doctor`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from eventstore.core.errors import EventStoreError, SchemaMismatch
from eventstore.postgres.errors import AccessDenied, translate
from eventstore.postgres.schema import (
    DEFAULT_SCHEMA,
    REQUIRED_REVISION,
    check_revision,
)
from eventstore.postgres.statements import statements

OLDEST_MAJOR: Final = 15
NEWEST_MAJOR: Final = 18
LONG_LOCK: Final = 2.0
"""Seconds that the append lock may be held before it is worth a word; others wait 5 s at most."""
LONG_TRANSACTION: Final = 300.0
"""Seconds that a transaction may be open before it is worth a word."""
SLOW_QUERY: Final = 0.05
"""Seconds that a query which reads nothing may take: half of it is in every append."""
FULL_QUEUE: Final = 0.5
"""Share of the notification queue from which on PostgreSQL warns, and psql's append is silent."""
ECHO: Final = 2.0
"""Seconds in which a notification has to come back."""

State = Literal["ok", "warn", "bad"]
Echo = Literal["heard", "silent", "mixed", "full", "standby"]
"""What became of a notification that doctor sent to itself."""

_ECHOES: Final[dict[Echo, tuple[State, str, str]]] = {
    "heard": ("ok", "arrive", ""),
    "silent": (
        "warn",
        f"one sent to itself did not come back within {ECHO:g} s: followers have to poll",
        "connect directly, or by pgbouncer in session mode (not transaction mode)",
    ),
    "mixed": (
        "bad",
        "do not come back, and a pooler in transaction mode mixes up prepared statements: appends "
        "and reads fail now and then",
        "connect directly, by its session mode, or by pgbouncer 1.21 or newer with "
        "max_prepared_statements > 0",
    ),
    "full": (
        "bad",
        "cannot be sent, the queue is full: followers have to poll; appends go on",
        "end the transaction that holds it back: see 'notification queue'",
    ),
    "standby": ("warn", "a standby has none: followers have to poll", "connect to the primary"),
}


class Finding(NamedTuple):
    """One thing looked at: how it is, and what to do about it (empty where it is well)."""

    name: str
    state: State
    value: str
    advice: str = ""


def examine(dsn: str, *, schema: str = DEFAULT_SCHEMA) -> list[Finding]:
    """Look at everything. Never raises for what it finds; a database out of reach is a finding."""
    started = time.perf_counter()
    try:
        connection = _connect(dsn)
    except psycopg.Error as error:
        return [
            Finding(
                "connection",
                "bad",
                str(translate(error)),
                "check host, port, user and password, and that the server runs",
            )
        ]
    with connection:
        took = time.perf_counter() - started
        connected = Finding("connection", "ok", f"{took * 1000:.1f} ms")
        return [connected, *_Examination(dsn, connection, schema).findings()]


def _connect(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        dsn, autocommit=True, application_name="eventstore doctor", connect_timeout=5
    )


class _Examination:
    def __init__(self, dsn: str, connection: psycopg.Connection[Any], schema: str) -> None:
        self._dsn = dsn
        self._connection = connection
        self._schema = schema
        self._texts = statements(schema)

    def findings(self) -> list[Finding]:
        schema = self._schema
        roles = [f"{schema}_{name}" for name in ("owner", "writer", "reader", "worker")]
        return [
            *self._of("server", lambda: of_server(self._rows("doctor_server", roles)[0], schema)),
            *self._of("schema", lambda: [of_revision(self._revision(), schema)]),
            *self._of("append lock", lambda: [of_lock(self._rows("doctor_append_lock")[0])]),
            *self._of(
                "oldest transaction",
                lambda: [of_transaction(self._rows("doctor_oldest_transaction"))],
            ),
            *self._of(
                "read tables",
                lambda: [of_read_tables(self._rows("doctor_read_tables", f"{schema}_read"))],
            ),
            *self._of("indexes", lambda: [of_indexes(self._rows("invalid_indexes", schema))]),
            *self._of("notification queue", lambda: [self._queue()]),
            *self._of("notifications", lambda: [of_echo(self._echo())]),
            *self._of("tables", lambda: [of_sizes(self._rows("doctor_sizes", schema))]),
            *self._of("latency", lambda: [of_latency(self._latency())]),
        ]

    def _of(self, name: str, look: Any) -> Iterable[Finding]:
        """Make a look that fails a finding of its own, so that the others are still made."""
        try:
            found: Iterable[Finding] = look()
        except psycopg.Error as error:
            return [could_not_look(name, translate(error))]
        return found

    def _rows(self, name: str, *args: Any) -> list[tuple[Any, ...]]:
        with psycopg.RawCursor(self._connection) as cursor:
            return cursor.execute(self._texts[name].encode(), args).fetchall()

    def _revision(self) -> str | None:
        try:
            rows = self._rows("installed_revision")
        except psycopg.errors.UndefinedTable:
            return None
        return rows[0][0] if rows else None

    def _queue(self) -> Finding:
        [(usage, sees_all)] = self._rows("doctor_notifications")
        return of_queue(usage, self._rows("doctor_queue_holder"), sees_all=sees_all)

    def _echo(self) -> Echo:
        """Send a notification over one connection and listen for it on another, as the store does.

        On a single one it may come back even where it never would to a store.
        """
        channel = f"eventstore_doctor_{secrets.token_hex(6)}"
        try:
            with _connect(self._dsn) as listening:
                listening.execute(SQL("LISTEN {}").format(Identifier(channel)))
                self._rows("notify", channel, "")
                heard = [*listening.notifies(timeout=ECHO, stop_after=1)]
            return "heard" if heard else "mixed" if self._is_pooled_blindly() else "silent"
        except psycopg.errors.ProgramLimitExceeded:
            return "full"
        except psycopg.errors.ReadOnlySqlTransaction:
            return "standby"

    def _is_pooled_blindly(self) -> bool:
        """Tell whether a pooler is in between that passes names of prepared statements on as they
        are. In transaction mode one client then meets another's, which may have the same name."""
        with self._connection.transaction():
            self._connection.execute("SELECT true", prepare=True)  # a text of its own: it stays
            [(pid, ours)] = self._rows("doctor_prepared")
        return bool(ours) and pid != self._connection.info.backend_pid

    def _latency(self) -> float:
        took = []
        for _ in range(5):
            started = time.perf_counter()
            self._connection.execute("SELECT 1")
            took.append(time.perf_counter() - started)
        return min(took)


def could_not_look(name: str, error: EventStoreError) -> Finding:
    """Judge a question that the database did not answer."""
    if isinstance(error, AccessDenied):
        return Finding(name, "warn", "this user may not look", "run doctor as a user who may")
    if isinstance(error, SchemaMismatch):
        return Finding(name, "bad", "there is no store here", "run: eventstore migrate")
    return Finding(name, "bad", str(error), "see the server's log")


def of_server(row: Sequence[Any], schema: str) -> list[Finding]:
    """Judge the server's version and settings and the connected user's roles."""
    number, version, fsync, commit, page_writes, user, is_superuser, roles, in_recovery = row
    major = number // 10_000
    findings = [
        Finding("server", "bad", version, f"PostgreSQL {OLDEST_MAJOR} or newer is needed")
        if major < OLDEST_MAJOR
        else Finding("server", "warn", version, f"tested up to PostgreSQL {NEWEST_MAJOR}")
        if major > NEWEST_MAJOR
        else Finding("server", "ok", f"PostgreSQL {version}")
    ]
    if in_recovery:
        findings.append(
            Finding(
                "role of the server", "bad", "standby", "appends need the primary: connect there"
            )
        )
    risks = {
        "fsync": (fsync, "a crash can destroy the log: set fsync = on"),
        "full_page_writes": (page_writes, "a crash can destroy pages: set full_page_writes = on"),
        "synchronous_commit": (
            commit,
            "a crash can lose acknowledged appends: set synchronous_commit = on",
        ),
    }
    for name, (value, risk) in risks.items():
        is_off = value == "off"
        findings.append(Finding(name, "bad" if is_off else "ok", value, risk if is_off else ""))
    return [*findings, of_user(user, is_superuser=is_superuser, roles=roles, schema=schema)]


def of_user(user: str, *, is_superuser: bool, roles: Sequence[str], schema: str) -> Finding:
    """Judge what the connected user may do."""
    if is_superuser:
        return Finding(
            "user", "ok", f"{user} (superuser: fit for administration, not for services)"
        )
    held = ", ".join(role for role in roles if role != user)
    if roles:
        return Finding("user", "ok", f"{user} ({held})" if held else user)
    return Finding(
        "user",
        "bad",
        f"{user} has no role of the store",
        f"GRANT {schema}_writer TO {user} (or {schema}_reader)",
    )


def of_revision(installed: str | None, schema: str) -> Finding:
    """Judge the schema's revision."""
    try:
        check_revision(installed, schema=schema)
    except SchemaMismatch as fault:
        problem, _, command = str(fault).partition("; ")
        return Finding("schema", "bad", problem, command)
    return Finding("schema", "ok", f"{schema} at revision {installed}, needed {REQUIRED_REVISION}")


def of_lock(row: Sequence[Any]) -> Finding:
    """Judge who holds the append lock."""
    pid, user, application, state, held, waiters = row
    if pid is None:
        return Finding("append lock", "ok", "free")
    value = f"held for {held:.1f} s by {user} ({application or 'unnamed'}, pid {pid}, {state})"
    if waiters:
        value += f", {waiters} wait"
    if held < LONG_LOCK:
        return Finding("append lock", "ok", value)
    return Finding(
        "append lock",
        "bad" if waiters else "warn",
        value,
        f"its transaction must end; to end it: SELECT pg_terminate_backend({pid})",
    )


def of_transaction(rows: Sequence[Sequence[Any]]) -> Finding:
    """Judge the oldest transaction of another connection."""
    if not rows:
        return Finding("oldest transaction", "ok", "none")
    pid, user, application, state, age = rows[0]
    value = f"{age:,.1f} s: {user} ({application or 'unnamed'}, pid {pid}, {state})"
    if age < LONG_TRANSACTION:
        return Finding("oldest transaction", "ok", value)
    return Finding(
        "oldest transaction",
        "warn",
        value,
        "nothing that was deleted since can be cleaned up; end it, or "
        f"SELECT pg_terminate_backend({pid})",
    )


def of_read_tables(rows: Sequence[Sequence[Any]]) -> Finding:
    """Judge tables of projections that are no tables."""
    if not rows:
        return Finding("read tables", "ok", "all tables")
    return Finding(
        "read tables",
        "bad",
        ", ".join(row[0] for row in rows),
        "find out who put that there, then build the projection again: eventstore projections "
        "rebuild",
    )


def of_indexes(rows: Sequence[Sequence[Any]]) -> Finding:
    """Judge indexes that are there and not used."""
    if not rows:
        return Finding("indexes", "ok", "all valid")
    names = ", ".join(row[0] for row in rows)
    return Finding("indexes", "bad", f"invalid: {names}", "REINDEX INDEX CONCURRENTLY each of them")


def of_queue(usage: float, oldest: Sequence[Sequence[Any]], *, sees_all: bool) -> Finding:
    """Judge how full the notification queue is (0 to 1), with the oldest open transaction."""
    name, value = "notification queue", f"{usage:.1%} in use"
    if usage < FULL_QUEUE:
        return Finding(name, "ok", value)
    cause = "a session that listens has had a transaction open for long"
    if not (oldest and sees_all):
        return Finding(
            name, "warn", value, f"{cause}; a superuser or a member of pg_monitor sees which"
        )
    pid, user, application, database, state, since = oldest[0]
    who = f"{user} on {database} ({application or 'unnamed'}, pid {pid}, {state})"
    return Finding(
        name,
        "warn",
        f"{value}; the oldest transaction: {who}, since {since:%Y-%m-%d %H:%M:%S %Z}",
        f"{cause}, most likely that one: end it, or SELECT pg_terminate_backend({pid})",
    )


def of_echo(echo: Echo) -> Finding:
    """Judge whether notifications arrive. Where they do not, followers look every 0.1 s."""
    return Finding("notifications", *_ECHOES[echo])


def of_sizes(rows: Sequence[Sequence[Any]]) -> Finding:
    """Tell how large the tables are."""
    total = sum(size for _, size, _ in rows)
    shown = ", ".join(f"{name} {size_text(size)}" for name, size, _ in rows[:4])
    return Finding("tables", "ok", f"{size_text(total)} ({shown})" if rows else "none")


def of_latency(seconds: float) -> Finding:
    """Judge the time of a query that reads nothing."""
    value = f"{seconds * 1000:.2f} ms a round trip"
    if seconds < SLOW_QUERY:
        return Finding("latency", "ok", value)
    return Finding("latency", "warn", value, "the database is far away or overloaded")


def size_text(size: float) -> str:
    """Give bytes in a unit that people read."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
