"""App: what a user registers to be run by a worker, and by the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from eventstore.codec import codec_of
from eventstore.core.decider import Decider
from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput
from eventstore.core.event_types import EventTypes
from eventstore.core.projection import Projection
from eventstore.core.reactor import Reactor

D = TypeVar("D")


class App:
    """One bounded context: `App(projections=[orders], reactors=[emails], deciders=[order])`.

    `eventstore worker myapp:app` runs its projections and reactors; `eventstore serve --app
    myapp:app` does so and takes the commands of its deciders. `events` are event types beyond those
    of the deciders; `app.events` has all of them.

    A projection may be there in two versions: the worker that runs both keeps the one up to date
    that serves, and builds the other beside it. Raises InvalidInput if a version is there twice,
    two projections write one read table, a Projection has no fold and nothing to execute yet, two
    reactors or two deciders have one name, a reactor has no handler, a decider has no command, or a
    type cannot be read from JSON.
    """

    def __init__(
        self,
        *,
        projections: Iterable[Definition] = (),
        reactors: Iterable[Reactor] = (),
        deciders: Iterable[Decider[Any]] = (),
        events: EventTypes | Iterable[type] | Mapping[str, type] = (),
    ) -> None:
        # In a new store the first one to be known serves: the oldest.
        self.projections = tuple(
            sorted(
                _several("projections", projections, Definition),
                key=lambda made: (made.name, made.version),
            )
        )
        for one, next_one in pairwise(self.projections):
            if (one.name, one.version) == (next_one.name, next_one.version):
                raise InvalidInput(f"two projections are {one.name!r} version {one.version}")
        for made in self.projections:
            if isinstance(made, Projection) and not (made.folds or made.is_executed):
                raise InvalidInput(
                    f"{made.name} version {made.version} has neither a fold nor anything to execute"
                )
        writers: dict[str, str] = {}
        for projection in self.projections:
            for table in projection.columns:
                if writers.setdefault(table, projection.name) != projection.name:
                    raise InvalidInput(f"two projections write table {table!r}")
        self.reactors = tuple(
            sorted(_several("reactors", reactors, Reactor), key=lambda made: made.name)
        )
        _check_names("reactors", self.reactors)
        for reactor in self.reactors:
            _ = reactor.query  # or it has no handler
        self.deciders = tuple(
            sorted(_several("deciders", deciders, Decider), key=lambda made: made.name)
        )
        _check_names("deciders", self.deciders)
        _check_deciders(self.deciders)
        self.events = EventTypes()
        self.events.take(events if isinstance(events, EventTypes) else EventTypes(events))
        for decider in self.deciders:
            self.events.take(decider.events)
        for name in self.events:
            codec_of(self.events[name])


def _several(option: str, given: Iterable[D], kind: type[D]) -> list[D]:
    """Give definitions as a list. Raises InvalidInput for one alone, and for what is none."""
    if not isinstance(given, Iterable):
        raise InvalidInput(f"give a list: {option}=[{given!r:.60}]")
    made = list(given)
    for one in made:
        if not isinstance(one, kind):
            raise InvalidInput(f"{option} are definitions, not {one!r:.60}")
    return made


def _check_names(kind: str, made: Sequence[Reactor] | Sequence[Decider[Any]]) -> None:
    for name, count in Counter(one.name for one in made).items():
        if count > 1:
            raise InvalidInput(f"two {kind} are {name!r}")


def _check_deciders(deciders: Iterable[Decider[Any]]) -> None:
    for decider in deciders:
        if not decider.commands:
            raise InvalidInput(f"{decider.name} has no command")
        for command in decider.commands.values():
            codec_of(command)
        if decider.snapshot_every is not None:
            codec_of(decider.state_type)
