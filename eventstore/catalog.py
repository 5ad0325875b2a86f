"""The projections of a store: what they do, how far they are, and what operators can do."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar

from eventstore.core import catalog
from eventstore.core.catalog import ParkedStream, ProjectionStatus, Question
from eventstore.core.readtables import DEFAULT_ROWS, TablePage, TableQuery, table_query

T = TypeVar("T")


class Asked(Protocol):
    """How a store asks: the database, or a service."""

    def __call__(self, question: Question[T], /) -> Awaitable[T]: ...


class Looked(Protocol):
    """How a store reads a table, waiting at most so many seconds until it is new enough."""

    def __call__(self, query: TableQuery, timeout: float, /) -> Awaitable[TablePage]: ...


class ProjectionCatalog:
    """`store.projections`. Every method raises NotFound if there is no such projection.

    Where a `version` can be named, None is the one that serves.
    """

    def __init__(self, ask: Asked, look: Looked) -> None:
        self._ask = ask
        self._look = look

    async def all(self) -> list[ProjectionStatus]:
        """Give every version of every projection, by name and version."""
        return await self._ask(catalog.statuses())

    async def get(self, projection: str, *, version: int | None = None) -> ProjectionStatus:
        """Give what a version does and how far it is."""
        return await self._ask(catalog.status(projection, version))

    async def position(self, projection: str, stream_name: str) -> int:
        """Give the highest revision of a stream that it has applied, -1 if it has none."""
        return await self._ask(catalog.stream_position(projection, stream_name))

    async def parked(
        self, projection: str, *, version: int | None = None, limit: int = 1_000
    ) -> list[ParkedStream]:
        """Give the streams that are held back, the longest first, 1,000 at most."""
        return await self._ask(catalog.parked(projection, version, limit))

    async def pause(self, projection: str, *, version: int | None = None) -> None:
        """Let it rest, on every worker, until it is resumed."""
        await self._ask(catalog.pause(projection, version))

    async def resume(self, projection: str, *, version: int | None = None) -> None:
        """Let one that is paused or stopped go on where it was."""
        await self._ask(catalog.resume(projection, version))

    async def retry(
        self, projection: str, stream_name: str | None = None, *, version: int | None = None
    ) -> int:
        """Try a parked stream again from the event that failed (None: all); give how many.

        Raises NotFound if the stream that is named is not parked.
        """
        return await self._ask(catalog.retry(projection, stream_name, version))

    async def skip(self, projection: str, stream_name: str, *, version: int | None = None) -> int:
        """Leave out, for good, the event on which a parked stream waits; give its position.

        What comes after it is then applied. Raises NotFound if the stream is not parked.
        """
        return await self._ask(catalog.skip(projection, stream_name, version))

    async def rows(
        self,
        projection: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        order: str | None = None,
        limit: int = DEFAULT_ROWS,
        offset: int = 0,
        position: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> TablePage:
        """Read rows of a read table, and the checkpoint that they are as of: one snapshot.

        `where` is columns and the values they must have, `order` a column (`-column`: from the
        highest down); the primary key breaks ties. A page has `limit` rows (1 to 1,000, default
        100) and 4 MB at most.

        With `position`, as an append gave it, they are at least that new: waits for it as
        `wait_for` does, at most `timeout` seconds (default 5), and raises what that raises.
        Raises NotFound for an unknown table, InvalidInput for an unknown column or a value that is
        none of its type.
        """
        query = table_query(projection, table, where, order, limit, offset, position)
        return await self._look(query, timeout)


class SyncAsked(Protocol):
    """As `Asked`, without an event loop."""

    def __call__(self, question: Question[T], /) -> T: ...


class SyncLooked(Protocol):
    """As `Looked`, without an event loop."""

    def __call__(self, query: TableQuery, timeout: float, /) -> TablePage: ...


class SyncProjectionCatalog:
    """ProjectionCatalog's twin for code without an event loop."""

    def __init__(self, ask: SyncAsked, look: SyncLooked) -> None:
        self._ask = ask
        self._look = look

    def all(self) -> list[ProjectionStatus]:
        """See ProjectionCatalog.all."""
        return self._ask(catalog.statuses())

    def get(self, projection: str, *, version: int | None = None) -> ProjectionStatus:
        """See ProjectionCatalog.get."""
        return self._ask(catalog.status(projection, version))

    def position(self, projection: str, stream_name: str) -> int:
        """See ProjectionCatalog.position."""
        return self._ask(catalog.stream_position(projection, stream_name))

    def parked(
        self, projection: str, *, version: int | None = None, limit: int = 1_000
    ) -> list[ParkedStream]:
        """See ProjectionCatalog.parked."""
        return self._ask(catalog.parked(projection, version, limit))

    def pause(self, projection: str, *, version: int | None = None) -> None:
        """See ProjectionCatalog.pause."""
        self._ask(catalog.pause(projection, version))

    def resume(self, projection: str, *, version: int | None = None) -> None:
        """See ProjectionCatalog.resume."""
        self._ask(catalog.resume(projection, version))

    def retry(
        self, projection: str, stream_name: str | None = None, *, version: int | None = None
    ) -> int:
        """See ProjectionCatalog.retry."""
        return self._ask(catalog.retry(projection, stream_name, version))

    def skip(self, projection: str, stream_name: str, *, version: int | None = None) -> int:
        """See ProjectionCatalog.skip."""
        return self._ask(catalog.skip(projection, stream_name, version))

    def rows(
        self,
        projection: str,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        order: str | None = None,
        limit: int = DEFAULT_ROWS,
        offset: int = 0,
        position: int | None = None,
        timeout: float = 5.0,
    ) -> TablePage:
        """See ProjectionCatalog.rows."""
        query = table_query(projection, table, where, order, limit, offset, position)
        return self._look(query, timeout)
