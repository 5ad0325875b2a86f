"""What can be asked of projections: every question once, as a SQL statement and over HTTP. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

from eventstore.core.errors import InvalidInput, NotFound
from eventstore.core.streams import check_stream_name, path_segment

T = TypeVar("T")
Rows = Sequence[Any]
MOST_PARKED: Final = 1_000
"""Parked streams that one answer names, at most."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[T]):
    """A named statement and how its rows are read, and the same as a request and its body."""

    statement: str
    args: tuple[Any, ...]
    of_rows: Callable[[Rows], T]
    method: str = "GET"
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    seconds: float | None = None
    """How long the answer may take, if that is the caller's to say."""
    of_body: Callable[[Mapping[str, Any]], T]


def statuses() -> Question[list[ProjectionStatus]]:
    """Every version of every projection."""
    return Question(
        statement="projection_statuses",
        args=(None,),
        of_rows=lambda rows: [ProjectionStatus(*row) for row in rows],
        path="/projections",
        of_body=lambda body: list(map(_status, body["projections"])),
    )


def status(projection: str, version: int | None) -> Question[ProjectionStatus]:
    """One version."""

    def of_rows(rows: Rows) -> ProjectionStatus:
        for one in (ProjectionStatus(*row) for row in rows):
            if one.serving if version is None else one.version == version:
                return one
        raise no_projection(projection, version)

    return Question(
        statement="projection_statuses",
        args=(projection,),
        of_rows=of_rows,
        path=_path(projection),
        params=_version(version),
        of_body=_status,
    )


def stream_position(projection: str, stream_name: str) -> Question[int]:
    """How far it is in a stream."""

    def of_rows(rows: Rows) -> int:
        if rows[0][0] is None:
            raise no_projection(projection)
        return int(rows[0][0])

    return Question(
        statement="projection_position",
        args=(projection, check_stream_name(stream_name)),
        of_rows=of_rows,
        path=f"{_path(projection)}/streams/{path_segment(stream_name)}",
        of_body=lambda body: int(body["revision"]),
    )


def parked(projection: str, version: int | None, limit: int) -> Question[list[ParkedStream]]:
    """The streams that are held back."""
    if not 1 <= limit <= MOST_PARKED:
        raise InvalidInput(f"a limit is 1 to {MOST_PARKED} streams: {limit}")

    def of_rows(rows: Rows) -> list[ParkedStream]:
        if not rows:
            raise no_projection(projection, version)
        return [ParkedStream(*row) for row in rows if row[0] is not None]

    return Question(
        statement="projection_parked_streams",
        args=(projection, limit, version),
        of_rows=of_rows,
        path=f"{_path(projection)}/parked",
        params={**_version(version), "limit": str(limit)},
        of_body=lambda body: list(map(_parked, body["parked"])),
    )


def pause(projection: str, version: int | None) -> Question[None]:
    """Let it rest."""
    return _order("pause", projection, version)


def resume(projection: str, version: int | None) -> Question[None]:
    """Let it go on."""
    return _order("resume", projection, version)


def _order(verb: str, projection: str, version: int | None) -> Question[None]:
    return Question(
        statement=f"projection_{verb}",
        args=(projection, version),
        of_rows=lambda _: None,
        method="POST",
        path=f"{_path(projection)}/{verb}",
        params=_version(version),
        of_body=lambda _: None,
    )


def retry(projection: str, stream_name: str | None, version: int | None) -> Question[int]:
    """Try parked streams again."""

    def of_rows(rows: Rows) -> int:
        [(is_known, retried)] = rows
        if not is_known:
            raise no_projection(projection, version)
        if stream_name is not None and not retried:
            raise not_parked(projection, stream_name)
        return int(retried)

    place = "" if stream_name is None else f"/{path_segment(check_stream_name(stream_name))}"
    return Question(
        statement="projection_retry",
        args=(projection, stream_name, version),
        of_rows=of_rows,
        method="POST",
        path=f"{_path(projection)}/parked{place}/retry",
        params=_version(version),
        of_body=lambda body: int(body["retrying"]) if stream_name is None else 1,
    )


def skip(projection: str, stream_name: str, version: int | None) -> Question[int]:
    """Leave out the event on which a stream waits."""

    def of_rows(rows: Rows) -> int:
        [(is_known, position)] = rows
        if not is_known:
            raise no_projection(projection, version)
        if position is None:
            raise not_parked(projection, stream_name)
        return int(position)

    return Question(
        statement="projection_skip",
        args=(projection, check_stream_name(stream_name), version),
        of_rows=of_rows,
        method="POST",
        path=f"{_path(projection)}/parked/{path_segment(stream_name)}/skip",
        params=_version(version),
        of_body=lambda body: int(body["skipped"]),
    )


def switch(projection: str, version: int, *, even_if_behind: bool, seconds: float) -> Question[int]:
    """Let another version serve."""
    return Question(
        statement="projection_switch",
        args=(projection, version, even_if_behind, seconds),
        of_rows=lambda rows: int(rows[0][0]),
        method="POST",
        path=f"{_path(projection)}/switch",
        body={"version": version, "even_if_behind": even_if_behind},
        seconds=seconds,
        of_body=lambda body: int(body["served_before"]),
    )


def drop(projection: str, version: int | None) -> Question[None]:
    """Remove a version, or all of them."""
    return Question(
        statement="projection_drop",
        args=(projection, version),
        of_rows=lambda _: None,
        method="DELETE",
        path=_path(projection) + ("" if version is None else f"/versions/{version}"),
        of_body=lambda _: None,
    )


def rebuild(projection: str, version: int) -> Question[None]:
    """Let a version begin anew."""
    return Question(
        statement="projection_rebuild",
        args=(projection, version),
        of_rows=lambda _: None,
        method="POST",
        path=f"{_path(projection)}/rebuild",
        body={"version": version},
        of_body=lambda _: None,
    )


def compare(projection: str, version: int) -> Question[list[TableComparison]]:
    """Compare a version with the one that serves."""
    fields = TableComparison._fields
    return Question(
        statement="projection_compare",
        args=(projection, version),
        of_rows=lambda rows: [TableComparison(*row) for row in rows],
        path=f"{_path(projection)}/compare",
        params=_version(version),
        of_body=lambda body: [
            TableComparison(**{name: table[name] for name in fields}) for table in body["tables"]
        ],
    )


def no_projection(projection: str, version: int | None = None) -> NotFound:
    """Give the error where there is no such version."""
    of_version = "" if version is None else f" in version {version}"
    return NotFound(f"there is no projection {projection!r}{of_version}")


def not_parked(projection: str, stream_name: str) -> NotFound:
    """Give the error where a stream is not held back."""
    return NotFound(f"stream {stream_name!r} is not parked in projection {projection!r}")


def _path(projection: str) -> str:
    return f"/projections/{path_segment(projection)}"


def _version(version: int | None) -> dict[str, str]:
    return {} if version is None else {"version": str(version)}


def _status(body: Mapping[str, Any]) -> ProjectionStatus:
    moved_at = body["moved_at"]
    known = {name: body[name] for name in ProjectionStatus._fields}
    return ProjectionStatus(**{**known, "moved_at": moved_at and datetime.fromisoformat(moved_at)})


def _parked(body: Mapping[str, Any]) -> ParkedStream:
    known = {name: body[name] for name in ParkedStream._fields[1:]}
    failed_at = datetime.fromisoformat(body["failed_at"])
    return ParkedStream(body["stream"], **{**known, "failed_at": failed_at})
