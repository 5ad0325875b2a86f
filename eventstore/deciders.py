"""Commands on a store: load the stream, decide, append on what was loaded.

What is done, and in which order, is a generator of steps, so that every store carries it out in its
own way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from eventstore.codec import codec_of, decode_event, encode_event, read_again
from eventstore.core.append import Appended, derived_id
from eventstore.core.backoff import delays
from eventstore.core.decider import Decider, command_key
from eventstore.core.errors import (
    CommandRefused,
    DeciderFailed,
    DuplicateEventId,
    InvalidInput,
    RevisionConflict,
)
from eventstore.core.event_types import SCHEMA_VERSION
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.jsontext import encode_json
from eventstore.core.paging import PageSize
from eventstore.core.places import own_frames, place_of
from eventstore.core.reads import stream_scan
from eventstore.core.revisions import NO_STREAM, ExpectedRevision

logger = logging.getLogger("eventstore.deciders")

RETRIES: Final = 10
"""How often a command is decided anew because someone else was faster."""
_PAGE: Final = 1_000

S = TypeVar("S")


class Handled(NamedTuple, Generic[S]):
    """What a command has caused.

    `events` are values of their types, `written` the same as they are stored; both empty if it
    caused nothing. `state` is that of the stream behind them, `revision` its last event's (None
    without events), `position` that event's place in the log, 0 without events. `appended` is where
    they were stored, None if there are none.
    """

    stream_name: str
    events: tuple[Any, ...]
    written: tuple[EventData, ...]
    state: S
    revision: int | None
    position: int
    appended: Appended | None

    @property
    def replayed(self) -> bool:
        """Whether this command had been handled before: then this is its first answer again."""
        return self.appended is not None and self.appended.replayed


class Fetch(NamedTuple):
    """Run a named statement; answered with its rows."""

    statement: str
    args: tuple[Any, ...]


class Store(NamedTuple):
    """Append to a stream; answered with Appended."""

    stream_name: str
    events: Sequence[EventData]
    expected_revision: ExpectedRevision


class Pause(NamedTuple):
    """Wait so many seconds; answered with None."""

    seconds: float


Step: TypeAlias = Fetch | Store | Pause


class _Asked(NamedTuple, Generic[S]):
    """A command to a stream; `key` makes its event ids, if it has an id."""

    decider: Decider[S]
    name: str
    command: object
    stream_name: str
    key: str | None


class _Loaded(NamedTuple, Generic[S]):
    """A stream as it was read: `revision` -1 without events, `kept` that of its snapshot.

    `own` are the events of this very command, if it has been handled before; nothing is read
    beyond them then.
    """

    state: S
    revision: int
    position: int
    kept: int
    own: list[RecordedEvent]


def handling(
    decider: Decider[S],
    stream_name: str,
    command: object,
    *,
    command_id: str | None,
    tags: Iterable[str],
    metadata: Mapping[str, Any],
    retries: int,
) -> Generator[Step, Any, Handled[S]]:
    """Handle a command: steps, and what has come of it. See `EventStore.handle`."""
    if not isinstance(decider, Decider):
        raise InvalidInput(f"give the Decider itself, not {decider!r:.60}")
    decider.check_stream(stream_name)
    if SCHEMA_VERSION in metadata:
        raise InvalidInput(f"the store gives {SCHEMA_VERSION} by itself", path="$.metadata")
    if retries < 0:
        raise InvalidInput(f"retries are 0 or more: {retries}")
    name = decider.name_of(command)
    key = None if command_id is None else command_key(decider.name, name, command_id)
    asked = _Asked(decider, name, command, stream_name, key)
    tags = tags if isinstance(tags, str) else tuple(tags)  # a text is refused, not taken apart
    # Whoever was faster is done: the first retry need not wait.
    waits = chain([0.0], delays())
    while True:
        loaded = yield from _load(asked)
        if loaded.own:
            return _answered_before(decider, loaded)
        events, written, state = _decided(asked, loaded.state, metadata, tags)
        revision = loaded.revision if loaded.revision >= 0 else None
        if not events:
            return Handled(stream_name, (), (), loaded.state, revision, loaded.position, None)
        _give_ids(written, stream_name, key)
        try:
            appended = yield Store(
                stream_name, written, NO_STREAM if revision is None else revision
            )
        except RevisionConflict:
            if retries == 0:
                raise
        except DuplicateEventId:
            copied = yield from _load(asked)
            if not copied.own:
                raise
            return _answered_before(decider, copied)
        else:
            if key is None or not appended.replayed:
                yield from _kept(decider, loaded, state, appended)
                return _answered(events, written, state, appended)
            # A copy of this command was faster, and may have decided on another state.
            copied = yield from _load(asked)
            return _answered_before(decider, copied)
        retries -= 1
        yield Pause(next(waits))


def _decided(
    asked: _Asked[S], state: S, metadata: Mapping[str, Any], tags: Iterable[str]
) -> tuple[tuple[Any, ...], list[EventData], S]:
    """Give the events, how they are stored, and the state behind them."""
    decider = asked.decider
    try:
        events = decider.decide(asked.command, state)
    except CommandRefused:
        raise
    except Exception as error:
        raise _failed(asked, "decide", error) from error
    try:  # before anything is stored that nobody could decide on
        written = [
            encode_event(decider.events, one, metadata=metadata, tags=tags) for one in events
        ]
        read = [read_again(decider.events, one) for one in written]
        return events, written, decider.fold(read, state)
    except Exception as error:
        raise _failed(asked, "evolve", error) from error


def _evolved(asked: _Asked[S], state: S, event: RecordedEvent) -> S:
    """Give the state after a stored event. Raises UnreadableEvent."""
    value = decode_event(asked.decider.events, event)
    if value is None:
        return state
    try:
        return asked.decider.evolve(state, value)
    except Exception as error:
        at = f"evolve, at revision {event.revision} ({event.event_type}),"
        raise _failed(asked, at, error) from error


def _failed(asked: _Asked[Any], what: str, error: Exception) -> DeciderFailed:
    place = place_of(error)
    if isinstance(error, InvalidInput) and place is None:
        problem = str(error)  # about what it gave
    else:
        problem = f"{what} raised {type(error).__name__}" + (f" ({place})" if place else "")
    return DeciderFailed(asked.decider.name, asked.name, asked.stream_name, problem)


def log_failed(failed: DeciderFailed) -> None:
    """Write one record of a decider that failed, with the traceback of the user's own frames."""
    cause = failed.__cause__
    own = None if cause is None else own_frames(cause)
    logger.error(
        "%s", failed, exc_info=None if cause is None or own is None else (type(cause), cause, own)
    )


