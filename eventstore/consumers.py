"""The consumer groups of a store: made, received from, settled, and what operators can do."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, Protocol

from eventstore.catalog import Asked, SyncAsked
from eventstore.core import consumers
from eventstore.core.delivery import (
    Action,
    ConsumerGroup,
    Delivery,
    GroupStatus,
    Ordering,
    ParkedDelivery,
    Settled,
)
from eventstore.core.errors import InvalidInput
from eventstore.core.query import EventQuery

BATCH = 50
"""Deliveries that a member asks for at once, unless it says otherwise."""


class Receive(Protocol):
    """How a store receives: group, how many at most, the member, and seconds to wait."""

    def __call__(
        self, name: str, most: int, member: str, wait: float, /
    ) -> Awaitable[list[Delivery]]: ...


def this_process() -> str:
    """Give what a member is called unless it says otherwise: its machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


class ConsumerCatalog:
    """`store.consumers`. Every method raises NotFound if there is no such group."""

    def __init__(
        self, ask: Asked, receive: Receive, changed: Callable[[str], None] = lambda _: None
    ) -> None:
        """`changed` is told of a group in which something may be free now."""
        self._ask = ask
        self._receive = receive
        self._changed = changed

    async def create(
        self,
        name: str,
        query: EventQuery | None = None,
        *,
        start: int | Literal["head"] = 0,
        ordering: Ordering = "stream",
        buffer: int = 200,
        lease: float = 30.0,
        retries: int = 5,
        backoff: float = 1.0,
        after: Iterable[str] = (),
    ) -> bool:
        """Make a group, or change one: see ConsumerGroup. Gives whether it was made.

        The same again changes nothing. All but the ordering may change, and holds from the next
        receive on, another query for events after the checkpoint. Another ordering raises
        ConsumerRefused, and so does any change while workers run the group as their reactor.
        Raises InvalidInput for a position that the log has not reached, and for an unknown
        projection.
        """
        group = ConsumerGroup(
            name,
            query or EventQuery(),
            start,
            ordering,
            buffer,
            lease,
            retries,
            backoff,
            _projections(after),
        )
        made = await self._ask(consumers.create(group))
        self._changed(name)
        return made

    async def delete(self, name: str) -> None:
        """Remove a group with all that it has not delivered yet.

        Raises ConsumerRefused while workers run it as their reactor.
        """
        await self._ask(consumers.delete(name))
        self._changed(name)

    async def all(self) -> list[GroupStatus]:
        """Give every group, by name."""
        return await self._ask(consumers.statuses())

    async def get(self, name: str) -> GroupStatus:
        """Give what a group is, how far it is, and who holds what."""
        return await self._ask(consumers.status(name))

    async def receive(
        self, name: str, max: int = BATCH, *, wait: float = 0, member: str | None = None
    ) -> list[Delivery]:
        """Receive the next deliveries, at most `max` of them (1 to 1,000) and some 4 MB.

        They are the member's for the group's lease; settle each in that time. If there are none,
        waits for the first for at most `wait` seconds (default 0), and holds no connection
        meanwhile. Every event is delivered at least once, and to one member at a time.
        Raises HistoryRewound if the log is not the one that the group has seen.
        """
        return await self._receive(name, max, member or this_process(), wait)

    async def ack(self, name: str, deliveries: Iterable[Delivery | str]) -> Settled:
        """Say that deliveries (or their ids) are done; what waits behind them is free."""
        settled = await self._ask(consumers.ack(name, deliveries))
        self._changed(name)
        return settled

    async def nack(
        self,
        name: str,
        deliveries: Iterable[Delivery | str],
        action: Action = "retry",
        *,
        delay: float | None = None,
        reason: str | None = None,
    ) -> Settled:
        """Say that deliveries (or their ids) are not done, and what becomes of them.

        retry: again after `delay` seconds (default: the group's backoff), parked after the group's
        retries; park: the stream, so that its later events wait, or under ordering "none" the
        event alone (park_stream, park_event: one of these in any case); skip: left out for good;
        release: given back untried, which is not counted.
        """
        settled = await self._ask(consumers.nack(name, deliveries, action, delay, reason))
        self._changed(name)
        return settled

    async def renew(self, name: str, deliveries: Iterable[Delivery | str]) -> Settled:
        """Say that deliveries (or their ids) take longer: their leases begin anew."""
        return await self._ask(consumers.renew(name, deliveries))

    async def parked(self, name: str, *, limit: int = 1_000) -> list[ParkedDelivery]:
        """Give what is set aside, the oldest first, 1,000 at most."""
        return await self._ask(consumers.parked(name, limit))

    async def replay(
        self,
        name: str,
        stream_name: str | None = None,
        *,
        positions: Sequence[int] | None = None,
    ) -> int:
        """Deliver parked events again, as if for the first time and in order; give how many.

        All, or those of a stream or at these positions; what they hold back follows.
        """
        replayed = await self._ask(consumers.replay(name, stream_name, positions))
        self._changed(name)
        return replayed

    async def drop(
        self,
        name: str,
        stream_name: str | None = None,
        *,
        positions: Sequence[int] | None = None,
    ) -> int:
        """Leave parked events out for good, of a stream or at these positions; give how many.

        What they hold back goes on.
        """
        dropped = await self._ask(consumers.drop(name, stream_name, positions))
        self._changed(name)
        return dropped


