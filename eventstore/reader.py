"""LogReader: one log as it can be read, over a pool of asyncpg connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final, Self
from uuid import UUID

import asyncpg

from eventstore.core.errors import EventStoreError, NotFound, SchemaMismatch, Unavailable
from eventstore.core.events import RecordedEvent, check_event_id
from eventstore.core.paging import PAGE_BYTES, PageSize, size_of
from eventstore.core.query import EventQuery
from eventstore.core.reads import (
    Direction,
    LogHead,
    NameCount,
    Scan,
    StreamHead,
    log_scan,
    stream_scan,
)
from eventstore.core.streams import check_stream_name, listing_range
from eventstore.postgres.connection import IN_UTC, Connection, leave_as_it_is
from eventstore.postgres.dsn import check_dsn
from eventstore.postgres.errors import keeping_cancellation, refused_connection, translate
from eventstore.postgres.schema import check_revision
from eventstore.postgres.statements import statements

PAGE = 1_000
"""Most events of one round trip."""
ACQUIRE_WITHIN: Final = 5.0
"""Seconds that a read waits for one of the store's connections."""
_PATIENT: Final = frozenset({"projection_switch", "projection_compare"})
"""Statements that take the time that they need: they wait by a limit of their own, or read whole
tables."""
OLDEST_MAJOR = 15
"""Oldest PostgreSQL that the schema works on."""


class LogReader:
    """What EventStore reads with: a connection for a page at a time, none while the caller works
    on it.
    """

    def __init__(self, dsn: str, *, schema: str, max_connections: int) -> None:
        self.schema = schema
        self._dsn = dsn
        self._max_connections = max_connections
        self._statements = statements(schema)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
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
                reset=leave_as_it_is,
                connection_class=Connection,
                server_settings={"application_name": "eventstore", **IN_UTC},
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

    async def _check_server(self) -> None:
        try:
            with keeping_cancellation():
                async with self._pool_or_fail().acquire() as connection:
                    major = connection.get_server_version().major
        except Exception as error:  # noqa: BLE001 - every driver error is translated
            raise refused_connection(error) from None
        if major < OLDEST_MAJOR:
            raise SchemaMismatch(f"PostgreSQL {major} is too old: {OLDEST_MAJOR} to 18 are known")

    async def close(self) -> None:
        """Close every connection. Safe to call again."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

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
    ) -> AsyncGenerator[list[RecordedEvent]]:
        """Read a scan page by page; the next is fetched while the caller works on the last one.

        Pages are bounded in bytes.
        """
        left = limit
        size = PageSize(PAGE)
        asked = size(left)
        task = asyncio.ensure_future(self.page(scan, asked))
        try:
            while page := await task:
                scan = scan.behind(page[-1])
                size.read(page)
                if left is not None:
                    left -= len(page)
                more = len(page) == asked and left != 0
                if more:
                    asked = size(left)
                    task = asyncio.ensure_future(self.page(scan, asked))
                yield page
                if not more:
                    return
        finally:
            task.cancel()

    async def page_within(self, scan: Scan, limit: int) -> tuple[list[RecordedEvent], bool]:
        """Read one page that is bounded in bytes, too, and tell whether more may follow."""
        found: list[RecordedEvent] = []
        size = 0
        async with aclosing(self.pages(scan, limit)) as pages:
            async for page in pages:
                found += page
                size += size_of(page)
                if size >= PAGE_BYTES:
                    return found, True
        return found, len(found) == limit

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
        limit = 86_400.0 if name in _PATIENT else None  # None: that of the pool
        return await self._run(self._statements[name], args, limit)

    async def _run(
        self, statement: str, args: Sequence[Any], limit: float | None = None
    ) -> list[asyncpg.Record]:
        pool = self._pool_or_fail()
        try:
            with keeping_cancellation():
                try:
                    connection = await pool.acquire(timeout=ACQUIRE_WITHIN)
                except TimeoutError as error:
                    raise Unavailable(
                        f"all {self._max_connections} database connections were in use for "
                        f"{ACQUIRE_WITHIN:g} s"
                    ) from error
                try:
                    return await connection.fetch(statement, *args, timeout=limit)
                finally:
                    await pool.release(connection)
        except Exception as error:
            raise translate(error) from error
