"""The faces of the store behind one interface, so that one suite shows that they behave alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import httpx
import psycopg
import pytest

from eventstore import (
    ANY,
    Append,
    AppendCondition,
    Appended,
    ConsumerCatalog,
    Decider,
    EventData,
    EventQuery,
    EventStore,
    ExpectedRevision,
    Handled,
    ProjectionCatalog,
    RecordedEvent,
)
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore.core.reads import Direction, LogHead, NameCount, StreamHead
from eventstore.sync import SyncEventStore
from tests.fix_database import new_pg
from tests.fix_service import application, served

S = TypeVar("S")
T = TypeVar("T")


class Face(Protocol):
    """What every face of the store can do."""

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> Appended: ...
    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> tuple[Appended, ...]: ...
    def read_stream(
        self,
        stream_name: str,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]: ...
    def read(
        self,
        query: EventQuery | None = None,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]: ...
    async def event(self, event_id: UUID | str) -> RecordedEvent: ...
    async def head(self) -> LogHead: ...
    async def stream_head(self, stream_name: str) -> int | None: ...
    async def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = 1_000
    ) -> list[StreamHead]: ...
    async def categories(self) -> list[NameCount]: ...
    async def event_types(self) -> list[NameCount]: ...
    @property
    def projections(self) -> ProjectionCatalog: ...
    @property
    def consumers(self) -> ConsumerCatalog: ...
    def consume(self, name: str, max: int = 50, *, member: str | None = None) -> Any: ...
    async def wait_for(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> int: ...


class LocalFace(Face, Protocol):
    """A face that can append within its caller's own transaction, and handles commands."""

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
        connection: Any = None,
    ) -> Appended: ...
    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
        connection: Any = None,
    ) -> tuple[Appended, ...]: ...
    async def handle(
        self,
        decider: Decider[S],
        stream_name: str,
        command: object,
        *,
        command_id: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] = MappingProxyType({}),
        retries: int = 10,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> Handled[S]: ...


class _InThreads:
    """Something without an event loop, every call of which is made in a thread."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method
        return lambda *args, **options: asyncio.to_thread(method, *args, **options)


class Threaded(_InThreads):
    """A face without an event loop as a Face: every call in a thread."""

    def __init__(self, store: SyncEventStore | SyncEventStoreClient) -> None:
        super().__init__(store)

    @property
    def projections(self) -> Any:
        return _InThreads(self._store.projections)

    @property
    def consumers(self) -> Any:
        return _InThreads(self._store.consumers)

    @asynccontextmanager
    async def consume(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        member = self._store.consume(*args, **options)
        await asyncio.to_thread(member.__enter__)
        try:
            yield (_InThreads(delivery) async for delivery in _stepped(iter(member)))
        finally:
            await asyncio.to_thread(member.__exit__, None, None, None)

    def read_stream(self, *args: Any, **options: Any) -> AsyncIterator[RecordedEvent]:
        return _stepped(self._store.read_stream(*args, **options))

    def read(self, *args: Any, **options: Any) -> AsyncIterator[RecordedEvent]:
        return _stepped(self._store.read(*args, **options))

    def follow(self, *args: Any, **options: Any) -> AsyncIterator[RecordedEvent]:
        assert isinstance(self._store, SyncEventStoreClient)
        return _stepped(self._store.follow(*args, **options))


async def _stepped(items: Iterator[T]) -> AsyncIterator[T]:
    while (item := await asyncio.to_thread(next, items, None)) is not None:
        yield item


class OwnTransaction(NamedTuple):
    """A transaction of the caller's own: what to hand to `append`, and plain SQL in it."""

    connection: Any
    execute: Callable[[str], Any]


class LocalKind(NamedTuple):
    """How a local face is opened, and how its user opens a transaction."""

    open: Callable[[str], AbstractAsyncContextManager[LocalFace]]
    own_transaction: Callable[[str], AbstractAsyncContextManager[OwnTransaction]]


@asynccontextmanager
async def _open_asyncpg(dsn: str) -> AsyncIterator[LocalFace]:
    async with EventStore(dsn) as store:
        yield store


@asynccontextmanager
async def _open_psycopg(dsn: str) -> AsyncIterator[LocalFace]:
    with SyncEventStore(dsn) as store:
        yield Threaded(store)


@asynccontextmanager
async def _open_client(dsn: str) -> AsyncIterator[Face]:
    async with EventStore(dsn) as store:
        with application(store) as app:
            transport = httpx.ASGITransport(app)
            async with EventStoreClient("http://service", transport=transport) as client:
                yield client


@asynccontextmanager
async def _open_sync_client(dsn: str) -> AsyncIterator[Face]:
    with (
        served(EventStore(dsn)) as (host, port),
        SyncEventStoreClient(f"http://{host}:{port}") as client,
    ):
        yield Threaded(client)


@asynccontextmanager
async def _asyncpg_transaction(dsn: str) -> AsyncIterator[OwnTransaction]:
    async with new_pg(dsn) as connection, connection.transaction():
        yield OwnTransaction(connection, connection.execute)


@asynccontextmanager
async def _psycopg_transaction(dsn: str) -> AsyncIterator[OwnTransaction]:
    with psycopg.connect(dsn) as connection:

        async def execute(sql: str) -> None:
            await asyncio.to_thread(connection.execute, sql.encode())

        yield OwnTransaction(connection, execute)


LOCAL_KINDS = {
    "asyncpg": LocalKind(_open_asyncpg, _asyncpg_transaction),
    "psycopg": LocalKind(_open_psycopg, _psycopg_transaction),
}
OPENERS: dict[str, Callable[[str], AbstractAsyncContextManager[Face]]] = {
    "asyncpg": _open_asyncpg,
    "psycopg": _open_psycopg,
    "http": _open_client,
    "http-sync": _open_sync_client,
}


OVER_HTTP = ("http", "http-sync")


@pytest.fixture(
    params=[
        *LOCAL_KINDS,
        # What PostgreSQL does differently, the local ones show.
        *[pytest.param(name, marks=pytest.mark.one_postgres) for name in OVER_HTTP],
    ]
)
async def face(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[Face]:
    """An open store on a fresh database, through each face in turn."""
    async with OPENERS[request.param](dsn) as opened:
        yield opened


@pytest.fixture(params=list(LOCAL_KINDS))
def local_kind(request: pytest.FixtureRequest) -> LocalKind:
    """Each local face in turn."""
    return LOCAL_KINDS[request.param]


@pytest.fixture
async def local_face(local_kind: LocalKind, dsn: str) -> AsyncIterator[LocalFace]:
    """An open store on a fresh database, through each local face in turn."""
    async with local_kind.open(dsn) as opened:
        yield opened