class SyncReceive(Protocol):
    """As `Receive`, without an event loop."""

    def __call__(self, name: str, most: int, member: str, wait: float, /) -> list[Delivery]: ...


class SyncConsumerCatalog:
    """ConsumerCatalog's twin for code without an event loop."""

    def __init__(self, ask: SyncAsked, receive: SyncReceive) -> None:
        self._ask = ask
        self._receive = receive

    def create(
        self,
        name: str,
        query: EventQuery | None = None,
        *,
        start: int | Literal["head"] = 0,
        ordering: Ordering = "stream",
        buffer: int = 200,
        lease: float = 30.0,
        retries: int = 5,
        backoff: float = 1.0,
        after: Iterable[str] = (),
    ) -> bool:
        """See ConsumerCatalog.create."""
        group = ConsumerGroup(
            name,
            query or EventQuery(),
            start,
            ordering,
            buffer,
            lease,
            retries,
            backoff,
            _projections(after),
        )
        return self._ask(consumers.create(group))

    def delete(self, name: str) -> None:
        """See ConsumerCatalog.delete."""
        self._ask(consumers.delete(name))

    def all(self) -> list[GroupStatus]:
        """See ConsumerCatalog.all."""
        return self._ask(consumers.statuses())

    def get(self, name: str) -> GroupStatus:
        """See ConsumerCatalog.get."""
        return self._ask(consumers.status(name))

    def receive(
        self, name: str, max: int = BATCH, *, wait: float = 0, member: str | None = None
    ) -> list[Delivery]:
        """See ConsumerCatalog.receive."""
        return self._receive(name, max, member or this_process(), wait)

    def ack(self, name: str, deliveries: Iterable[Delivery | str]) -> Settled:
        """See ConsumerCatalog.ack."""
        return self._ask(consumers.ack(name, deliveries))

    def nack(
        self,
        name: str,
        deliveries: Iterable[Delivery | str],
        action: Action = "retry",
        *,
        delay: float | None = None,
        reason: str | None = None,
    ) -> Settled:
        """See ConsumerCatalog.nack."""
        return self._ask(consumers.nack(name, deliveries, action, delay, reason))

    def renew(self, name: str, deliveries: Iterable[Delivery | str]) -> Settled:
        """See ConsumerCatalog.renew."""
        return self._ask(consumers.renew(name, deliveries))

    def parked(self, name: str, *, limit: int = 1_000) -> list[ParkedDelivery]:
        """See ConsumerCatalog.parked."""
        return self._ask(consumers.parked(name, limit))

    def replay(
        self,
        name: str,
        stream_name: str | None = None,
        *,
        positions: Sequence[int] | None = None,
    ) -> int:
        """See ConsumerCatalog.replay."""
        return self._ask(consumers.replay(name, stream_name, positions))

    def drop(
        self,
        name: str,
        stream_name: str | None = None,
        *,
        positions: Sequence[int] | None = None,
    ) -> int:
        """See ConsumerCatalog.drop."""
        return self._ask(consumers.drop(name, stream_name, positions))


def _projections(after: Iterable[str]) -> tuple[str, ...]:
    if isinstance(after, str):
        raise InvalidInput("after is a list of texts, not one text", path="$.after")
    return tuple(after)
