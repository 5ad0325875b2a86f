"""A decider as pure functions: what a command causes in a state, and what a state is of events.

A decider knows no database, so it is tested without one (see `eventstore.testing`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeAlias, TypeVar

from eventstore.core.append import MAX_KEY_LENGTH
from eventstore.core.definition import is_projection_name
from eventstore.core.errors import InvalidInput
from eventstore.core.event_types import EventTypes, is_model
from eventstore.core.functions import check_pure, of
from eventstore.core.streams import category as category_of
from eventstore.core.streams import check_stream_name, check_text

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E")
Decide: TypeAlias = Callable[[C, S], Any]
"""`(command, state) -> events`: an iterable of them, one, or None. Raises CommandRefused."""
Evolve: TypeAlias = Callable[[S, E], S]
"""`(state, event) -> state`: a new state, or the same one."""
D = TypeVar("D", bound=Callable[..., Any])

MOST_VERSION: Final = 2**31 - 1
_INITIAL: Any = object()
_DECIDE: Final = ("command", "state")
_EVOLVE: Final = ("state", "event")


class Decider(Generic[S]):
    """Decides commands on the state of one stream of a category, e.g. an order.

    `name` is a-z, 0-9 and _, at most 41 characters; `category` is that of its streams (default:
    the name). `initial` is the state of a stream without events.

    What it decides is registered for each type of command and event, or given whole as `decide`
    and `evolve`, with `commands` and `events`; both ways a type is a dataclass, a msgspec Struct or
    a pydantic model. Events of types that it does not know are passed over. `events` may be an
    EventTypes that is shared, with upcasts.

    With `snapshot_every=n` the state is kept after every n events of a stream, so that a long one
    is not read whole. `state` is then its type, unless that of `initial` will do: a state that is
    not equal to itself when it is read again is not kept. A change of what a state holds, or of how
    it evolves, needs a new `snapshot_version` (default 1).

    Raises InvalidInput for a definition that does not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        initial: S,
        category: str | None = None,
        decide: Decide[Any, S] | None = None,
        evolve: Evolve[S, Any] | None = None,
        commands: Iterable[type] | Mapping[str, type] = (),
        events: EventTypes | Iterable[type] | Mapping[str, type] = (),
        state: Any = None,
        snapshot_every: int | None = None,
        snapshot_version: int = 1,
    ) -> None:
        if not is_projection_name(name):
            raise InvalidInput(f"a decider's name is a-z, 0-9 and _, at most 41: {name!r}")
        self.name = name
        with of(name):
            self.category = check_text(name if category is None else category, "a category")
        if "-" in self.category:
            raise InvalidInput(f"{name}: a category has no '-': {self.category!r}")
        if (decide is None) != (evolve is None):
            raise InvalidInput(f"{name}: give decide and evolve, or register both for each type")
        if snapshot_every is not None and snapshot_every < 1:
            raise InvalidInput(f"{name}: snapshot_every is 1 or more: {snapshot_every}")
        if not 1 <= snapshot_version <= MOST_VERSION:
            raise InvalidInput(f"{name}: a snapshot version is 1 or more: {snapshot_version}")
        self.state_type: Any = type(initial) if state is None else state
        if snapshot_every is not None and self.state_type is type(None):
            raise InvalidInput(f"{name}: snapshots need the type of the state: state=...")
        self.snapshot_every = snapshot_every
        self.snapshot_version = snapshot_version
        with of(name):
            self.events = events if isinstance(events, EventTypes) else EventTypes(events)
        if decide is not None and evolve is not None:
            check_pure(decide, f"{name}: decide", _DECIDE)
            check_pure(evolve, f"{name}: evolve", _EVOLVE)
        self._initial = initial
        self._decide = decide
        self._evolve = evolve
        self._decides: dict[type, Decide[Any, S]] = {}
        self._evolves: dict[type, Evolve[S, Any]] = {}
        self._commands: dict[str, type] = {}
        self._names: dict[type, str] = {}
        if isinstance(commands, Mapping):
            for called, cls in commands.items():
                self._add_command(cls, called)
        else:
            for cls in commands:
                self._add_command(cls, None)
        if self._commands and decide is None:
            raise InvalidInput(f"{name}: a command needs decide: give that, or register it")

    def __repr__(self) -> str:
        return f"<Decider {self.name}>"

    @property
    def initial(self) -> S:
        """The state of a stream without events, a copy of its own each time."""
        return copy.deepcopy(self._initial)

    @property
    def commands(self) -> Mapping[str, type]:
        """Its commands by name."""
        return MappingProxyType(self._commands)

    def command(self, cls: type, *, name: str | None = None) -> Callable[[D], D]:
        """Make the decorated function what decides a type of command: `(command, state) -> events`.

        It gives an iterable of events (it may `yield` them), one, or None, and refuses by raising
        CommandRefused. It is pure, for it runs again when someone else was faster. The command is
        named as its class unless `name` is given.
        """
        self._check_registering()
        self._check_model(cls)

        def register(decide: D) -> D:
            check_pure(decide, f"{self.name}: what decides {cls.__name__}", _DECIDE)
            self._add_command(cls, name)
            self._decides[cls] = decide
            return decide

        return register

    def event(self, cls: type, *, name: str | None = None) -> Callable[[D], D]:
        """Make the decorated function what evolves a state by a type of event: `(state, event) ->
        state`. The event type is named as its class, or as `events` has it, unless `name` is given.
        """
        self._check_registering()
        with of(self.name):
            self.events.add(cls, name=name)
        if cls in self._evolves:
            raise InvalidInput(f"{self.name} evolves by {cls.__qualname__} already")

        def register(evolve: D) -> D:
            check_pure(evolve, f"{self.name}: what evolves by {cls.__name__}", _EVOLVE)
            self._evolves[cls] = evolve
            return evolve

        return register

    def decide(self, command: object, state: S) -> tuple[Any, ...]:
        """Give the events that a command causes in a state. Raises CommandRefused.

        Raises InvalidInput for a command, or an event, of a type that is not its own, and for what
        is no event at all.
        """
        self.name_of(command)
        decide = self._decides[type(command)] if self._decide is None else self._decide
        caused = decide(command, state)
        if caused is None:
            return ()
        # A model may be iterable itself: its fields.
        if is_model(type(caused)):
            events: tuple[Any, ...] = (caused,)
        elif isinstance(caused, Iterable):
            events = tuple(caused)
        else:
            raise InvalidInput(
                f"{self.name} decides on events, one or several, or None: "
                f"{type(caused).__qualname__}"
            )
        for event in events:
            if not self.events.knows(kind := type(event)):
                raise InvalidInput(
                    f"{self.name} has no event type {kind.__qualname__}: register it with "
                    f"@{self.name}.event({kind.__name__}), or give it in events"
                )
        return events

    def evolve(self, state: S, event: object) -> S:
        """Give the state after an event; the same one for a type that is not evolved by."""
        if self._evolve is not None:
            return self._evolve(state, event)
        evolve = self._evolves.get(type(event))
        return state if evolve is None else evolve(state, event)

    def fold(self, events: Iterable[object], state: S = _INITIAL) -> S:
        """Give the state after events, from the initial one unless another is given."""
        folded = self.initial if state is _INITIAL else state
        for event in events:
            folded = self.evolve(folded, event)
        return folded

    def name_of(self, command: object) -> str:
        """Give a command's name. Raises InvalidInput for one that is not its own."""
        try:
            return self._names[type(command)]
        except KeyError:
            raise InvalidInput(f"{self.name} has no command {type(command).__qualname__}") from None

    def stream(self, entity_id: str) -> str:
        """Give the stream of an entity: its category and id."""
        return check_stream_name(f"{self.category}-{check_text(entity_id, 'an id')}")

    def check_stream(self, stream_name: str) -> str:
        """Return the name of a stream of its category, or raise InvalidInput."""
        if category_of(check_stream_name(stream_name)) != self.category:
            raise InvalidInput(
                f"{self.name} decides on streams like {self.category}-1: {stream_name!r}"
            )
        return stream_name

    def _add_command(self, cls: type, name: str | None) -> None:
        self._check_model(cls)
        with of(self.name):
            name = check_text(cls.__name__ if name is None else name, "a command's name")
        if name in self._commands or cls in self._names:
            raise InvalidInput(f"{self.name} has a command {name} already")
        self._commands[name] = cls
        self._names[cls] = name

    def _check_model(self, cls: type) -> None:
        if not is_model(cls):
            raise InvalidInput(
                f"{self.name}: a type is a dataclass, msgspec Struct or pydantic model: {cls!r:.60}"
            )

    def _check_registering(self) -> None:
        if self._decide is not None:
            raise InvalidInput(f"{self.name}: decide and evolve are given whole already")


def command_key(decider: str, command: str, command_id: str) -> str:
    """Give the key from which a command's event ids are derived: that of no append, and no other
    command's.
    """
    if not 1 <= len(command_id) <= MAX_KEY_LENGTH:
        raise InvalidInput(f"a command id is 1 to {MAX_KEY_LENGTH} characters")
    return f"{decider}\n{command}\n{command_id}"
