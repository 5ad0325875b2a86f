"""How far a projection is, and what that means for someone who waits for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventstore.core.definition import is_projection_name
from eventstore.core.errors import (
    EventStoreError,
    InvalidInput,
    NotFound,
    ProjectionBehind,
    ProjectionStopped,
    StreamParked,
)
from eventstore.core.reads import END
from eventstore.core.streams import check_stream_name, partition_of


class Standing(NamedTuple):
    """The version of a projection that serves: what it does, and how far each partition is."""

    projection: str
    state: str
    reason: str | None
    checkpoints: tuple[int, ...]
    is_run: bool
    """Whether every partition has a runner now."""

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
    """What somebody waits for: a position of the log, or a revision of one stream.

    As long as such an event is not known to be stored, either has only one of the two.
    """

    projection: str
    position: int | None
    stream_name: str | None = None
    revision: int | None = None
    of_stream: bool = False
    """Whether other streams are not waited for."""

    @property
    def name(self) -> str:
        """What it is called in a message."""
        if self.of_stream:
            return f"revision {self.revision} of stream {self.stream_name!r}"
        return f"position {self.position}"

    @property
    def is_placed(self) -> bool:
        """Whether the event is known to be stored."""
        return self.position == 0 or (self.position is not None and self.stream_name is not None)


@dataclass(frozen=True, slots=True)
class Look:
    """What is found of all that is waited for at one moment."""

    standings: Mapping[str, Standing]
    _parked: Mapping[tuple[str, str], Parked]
    _positions: Mapping[tuple[str, int], int]
    _events: Mapping[int, tuple[str, int]]

    @staticmethod
    def asked(waits: Collection[Wait]) -> tuple[list[Any], ...]:
        """Give the arguments of `projection_look`."""
        unknown = [wait for wait in waits if not wait.is_placed]
        revisions = [wait for wait in unknown if wait.of_stream]
        return (
            sorted({wait.projection for wait in waits}),
            [wait.stream_name for wait in revisions],
            [wait.revision for wait in revisions],
            [wait.position for wait in unknown if not wait.of_stream],
            sorted({wait.stream_name for wait in waits if wait.stream_name and wait.is_placed}),
        )

    @classmethod
    def of(cls, row: Sequence[str]) -> Look:
        """Read the row that it gives."""
        places, standings, parked = map(json.loads, row)
        return cls(
            {
                name: Standing(name, state, reason, tuple(checkpoints), is_run)
                for name, state, reason, checkpoints, is_run in standings
            },
            {(projection, held[0]): Parked(*held) for projection, *held in parked},
            {(stream, revision): position for stream, revision, position in places},
            {position: (stream, revision) for stream, revision, position in places},
        )

    def placed(self, wait: Wait) -> Wait:
        """Give a wait with its event, if that is found to be stored."""
        if wait.is_placed:
            return wait
        if wait.of_stream:
            assert wait.stream_name is not None and wait.revision is not None  # noqa: S101, PT018
            return wait._replace(position=self._positions.get((wait.stream_name, wait.revision)))
        stream, revision = self._events.get(wait.position or 0, (None, None))
        return wait._replace(stream_name=stream, revision=revision)

    def verdict(self, wait: Wait) -> int | EventStoreError | None:
        """Judge a wait that is `placed`: see `verdict`."""
        parked = self._parked.get((wait.projection, wait.stream_name or ""))
        return verdict(wait, self.standings.get(wait.projection), parked)


def wait_of(
    projection: str, *, position: int | None, stream: str | None, revision: int | None
) -> Wait:
    """Say what is waited for: a position, or a stream and a revision.

    Raises InvalidInput, and NotFound for what no projection can be called.
    """
    if not is_projection_name(projection):
        raise no_projection(projection)
    if position is not None and stream is None and revision is None:
        if not 0 <= position <= END:
            raise InvalidInput(f"a position is 0 to {END}: {position}")
        return Wait(projection, position)
    if position is None and stream is not None and revision is not None:
        if not 0 <= revision <= END:
            raise InvalidInput(f"a revision is 0 to {END}: {revision}")
        return Wait(projection, None, check_stream_name(stream), revision, of_stream=True)
    raise InvalidInput("wait for a position, or for a stream and a revision")


def no_projection(projection: str) -> NotFound:
    """Give the error that there is no such projection."""
    return NotFound(f"there is no projection {projection!r}")


def verdict(
    wait: Wait, standing: Standing | None, parked: Parked | None
) -> int | EventStoreError | None:
    """Give the checkpoint if it is reached, the error if waiting is in vain, None to go on."""
    if standing is None:
        return no_projection(wait.projection)
    is_held = parked is not None and wait.revision is not None and parked.revision <= wait.revision
    checkpoint = _checkpoint(wait, standing)
    if wait.is_placed and checkpoint >= (wait.position or 0) and not is_held:
        return checkpoint
    if parked is not None and is_held and not parked.is_retried:
        return StreamParked(wait.projection, parked.stream_name, parked.revision, parked.error)
    if standing.state != "running":
        return ProjectionStopped(wait.projection, standing.state, standing.reason)
    return None


def too_late(wait: Wait, standing: Standing, *, seconds: float, moved: int) -> ProjectionBehind:
    """Give what to say when the time is over: how far it is, how fast it moves, who runs it, and
    whether what a `placed` wait is for is stored at all."""
    return ProjectionBehind(
        wait.projection,
        wait.name,
        checkpoint=_checkpoint(wait, standing),
        events_per_second=moved / seconds if seconds > 0 else 0.0,
        is_run=standing.is_run,
        is_stored=wait.is_placed,
    )


def _checkpoint(wait: Wait, standing: Standing) -> int:
    if wait.stream_name is None or not wait.of_stream:
        return standing.checkpoint
    return standing.checkpoints[partition_of(wait.stream_name, len(standing.checkpoints))]