def _give_ids(written: Sequence[EventData], stream_name: str, key: str | None) -> None:
    if key is not None:
        for index, one in enumerate(written):
            one.event_id = derived_id(stream_name, key, index)


def _answered(
    events: tuple[Any, ...], written: Sequence[EventData], state: S, appended: Appended
) -> Handled[S]:
    for one, event_id in zip(written, appended.event_ids, strict=True):
        one.event_id, one.tags = event_id, sorted(set(one.tags))
    return Handled(
        appended.stream_name,
        events,
        tuple(written),
        state,
        appended.revision,
        appended.position,
        appended,
    )


def _load(asked: _Asked[S]) -> Generator[Step, Any, _Loaded[S]]:
    """Read a stream: its snapshot, if there is one to be trusted, and the events behind it."""
    decider, _, _, stream_name, key = asked
    wanted = None if key is None else derived_id(stream_name, key, 0)
    state, revision, position, kept = decider.initial, -1, 0, -1
    own: list[RecordedEvent] = []
    scan = stream_scan(stream_name, after=None, before=None, direction="forward")
    size = PageSize(_PAGE)
    wished = size()
    if decider.snapshot_every is None:
        rows = yield Fetch(scan.statement, scan.args(wished))
    else:
        version = decider.snapshot_version
        args = (stream_name, decider.name, version, wanted, wished)
        rows = yield Fetch("stream_from_snapshot", args)
        if rows and rows[0][4] is None:  # no event, but a snapshot
            at, _, kept_at, _, _, text, *_ = rows.pop(0)
            try:
                state = codec_of(decider.state_type).decode(text)
            except Exception as fault:  # noqa: BLE001 - a type may refuse it in its own way
                logger.warning(
                    "the snapshot of %s in %r is no use: %r", decider, stream_name, fault
                )
                rows = yield Fetch(scan.statement, scan.args(wished))
            else:
                revision, position, kept = kept_at, at, kept_at
    while rows:
        page = list(map(RecordedEvent._make, rows))
        for event in page:
            if wanted is not None:
                if str(event.event_id) == wanted:
                    own.append(event)
                    wanted = derived_id(stream_name, key or "", len(own))
                elif own:
                    return _Loaded(state, revision, position, kept, own)
            state = _evolved(asked, state, event)
            revision, position = event.revision, event.position
        if len(page) < wished:
            break
        size.read(page)
        wished = size()
        rows = yield Fetch(scan.statement, scan.behind(page[-1]).args(wished))
    return _Loaded(state, revision, position, kept, own)


def _answered_before(decider: Decider[S], loaded: _Loaded[S]) -> Handled[S]:
    own = loaded.own
    last = own[-1]
    values = [decode_event(decider.events, event) for event in own]
    return Handled(
        last.stream_name,
        tuple([value for value in values if value is not None]),
        tuple([_as_written(event) for event in own]),
        loaded.state,
        last.revision,
        last.position,
        Appended(
            last.stream_name,
            own[0].revision,
            last.revision,
            last.position,
            tuple([str(event.event_id) for event in own]),
            replayed=True,
        ),
    )


def _as_written(event: RecordedEvent) -> EventData:
    return EventData(event.event_type, event.data, event.metadata, str(event.event_id), event.tags)


def _kept(
    decider: Decider[S], loaded: _Loaded[S], state: S, appended: Appended
) -> Generator[Step, Any, None]:
    """Keep a snapshot if it is time. The command is handled, whatever becomes of that."""
    if not decider.snapshot_every or appended.revision - loaded.kept < decider.snapshot_every:
        return
    try:
        codec = codec_of(decider.state_type)
        text = encode_json(codec.to_json(state))
        if codec.decode(text) != state:
            raise InvalidInput("the state is another one when it is read: give its type as state=")
        last_id = UUID(appended.event_ids[-1])
        args = (decider.name, decider.snapshot_version, last_id, text)
        yield Fetch("snapshot_keep", args)
    except Exception as fault:  # noqa: BLE001 - a type may refuse it in its own way
        logger.warning("no snapshot of %s in %r is kept: %s", decider, appended.stream_name, fault)


class Turns:
    """Commands of one process on one stream take turns: else all but one would lose a race."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def on(self, stream_name: str) -> asyncio.Lock:
        """Give the lock of a stream; it is there as long as someone has it."""
        lock = self._locks.get(stream_name)
        if lock is None:
            lock = self._locks[stream_name] = asyncio.Lock()
        return lock
