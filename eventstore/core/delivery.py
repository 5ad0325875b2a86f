"""Consumer groups and what they deliver: values, and what is checked before it is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from eventstore.core.definition import is_projection_name
from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery, check_query
from eventstore.core.reads import END

Ordering = Literal["stream", "none"]
Action = Literal["retry", "park", "park_event", "park_stream", "skip", "release"]
ACTIONS: Final = ("retry", "park", "park_event", "park_stream", "skip", "release")
MOST_RECEIVED: Final = 1_000
"""Deliveries of one receive, and of one ack or nack, at most."""
LONGEST_DELAY: Final = 86_400
"""Seconds that a nack can put a retry off, and that a lease can last."""
LONGEST_REASON: Final = 2_000
"""Characters of a reason that are kept."""
_ID: Final = re.compile(r"([1-9][0-9]{0,18})-([1-9][0-9]{0,18})").fullmatch


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """What a consumer group is to be. Raises InvalidInput for what cannot be.

    Members share the events that `query` means (default: all) after `start`, a position or "head";
    it counts when the group is made. With `ordering` "stream" (default) an event is not delivered
    before the earlier ones of its stream are settled; with "none" it goes as fast as it can.
    `buffer` is how many events may wait (default 200), `lease` for how many seconds a member has
    one before others get it (default 30), `retries` how often it is delivered again before it is
    parked (default 5), `backoff` the seconds before the first retry, doubled for each further one
    (default 1). `after` names projections that have to have applied an event before.
    """

    name: str
    query: EventQuery = EventQuery()  # noqa: RUF009 - it is frozen
    start: int | Literal["head"] = 0
    ordering: Ordering = "stream"
    buffer: int = 200
    lease: float = 30.0
    retries: int = 5
    backoff: float = 1.0
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not is_projection_name(self.name):
            raise InvalidInput(
                f"a consumer group's name is a-z, 0-9 and _, at most 41: {self.name!r}"
            )
        check_query(self.query)
        if self.ordering not in ("stream", "none"):
            raise _fault("ordering", "is 'stream' or 'none'", self.ordering)
        if self.start != "head":
            _check("start", "position", self.start, 0, END, whole=True)
        _check("buffer", "number of events", self.buffer, 1, 100_000, whole=True)
        _check("lease", "number of seconds", self.lease, 0.001, LONGEST_DELAY)
        _check("retries", "number of times", self.retries, 0, 1_000, whole=True)
        _check("backoff", "number of seconds", self.backoff, 0, 3_600)
        for projection in self.after:
            if not is_projection_name(projection):
                raise InvalidInput(f"there is no projection {projection!r}", path="$.after")


def _check(
    name: str, what: str, value: object, low: float, high: float, *, whole: bool = False
) -> None:
    is_number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise _fault(name, f"is a {what}, {low} to {high}", value)


def _fault(name: str, problem: str, value: object) -> InvalidInput:
    return InvalidInput(f"{name} {problem}: {value!r}", path=f"$.{name}")


class Delivery(NamedTuple):
    """An event that a member has until `leased_until`. `attempt` counts from 1.

    `id` is this lease of it: whoever settles it with an older one is told that it is lost.
    """

    id: str
    attempt: int
    leased_until: datetime
    event: RecordedEvent


class Settled(NamedTuple):
    """How an ack or nack went.

    `settled` is how many deliveries it was carried out for, `parked` how many of these are parked
    now, `lost` the ids of those that are not the member's any more: the lease ran out, and the
    event is delivered to others, or is settled already.
    """

    settled: int
    parked: int
    lost: tuple[str, ...]


class ParkedDelivery(NamedTuple):
    """An event that a group has set aside, and why.

    `held` is how many later events of its stream wait for it, None if they go on without it.
    """

    position: int
    stream_name: str
    revision: int
    event_type: str
    attempts: int
    reason: str
    member: str | None
    parked_at: datetime
    held: int | None


class GroupStatus(NamedTuple):
    """A consumer group: what it is, and the columns of the view `consumer_status`.

    `buffered` wait to be delivered (never more than `buffer`), `returned` to be delivered again,
    `in_flight` are with members (`members`: how many each has), `parked` wait for an operator,
    `held` for one of these, or for a projection that has parked their stream. `lag_events` are
    events of the log that it has not looked at yet, `lag_seconds` the age of the oldest. `workers`
    run it as their reactor now: nobody else removes or changes it.
    """

    name: str
    query: EventQuery
    ordering: str
    buffer: int
    lease: float
    retries: int
    backoff: float
    after: tuple[str, ...]
    checkpoint: int
    head: int
    lag_events: int
    lag_seconds: float
    buffered: int
    returned: int
    in_flight: int
    parked: int
    held: int
    members: dict[str, int]
    workers: tuple[str, ...]
    created_at: datetime


class Idle(NamedTuple):
    """What a receive without deliveries tells: when to look again.

    `more`: at once. `look_in`: after so many seconds, None for never. `position_seen`: as soon as
    there is an event of the query after that position; None: that would not help.
    """

    more: bool
    look_in: float | None
    position_seen: int | None


def received(rows: Sequence[Sequence[Any]]) -> tuple[list[Delivery], Idle]:
    """Read the rows of `consumer_receive`."""
    idle = Idle(*rows[0][:3])
    return [
        Delivery(f"{row[6]}-{row[3]}", row[4], row[5], RecordedEvent._make(row[6:]))
        for row in rows
        if row[6] is not None
    ], idle


def check_most(most: int) -> int:
    """Give how many deliveries are asked for, or raise InvalidInput."""
    _check("max", "number of deliveries", most, 1, MOST_RECEIVED, whole=True)
    return most


def check_action(action: str, delay: float | None, reason: str | None) -> str | None:
    """Raise InvalidInput for what nack cannot do; give the reason, cut short if it is too long."""
    if action not in ACTIONS:
        raise _fault("action", f"is one of {', '.join(ACTIONS)}", action)
    if delay is not None:
        _check("delay", "number of seconds", delay, 0, LONGEST_DELAY)
    if reason is None:
        return None
    return reason.replace("\0", "").encode(errors="replace").decode()[:LONGEST_REASON]


def leases_of(deliveries: Iterable[Delivery | str]) -> tuple[list[int], list[int]]:
    """Give positions and leases of deliveries, or of their ids. Raises InvalidInput."""
    if isinstance(deliveries, (str, Delivery)):
        deliveries = [deliveries]
    ids = [getattr(delivery, "id", delivery) for delivery in deliveries]
    if not 1 <= len(ids) <= MOST_RECEIVED:
        raise InvalidInput(
            f"1 to {MOST_RECEIVED} deliveries are settled at once: {len(ids)}", path="$.deliveries"
        )
    pairs = [_pair(n, text) for n, text in enumerate(ids)]
    return [position for position, _ in pairs], [lease for _, lease in pairs]


def _pair(n: int, text: object) -> tuple[int, int]:
    found = _ID(text) if isinstance(text, str) else None
    if found is None or int(found[1]) > END or int(found[2]) > END:
        raise InvalidInput(
            f"a delivery's id is as receive gave it, like '17-1': {str(text)[:60]!r}",
            path=f"$.deliveries[{n}]",
        )
    return int(found[1]), int(found[2])
