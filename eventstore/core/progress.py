"""How far a projection is, and what that means for someone who waits for it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from eventstore.core.errors import (
    EventStoreError,
    InvalidInput,
    NotFound,
    ProjectionBehind,
    ProjectionStopped,
    StreamParked,
)
from eventstore.core.streams import check_stream_name, partition_of


class Standing(NamedTuple):
    """The version of a projection that serves: what it does, and how far each partition is."""

    projection: str
    state: str
    reason: str | None
    checkpoints: tuple[int, ...]
    is_run: bool
    """Whether every partition has a runner now."""

    @classmethod
    def of(cls, row: Sequence[Any]) -> Standing:
        """Read a row of `projection_standings`."""
        projection, state, reason, checkpoints, is_run = row
        return cls(projection, state, reason, tuple(checkpoints), is_run)

    @property
    def checkpoint(self) -> int:
        """The position up to which everything is applied."""
        return min(self.checkpoints)


class Parked(NamedTuple):
    """A stream that is held back in a projection, from a revision on."""

    stream_name: str
    revision: int
    error: str
    is_retried: bool
    """Whether it is about to be tried again."""


class Wait(NamedTuple):
    """What somebody waits for: a position of the log, or of an event of one stream.

    `position` is None as long as the stream has no such revision.
    """

    projection: str
    position: int | None
    stream_name: str | None = None
    revision: int | None = None

    @property
    def name(self) -> str:
        """What it is called in a message."""
        if self.stream_name is None:
            return f"position {self.position}"
        return f"revision {self.revision} of stream {self.stream_name!r}"


def wait_of(
    projection: str, *, position: int | None, stream: str | None, revision: int | None
) -> Wait:
    """Say what is waited for: a position, or a stream and a revision. Raises InvalidInput."""
    if position is not None and stream is None and revision is None:
        if position < 0:
            raise InvalidInput(f"a position is 0 or more: {position}")
        return Wait(projection, position)
    if position is None and stream is not None and revision is not None:
        if revision < 0:
            raise InvalidInput(f"a revision is 0 or more: {revision}")
        return Wait(projection, None, check_stream_name(stream), revision)
    raise InvalidInput("wait for a position, or for a stream and a revision")


def verdict(
    wait: Wait, standing: Standing | None, parked: Parked | None
) -> int | EventStoreError | None:
    """Give the checkpoint if it is reached, the error if waiting is in vain, None to go on."""
    if standing is None:
        return NotFound(f"there is no projection {wait.projection!r}")
    is_held = parked is not None and wait.revision is not None and parked.revision <= wait.revision
    checkpoint = _checkpoint(wait, standing)
    if wait.position is not None and checkpoint >= wait.position and not is_held:
        return checkpoint
    if parked is not None and is_held and not parked.is_retried:
        return StreamParked(wait.projection, parked.stream_name, parked.revision, parked.error)
    if standing.state != "running":
        return ProjectionStopped(wait.projection, standing.state, standing.reason)
    return None


def too_late(wait: Wait, standing: Standing, *, seconds: float, moved: int) -> ProjectionBehind:
    """Give what to say when the time is over: how far it is, how fast it moves, who runs it."""
    return ProjectionBehind(
        wait.projection,
        wait.name,
        checkpoint=_checkpoint(wait, standing),
        events_per_second=moved / seconds if seconds > 0 else 0.0,
        is_run=standing.is_run,
    )


def _checkpoint(wait: Wait, standing: Standing) -> int:
    if wait.stream_name is None:
        return standing.checkpoint
    return standing.checkpoints[partition_of(wait.stream_name, len(standing.checkpoints))]
