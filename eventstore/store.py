"""EventStore: the store in your own process, over asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self
from uuid import UUID

import asyncpg

from eventstore.appender import LANES, Appender
from eventstore.core.append import (
    Append,
    Appended,
    AppendRequest,
    EncodedAppend,
    encode_append,
    make_request,
)
from eventstore.core.batching import columns, outcomes
from eventstore.core.errors import EventStoreError, NotFound, SchemaMismatch, Unavailable
from eventstore.core.events import EventData, RecordedEvent, check_event_id
from eventstore.core.limits import DEFAULT_LIMITS, Limits
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
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.core.streams import check_stream_name, listing_range
from eventstore.feed import Feed, Follower
from eventstore.ids import new_event_ids
from eventstore.postgres.dsn import check_dsn
from eventstore.postgres.errors import refused_connection, translate
from eventstore.postgres.lane import Lane
from eventstore.postgres.listener import Listener
from eventstore.postgres.notifier import Notifier
from eventstore.postgres.schema import DEFAULT_SCHEMA, check_revision
from eventstore.postgres.statements import statements

PAGE = 1_000
"""Events of one round trip of an unlimited read."""
RETRY = 0.5
"""Seconds until a follower looks again whether the database is back."""
OLDEST_MAJOR = 15
"""Oldest PostgreSQL that the schema works on."""


async def _leave_as_it_is(_connection: object) -> None:
    """No reset between uses of a connection: reads change nothing, so the round trip is saved."""


class EventStore:
    """One log in one PostgreSQL schema. Use as `async with EventStore(dsn) as store`.

    Safe to share between tasks. Concurrent appends are stored together (group commit); reads take
    a connection for a page at a time and none while the caller works on it.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = 8,
    ) -> None:
        self.schema = schema
        self.limits = limits
        self._dsn = dsn
        self._max_connections = max_connections
        self._statements = statements(schema)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._appender: Appender | None = None
        self._notifier = Notifier(lambda payload: self._notify(schema, payload))
        self._feed: Feed | None = None
        self._listener: Listener | None = None
        self._identity: LogHead | None = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect and compare the schema's revision. Raises SchemaMismatch or Unavailable."""
        try:
            self._pool = await asyncpg.create_pool(
                check_dsn(self._dsn),
                min_size=0,
                max_size=self._max_connections,
                timeout=10,
                command_timeout=60,
                reset=_leave_as_it_is,
                server_settings={"application_name": "eventstore"},
            )
        except Exception as error:  # noqa: BLE001 - every driver error is translated
            raise refused_connection(error) from None
        try:
            await self._check_server()
            check_revision(await self.installed_revision(), schema=self.schema)
            await self.head()
        except BaseException:
            await self.close()
            raise
        lanes = [Lane(self._dsn, self._statements["append"]) for _ in range(LANES)]
        self._appender = Appender(lanes, limits=self.limits, on_stored=self._stored)
        self._appender.start()
        self._notifier.start()

    async def _check_server(self) -> None:
        try:
            async with self._pool_or_fail().acquire() as connection:
                major = connection.get_server_version().major
        except Exception as error:  # noqa: BLE001 - every driver error is translated
            raise refused_connection(error) from None
        if major < OLDEST_MAJOR:
            raise SchemaMismatch(f"PostgreSQL {major} is too old: {OLDEST_MAJOR} to 18 are known")

    async def close(self) -> None:
        """End who follows, store what waits, close every connection. Safe to call again."""
        if self._feed is not None:
            await self._feed.close()
        if self._listener is not None:
            await self._listener.close()
        if self._appender is not None:
            await self._appender.close()
        await self._notifier.close()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        connection: asyncpg.Connection[Any] | None = None,
    ) -> Appended:
        """Append one event or several to a stream, all or nothing; return when they are on disk.

        A retry with the same event ids or the same `idempotency_key` stores nothing and gives the
        first answer, whatever it expects. With `connection`, the append is part of the caller's
        own transaction there, and holds the append lock until that ends: keep it short.

        Raises RevisionConflict, DuplicateEventId, InvalidInput, Unavailable (nothing stored), or
        OutcomeUnknown (retry with the same ids or key).
        """
        if isinstance(events, EventData):
            events = [events]
        append = encode_append(stream_name, events, expected_revision, limits=self.limits)
        request = self.request([append], idempotency_key=idempotency_key)
        return (await self._append(request, connection))[0]

    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        connection: asyncpg.Connection[Any] | None = None,
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing; one answer for each append.

        With `condition`, only if nothing that it excludes has been stored: raises ConditionFailed
        otherwise. A stream may be named again if the later append expects ANY. Otherwise as
        `append`.
        """
        encoded = [
            encode_append(
                append.stream_name,
                append.events,
                append.expected_revision,
                path=f"$.appends[{n}].events",
                limits=self.limits,
            )
            for n, append in enumerate(appends)
        ]
        request = self.request(encoded, condition=condition, idempotency_key=idempotency_key)
        return await self._append(request, connection)

    def request(
        self,
        appends: Sequence[EncodedAppend],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
    ) -> AppendRequest:
        """Make one request of checked appends, with ids for every event."""
        count = sum([len(append.events) for append in appends])
        return make_request(
            appends,
            new_ids=new_event_ids(count) if idempotency_key is None else None,
            idempotency_key=idempotency_key,
            condition=condition,
            limits=self.limits,
        )

    async def append_request(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Append a request that is checked already: what the service does with a body."""
        if self._appender is None:
            raise EventStoreError("the store is not open: use 'async with EventStore(...)'")
        return await self._appender.append(request)

    async def _append(
        self, request: AppendRequest, connection: asyncpg.Connection[Any] | None
    ) -> tuple[Appended, ...]:
        if connection is None:
            return await self.append_request(request)
        try:
            rows = await connection.fetch(self._statements["append"], *columns([request]))
        except Exception as error:
            raise translate(error) from error
        [outcome] = outcomes([request], rows)
        if isinstance(outcome, EventStoreError):
            raise outcome
        return outcome

    def read_stream(
        self,
        stream_name: str,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read a stream, or what lies between two revisions (both exclusive), in constant memory.

        A stream without events gives none. Bad arguments raise InvalidInput at once.
        """
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
    ) -> AsyncIterator[RecordedEvent]:
        """Read the log as it is now, or what `query` means between two positions (exclusive).

        Ends at the head of the moment it began; constant memory.
        """
        scan = log_scan(query or EventQuery(), after=after, before=before, direction=direction)
        return self._events(scan, limit)

    def follow(
        self, query: EventQuery | None = None, *, after: int = 0, epoch: int | None = None
    ) -> AsyncIterator[RecordedEvent]:
        """Read what `query` means (default: everything) after a position, and on for ever.

        Every event once, in order, also across lost connections and restarts of the database.
        Ends when the store is closed. Constant memory; holds no connection while it waits. Raises
        InvalidInput at once for a bad position, and HistoryRewound if the log does not have that
        position (in that epoch, if given), or loses it by a restore of the database.
        """
        return self._follow(self.follower(query, after=after, epoch=epoch))

    async def _follow(self, planned: Follower) -> AsyncIterator[RecordedEvent]:
        async with planned as follower:
            while not follower.closed:
                try:
                    events = await follower.next()
                except Unavailable:
                    await asyncio.sleep(RETRY)
                    continue
                for event in events:
                    yield event

    def follower(
        self, query: EventQuery | None = None, *, after: int = 0, epoch: int | None = None
    ) -> Follower:
        """Plan to follow by hand: pages with a time limit, and a position that moves on."""
        return Follower(self.start_following(), query, after=after, epoch=epoch)

    def start_following(self) -> Feed:
        """Start to listen for appends elsewhere; the first follower does so otherwise."""
        self._pool_or_fail()
        if self._feed is None:
            feed = Feed(self, live=lambda: not listener.trouble)
            listener = Listener(self._dsn, self.schema, wake=feed.wake, notify=self._notify)
            feed.start()
            listener.start()
            self._feed, self._listener = feed, listener
        return self._feed

    @property
    def followers(self) -> int:
        """How many follow now."""
        return 0 if self._feed is None else self._feed.followers

    def end_followers(self) -> None:
        """Let everyone who follows end now, and nobody begin; the rest goes on."""
        if self._feed is not None:
            self._feed.end_followers()

    @property
    def following_troubles(self) -> list[str]:
        """Why followers have to poll, here or in other processes; empty if they need not."""
        heard = "" if self._listener is None else self._listener.trouble
        read = "" if self._feed is None else self._feed.trouble
        return [trouble for trouble in (read, heard, self._notifier.trouble) if trouble]

    def _stored(self, position: int) -> None:
        self._notifier.stored(position)
        if self._feed is not None:
            self._feed.wake()

    async def _notify(self, channel: str, payload: str) -> None:
        await self._fetch("notify", channel, payload)

    async def page(self, scan: Scan, limit: int) -> list[RecordedEvent]:
        """Read one page of a scan."""
        if scan.is_empty or limit == 0:
            return []
        rows = await self._fetch(scan.statement, *scan.args(limit))
        return list(map(RecordedEvent._make, rows))

    async def news(self, after: int, limit: int) -> tuple[LogHead, list[RecordedEvent]]:
        """Read the head and the first events after a position, as of one moment."""
        rows = await self._fetch("log_news", after, limit)
        head = self._identity = LogHead(*rows[0][:3])
        return head, sorted([RecordedEvent._make(row[3:]) for row in rows if row[3] is not None])

    async def pages(
        self, scan: Scan, limit: int | None = None
    ) -> AsyncIterator[list[RecordedEvent]]:
        """Read a scan page by page; the next is fetched while the caller works on the last one."""
        left = limit
        size = PAGE if left is None else min(PAGE, left)
        task = asyncio.ensure_future(self.page(scan, size))
        try:
            while page := await task:
                scan = scan.behind(page[-1])
                if left is not None:
                    left -= len(page)
                more = len(page) == size and left != 0
                size = PAGE if left is None else min(PAGE, left)
                if more:
                    task = asyncio.ensure_future(self.page(scan, size))
                yield page
                if not more:
                    return
        finally:
            task.cancel()

    async def _events(self, scan: Scan, limit: int | None) -> AsyncIterator[RecordedEvent]:
        if not scan.by_revision and not scan.backward:
            scan = scan.up_to((await self.head()).position)
        async for page in self.pages(scan, limit):
            for event in page:
                yield event

    async def event(self, event_id: UUID | str) -> RecordedEvent:
        """Give an event by its id, or raise NotFound."""
        rows = await self._fetch("event_by_id", check_event_id(event_id))
        if not rows:
            raise NotFound(f"there is no event with id {event_id}")
        return RecordedEvent._make(rows[0])

    async def head(self) -> LogHead:
        """Give the log's identity, epoch and last position (0 when empty)."""
        [row] = await self._fetch("log_head")
        self._identity = LogHead(*row)
        return self._identity

    @property
    def store_id(self) -> UUID:
        """Which log this is, also after dump and restore."""
        return self._known().store_id

    @property
    def epoch(self) -> int:
        """The log's epoch, as `head` saw it last. It changes only by a restore of the database."""
        return self._known().epoch

    @property
    def pending_appends(self) -> int:
        """Appends that wait for a batch now; `limits.pending_appends` is the most."""
        return 0 if self._appender is None else self._appender.pending

    def _known(self) -> LogHead:
        if self._identity is None:
            raise EventStoreError("the store is not open: use 'async with EventStore(...)'")
        return self._identity

    async def stream_head(self, stream_name: str) -> int | None:
        """Give the revision of the stream's last event, or None if it has none."""
        rows = await self._fetch("stream_head", check_stream_name(stream_name))
        return rows[0][0] if rows else None

    async def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = PAGE
    ) -> list[StreamHead]:
        """List streams in name order (by code point), after a name, at most `limit` of them."""
        names = listing_range(prefix, category)
        if names is None:
            return []
        rows = await self._fetch("list_streams", *names, after, limit)
        return [StreamHead(*row) for row in rows]

    async def categories(self) -> list[NameCount]:
        """List every category with its number of events. Counts: reads an index as a whole."""
        return [NameCount(*row) for row in await self._fetch("categories")]

    async def event_types(self) -> list[NameCount]:
        """List every event type with its number of events. Counts: reads an index as a whole."""
        return [NameCount(*row) for row in await self._fetch("event_types")]

    async def installed_revision(self) -> str | None:
        """Give the revision of the database's schema, None if there is no store."""
        try:
            rows = await self._fetch("installed_revision")
        except SchemaMismatch:
            return None
        return rows[0][0] if rows else None

    def _pool_or_fail(self) -> asyncpg.Pool[asyncpg.Record]:
        if self._pool is None:
            raise EventStoreError("the store is not open: use 'async with EventStore(...)'")
        return self._pool

    async def _fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        pool = self._pool_or_fail()
        try:
            return await pool.fetch(self._statements[name], *args)
        except Exception as error:
            raise translate(error) from error
