"""SyncEventStore: EventStore's twin for code without an event loop, over psycopg."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg

from eventstore.applied import sync_with_applied
from eventstore.catalog import SyncProjectionCatalog
from eventstore.consumers import BATCH, SyncConsumerCatalog
from eventstore.core.append import Append, Appended, AppendRequest, next_ids, refuse_longer
from eventstore.core.batching import columns, outcomes
from eventstore.core.catalog import Question
from eventstore.core.decider import Decider
from eventstore.core.delivery import Delivery, check_most, received
from eventstore.core.errors import (
    EventStoreError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    ProjectionBehind,
    SchemaMismatch,
)
from eventstore.core.events import EventData, RecordedEvent, check_event_id
from eventstore.core.limits import DEFAULT_LIMITS, Limits
from eventstore.core.paging import PageSize
from eventstore.core.progress import Look, too_late, wait_of
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.reads import (
    Direction,
    LogHead,
    NameCount,
    Scan,
    StreamHead,
    log_scan,
    stream_scan,
)
from eventstore.core.readtables import TablePage, TableQuery
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.core.streams import check_stream_name, listing_range
from eventstore.deciders import RETRIES, Fetch, Handled, Step, Store, handling
from eventstore.member import SyncMember
from eventstore.postgres.dsn import check_dsn
from eventstore.postgres.errors import is_lost, refused_connection, translate
from eventstore.postgres.readtables import table_steps
from eventstore.postgres.schema import DEFAULT_SCHEMA, check_revision
from eventstore.postgres.statements import statements
from eventstore.receiving import LOOK
from eventstore.requests import request_many, request_one

logger = logging.getLogger("eventstore.sync")

T = TypeVar("T")
S = TypeVar("S")
PAGE = 1_000


class SyncEventStore:
    """One log in one PostgreSQL schema. Use as `with SyncEventStore(dsn) as store`.

    One connection, made again when it breaks; calls from several threads take turns. Every append
    is a transaction of its own: there is nobody to share it with. Same statements, arguments,
    answers and errors as EventStore.
    """

    def __init__(
        self, dsn: str, *, schema: str = DEFAULT_SCHEMA, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.schema = schema
        self.limits = limits
        self._dsn = dsn
        self._statements = statements(schema)
        self._turn = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connect and compare the schema's revision. Raises SchemaMismatch or Unavailable."""
        try:
            check_revision(self.installed_revision(), schema=self.schema)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection. Safe to call again."""
        with self._turn:
            if self._connection is not None:
                connection, self._connection = self._connection, None
                connection.close()

    def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,
        connection: psycopg.Connection[Any] | None = None,
    ) -> Appended:
        """Append one event or several to a stream: see EventStore.append.

        A line that breaks during the commit raises OutcomeUnknown with the event ids that were
        sent: append again with them, and nothing is stored twice.
        """
        request = request_one(
            stream_name,
            events,
            expected_revision,
            idempotency_key=idempotency_key,
            limits=self.limits,
        )
        return self._append(request, connection, wait_for, timeout)[0]

    def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,
        connection: psycopg.Connection[Any] | None = None,
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing: see EventStore.append_many."""
        request = request_many(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )
        return self._append(request, connection, wait_for, timeout)

    def _append(
        self,
        request: AppendRequest,
        connection: psycopg.Connection[Any] | None,
        wait_for: str | None,
        timeout: float,
    ) -> tuple[Appended, ...]:
        if wait_for is None:
            return self._store(request, connection)
        if connection is not None:
            raise InvalidInput("no projection sees what is in a transaction of your own")
        self.wait_for(wait_for, position=0, timeout=0)  # is there one?
        appended = self._store(request, None)
        return sync_with_applied(self.wait_for, wait_for, appended, timeout)

    def _store(
        self, request: AppendRequest, connection: psycopg.Connection[Any] | None
    ) -> tuple[Appended, ...]:
        arguments = columns([request])
        if connection is None:
            try:
                rows = self._fetch("append", *arguments)
            except EventStoreError as error:
                if error.__cause__ is not None and is_lost(error.__cause__):
                    raise OutcomeUnknown(tuple(request.event_ids)) from error.__cause__
                raise
        else:
            rows = _run(connection, self._statements["append"], arguments)
        [outcome] = outcomes([request], rows)
        if isinstance(outcome, EventStoreError):
            raise outcome
        if outcome[0].replayed and (longer := next_ids(request)):
            if connection is None:
                refuse_longer(self._fetch("stored_id", longer))
            else:
                refuse_longer(_run(connection, self._statements["stored_id"], (longer,)))
        if connection is None and not outcome[-1].replayed:
            self._notify(outcome[-1].position)
        return outcome

    def _notify(self, head: int) -> None:
        """Wake followers elsewhere. They look by themselves, a second later, if it fails."""
        try:
            self._fetch("notify", self.schema, str(head))
        except EventStoreError as error:
            logger.debug("followers have to poll: %s", error)

    def handle(
        self,
        decider: Decider[S],
        stream_name: str,
        command: object,
        *,
        command_id: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] = MappingProxyType({}),
        retries: int = RETRIES,
        wait_for: str | None = None,
        timeout: float = 5.0,
    ) -> Handled[S]:
        """Handle a command: see EventStore.handle."""
        steps = handling(
            decider,
            stream_name,
            command,
            command_id=command_id,
            tags=tags,
            metadata=metadata,
            retries=retries,
        )
        if wait_for is not None:
            self.wait_for(wait_for, position=0, timeout=0)  # is there one?
        handled = self._carry_out(steps)
        if wait_for is None or handled.appended is None:
            return handled
        [applied] = sync_with_applied(self.wait_for, wait_for, [handled.appended], timeout)
        return handled._replace(appended=applied)

    def _carry_out(self, steps: Generator[Step, Any, Handled[S]]) -> Handled[S]:
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._step(step)
                except EventStoreError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as done:
            handled: Handled[S] = done.value
            return handled

    def _step(self, step: Step) -> Any:
        if isinstance(step, Fetch):
            return self._fetch(step.statement, *step.args)
        if isinstance(step, Store):
            return self.append(
                step.stream_name, step.events, expected_revision=step.expected_revision
            )
        return time.sleep(step.seconds)

    def read_stream(
        self,
        stream_name: str,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> Iterator[RecordedEvent]:
        """Read a stream: see EventStore.read_stream."""
        scan = stream_scan(stream_name, after=after, before=before, direction=direction)
        return self._events(scan, limit)

    def read(
        self,
        query: EventQuery | None = None,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> Iterator[RecordedEvent]:
        """Read the log as it is now, or what `query` means of it: see EventStore.read."""
        scan = log_scan(query or EventQuery(), after=after, before=before, direction=direction)
        return self._events(scan, limit)

    def _events(self, scan: Scan, limit: int | None) -> Iterator[RecordedEvent]:
        if not scan.by_revision and not scan.backward:
            scan = scan.up_to(self.head().position)
        left = limit
        size = PageSize(PAGE)
        while left != 0 and not scan.is_empty:
            asked = size(left)
            page = list(map(RecordedEvent._make, self._fetch(scan.statement, *scan.args(asked))))
            yield from page
            if len(page) < asked:
                return
            scan = scan.behind(page[-1])
            size.read(page)
            left = None if left is None else left - len(page)

    def event(self, event_id: UUID | str) -> RecordedEvent:
        """Give an event by its id, or raise NotFound."""
        rows = self._fetch("event_by_id", check_event_id(event_id))
        if not rows:
            raise NotFound(f"there is no event with id {event_id}")
        return RecordedEvent._make(rows[0])

    def head(self) -> LogHead:
        """Give the log's identity, epoch and last position (0 when empty)."""
        [row] = self._fetch("log_head")
        return LogHead(*row)

    def stream_head(self, stream_name: str) -> int | None:
        """Give the revision of the stream's last event, or None if it has none."""
        rows = self._fetch("stream_head", check_stream_name(stream_name))
        return rows[0][0] if rows else None

    def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = PAGE
    ) -> list[StreamHead]:
        """List streams in name order (by code point), after a name, at most `limit` of them."""
        names = listing_range(prefix, category)
        if names is None:
            return []
        return [StreamHead(*row) for row in self._fetch("list_streams", *names, after, limit)]

    def categories(self) -> list[NameCount]:
        """List every category with its number of events."""
        return [NameCount(*row) for row in self._fetch("categories")]

    def event_types(self) -> list[NameCount]:
        """List every event type with its number of events."""
        return [NameCount(*row) for row in self._fetch("event_types")]

    def wait_for(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,
    ) -> int:
        """Wait for a projection: see EventStore.wait_for. Looks every 10 to 50 ms."""
        wait = wait_of(projection, position=position, stream=stream, revision=revision)
        began, first, pause = time.monotonic(), None, 0.01
        while True:
            [row] = self._fetch("projection_look", *Look.asked([wait]))
            look = Look.of(row)
            wait = look.placed(wait)
            told = look.verdict(wait)
            if isinstance(told, EventStoreError):
                raise told
            if told is not None:
                return told
            standing = look.standings[projection]
            first = standing.checkpoint if first is None else first
            if (seconds := time.monotonic() - began) >= timeout:
                moved = standing.checkpoint - first
                raise too_late(wait, standing, seconds=seconds, moved=moved)
            time.sleep(min(pause, timeout - seconds))
            pause = min(0.05, pause * 1.5)

    @property
    def projections(self) -> SyncProjectionCatalog:
        """What projections there are, how far they are, and what operators can do about it."""
        return SyncProjectionCatalog(self._ask, self._look)

    @property
    def consumers(self) -> SyncConsumerCatalog:
        """Consumer groups: made, received from, settled, and what operators can do about them."""
        return SyncConsumerCatalog(self._ask, self._receive)

    def consume(self, name: str, max: int = BATCH, *, member: str | None = None) -> SyncMember:
        """Be a member of a group: see EventStore.consume."""
        return SyncMember(self.consumers, name, max, member)

    def _receive(self, name: str, most: int, member: str, wait: float) -> list[Delivery]:
        check_most(most)
        began, pause = time.monotonic(), 0.01
        while True:
            deliveries, idle = received(self._fetch("consumer_receive", name, most, member))
            left = began + (max(wait, LOOK) if idle.more else wait) - time.monotonic()
            if deliveries or left <= 0:
                return deliveries
            if not idle.more:
                time.sleep(min(pause, left))
                pause = min(0.1, pause * 1.5)

    def _ask(self, question: Question[T]) -> T:
        return question.of_rows(self._fetch(question.statement, *question.args))

    def _look(self, query: TableQuery, timeout: float) -> TablePage:
        if (position := query.position) is None:
            return self._page_of(query)
        try:
            self.wait_for(query.projection, position=position, timeout=0)
        except ProjectionBehind:
            self._page_of(query)  # what is asked wrongly is told before the wait
            self.wait_for(query.projection, position=position, timeout=timeout)
        page = self._page_of(query)
        if page.position < position:  # another version serves since, and is behind
            return self._look(query, timeout)
        return page

    def _page_of(self, query: TableQuery) -> TablePage:
        steps = table_steps(query, schema=self.schema)
        try:
            statement = next(steps)
            while True:
                try:
                    rows = self._on_connection(*statement)
                except EventStoreError as error:
                    statement = steps.throw(error)
                else:
                    statement = steps.send(rows)
        except StopIteration as done:
            page: TablePage = done.value
            return page

    def installed_revision(self) -> str | None:
        """Give the revision of the database's schema, None if there is no store."""
        try:
            rows = self._fetch("installed_revision")
        except SchemaMismatch:
            return None
        return rows[0][0] if rows else None

    def _fetch(self, name: str, *args: Any) -> list[tuple[Any, ...]]:
        return self._on_connection(self._statements[name], args)

    def _on_connection(self, statement: str, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._turn:
            if self._connection is None or self._connection.closed:
                self._connection = _connect(self._dsn)
            return _run(self._connection, statement, args)


def _connect(dsn: str) -> psycopg.Connection[Any]:
    """Connect with times in UTC and in the only style that psycopg reads.

    Said when connected, not in what the connection begins with: there the environment (PGTZ) and
    the DSN's own `options` would have a say too, and poolers refuse `options`.
    """
    try:
        connection = psycopg.connect(
            check_dsn(dsn),
            autocommit=True,
            application_name="eventstore",
            prepare_threshold=None,  # a pooler may mix up psycopg's `_pg3_0`, too
        )
        try:
            connection.execute(
                "SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false)"
            )
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        # Nothing was sent: this failure is never an unknown outcome.
        raise refused_connection(error) from None
    return connection


def _run(
    connection: psycopg.Connection[Any], statement: str, args: Sequence[Any]
) -> list[tuple[Any, ...]]:
    try:
        with psycopg.RawCursor(connection) as cursor:
            return cursor.execute(statement.encode(), args).fetchall()
    except (psycopg.Error, UnicodeEncodeError) as error:
        raise translate(error) from error
