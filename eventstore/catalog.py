"""The projections of a store: what they do, how far they are, and what operators can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from eventstore.core.errors import NotFound

Fetch = Callable[..., Awaitable[list[Any]]]


class ProjectionStatus(NamedTuple):
    """One version of a projection: the columns of the view `projection_status`.

    `state` is running, waiting (no worker runs it), paused or stopped (`reason` says why);
    `lag_seconds` is the age of the oldest event that it has not applied.
    """

    projection: str
    version: int
    serving: bool
    state: str
    reason: str | None
    checkpoint: int
    head: int
    lag_events: int
    lag_seconds: float
    partitions: int
    leased_partitions: int
    parked_streams: int
    skipped_events: int
    moved_at: datetime | None
    tables: list[str]


class ParkedStream(NamedTuple):
    """A stream that a projection holds back, from the event on that it could not apply."""

    stream_name: str
    revision: int
    position: int
    state: str
    error: str
    attempts: int
    failed_at: datetime


class TableComparison(NamedTuple):
    """A read table of a version beside that of the version that serves, as of one moment.

    The checksums are of the columns that both have (`columns`), whatever the order of the rows;
    None where that version has no such table. Unless the checkpoints are the same, a difference
    may be one of events that only one of them has applied.
    """

    table: str
    columns: list[str]
    serving_version: int
    serving_checkpoint: int
    serving_rows: int | None
    serving_checksum: str | None
    checkpoint: int
    rows: int | None
    checksum: str | None

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same in those columns."""
        return (self.rows, self.checksum) == (self.serving_rows, self.serving_checksum)


class ProjectionCatalog:
    """`store.projections`. Every method raises NotFound if there is no such projection."""

    def __init__(self, fetch: Fetch) -> None:
        """`fetch(statement, *args)` runs a named statement."""
        self._fetch = fetch

    async def all(self) -> list[ProjectionStatus]:
        """Give every version of every projection, by name and version."""
        return [ProjectionStatus(*row) for row in await self._fetch("projection_statuses", None)]

    async def get(self, projection: str) -> ProjectionStatus:
        """Give the version that serves."""
        for row in await self._fetch("projection_statuses", projection):
            status = ProjectionStatus(*row)
            if status.serving:
                return status
        raise NotFound(f"there is no projection {projection!r}")

    async def position(self, projection: str, stream_name: str) -> int:
        """Give the highest revision of a stream that it has applied, -1 if it has none."""
        [row] = await self._fetch("projection_position", projection, stream_name)
        if row[0] is None:
            raise NotFound(f"there is no projection {projection!r}")
        return int(row[0])

    async def parked(self, projection: str, *, limit: int = 1_000) -> list[ParkedStream]:
        """Give the streams that are held back, the longest first."""
        await self.get(projection)
        return [
            ParkedStream(*row)
            for row in await self._fetch("projection_parked_streams", projection, limit)
        ]

    async def pause(self, projection: str) -> None:
        """Let it rest, on every worker, until it is resumed."""
        await self._fetch("projection_pause", projection)

    async def resume(self, projection: str) -> None:
        """Let one that is paused or stopped go on where it was."""
        await self._fetch("projection_resume", projection)

    async def retry(self, projection: str, stream_name: str | None = None) -> int:
        """Try a parked stream again from the event that failed (None: all); give how many."""
        await self.get(projection)
        [row] = await self._fetch("projection_retry", projection, stream_name)
        return int(row[0])

    async def skip(self, projection: str, stream_name: str) -> int:
        """Leave out, for good, the event on which a parked stream waits; give its position.

        What comes after it is then applied. Raises NotFound if the stream is not parked.
        """
        await self.get(projection)
        [row] = await self._fetch("projection_skip", projection, stream_name)
        if row[0] is None:
            raise NotFound(f"stream {stream_name!r} is not parked in projection {projection!r}")
        return int(row[0])

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
        [row] = await self._fetch("projection_switch", projection, version, even_if_behind, timeout)
        return int(row[0])

    async def drop(self, projection: str, version: int) -> None:
        """Remove a version that does not serve, with its tables; its runners leave it alone.

        A worker that starts with its definition builds it anew. Raises ProjectionRefused if it
        serves, or if something depends on its tables.
        """
        await self._fetch("projection_drop", projection, version)

    async def rebuild(self, projection: str, version: int) -> None:
        """Let a version that does not serve begin anew with the first event, its tables empty.

        Raises ProjectionRefused for the one that serves: give its definition a new version.
        """
        await self._fetch("projection_rebuild", projection, version)

    async def compare(self, projection: str, version: int) -> list[TableComparison]:
        """Compare a version with the one that serves, table by table. Reads both as a whole.

        Looks up to 5 s for a moment when both have applied the same events; nothing waits for it.
        """
        rows = await self._fetch("projection_compare", projection, version)
        return [TableComparison(*row) for row in rows]
