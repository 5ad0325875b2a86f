"""The projections of a store: what they do, how far they are, and what operators can do."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar

from eventstore.core import catalog
from eventstore.core.catalog import ParkedStream, ProjectionStatus, Question, TableComparison
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

    Where a `version` can be named, None is the one that serves; for `drop` it is all of them.
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
        """Mark a parked stream to be tried again from the event that failed (None: all).

        Gives how many. A worker tries it within a second; asked again before that, nothing changes.
        Raises NotFound if the stream that is named is not parked.
        """
        return await self._ask(catalog.retry(projection, stream_name, version))

    async def skip(self, projection: str, stream_name: str, *, version: int | None = None) -> int:
        """Leave out, for good, the event on which a parked stream waits; give its position.

        What comes after it is then applied. Raises NotFound if the stream is not parked.
        """
        return await self._ask(catalog.skip(projection, stream_name, version))

    async def switch(
        self,
        projection: str,
        version: int,
        *,
        even_if_behind: bool = False,
        timeout: float = 10.0,  # noqa: ASYNC109 - the database counts it
    ) -> int:
        """Let another version serve under the plain names; give the version that did until now.

        That one goes on beside it, as long as workers run it, and can be switched back to. Nobody
        sees anything in between, and whoever waited for an event sees it. Waits for at most
        `timeout` seconds (default 10) until the version is where the other one is; raises
        ProjectionRefused if it does not come there, if somebody keeps reading the tables, or if it
        holds streams back. With `even_if_behind` it serves as it is: readers may see older rows
        than before until it has caught up.
        """
        return await self._ask(
            catalog.switch(projection, version, even_if_behind=even_if_behind, seconds=timeout)
        )

    async def drop(self, projection: str, version: int | None = None) -> None:
        """Remove a version that does not serve, with its tables; its runners leave it alone.

        None removes the whole projection, whatever serves: every version, its tables, and what is
        parked in it. Whoever waits for it is told NotFound. A worker that starts with a definition
        that was dropped builds it anew from the first event: take it out of the App.

        Raises ProjectionRefused if the version serves, if a worker runs the projection that is to
        go as a whole (pause it first, each version, or end the worker), or if something depends on
        its tables.
        """
        await self._ask(catalog.drop(projection, version))

    async def rebuild(self, projection: str, version: int) -> None:
        """Let a version that does not serve begin anew with the first event, its tables empty.

        Raises ProjectionRefused for the one that serves: give its definition a new version.
        """
        await self._ask(catalog.rebuild(projection, version))

    async def compare(self, projection: str, version: int) -> list[TableComparison]:
        """Compare a version with the one that serves, table by table. Reads both as a whole.

        Looks up to 5 s for a moment when both have applied the same events; nothing waits for it.
        """
        return await self._ask(catalog.compare(projection, version))

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

    def switch(
        self,
        projection: str,
        version: int,
        *,
        even_if_behind: bool = False,
        timeout: float = 10.0,
    ) -> int:
        """See ProjectionCatalog.switch."""
        return self._ask(
            catalog.switch(projection, version, even_if_behind=even_if_behind, seconds=timeout)
        )

    def drop(self, projection: str, version: int | None = None) -> None:
        """See ProjectionCatalog.drop."""
        self._ask(catalog.drop(projection, version))

    def rebuild(self, projection: str, version: int) -> None:
        """See ProjectionCatalog.rebuild."""
        self._ask(catalog.rebuild(projection, version))

    def compare(self, projection: str, version: int) -> list[TableComparison]:
        """See ProjectionCatalog.compare."""
        return self._ask(catalog.compare(projection, version))

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
