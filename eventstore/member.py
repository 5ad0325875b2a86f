"""A member of a consumer group: a loop over deliveries, each settled by whoever handles it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, Generic, Self, TypeVar

from eventstore.consumers import ConsumerCatalog, SyncConsumerCatalog, this_process
from eventstore.core.backoff import delays
from eventstore.core.delivery import Action, Delivery, Settled, check_most
from eventstore.core.errors import EventStoreError, Unavailable
from eventstore.core.events import RecordedEvent

logger: Final = logging.getLogger("eventstore.member")

WAIT: Final = 20.0
"""Seconds for which one receive waits; a member goes on to ask."""
SETTLE: Final = 15.0
"""Seconds for which settling a delivery is tried again, while the store cannot be reached."""

G = TypeVar("G", ConsumerCatalog, SyncConsumerCatalog)


class _Held(Generic[G]):
    """A delivery in the hands of a member."""

    __slots__ = ("_delivery", "_held", "_name", "_store")
    _store: G

    def __init__(self, store: G, name: str, delivery: Delivery, held: dict[str, Delivery]) -> None:
        self._store = store
        self._name = name
        self._delivery = delivery
        self._held = held

    @property
    def id(self) -> str:
        """This lease of the event."""
        return self._delivery.id

    @property
    def attempt(self) -> int:
        """How often it was delivered, counted from 1."""
        return self._delivery.attempt

    @property
    def event(self) -> RecordedEvent:
        """The event."""
        return self._delivery.event


class MemberDelivery(_Held[ConsumerCatalog]):
    """A delivery in a member's loop. Settle it before its lease ends."""

    async def ack(self) -> bool:
        """Say that it is done. False: it was not this member's any more, and is delivered again.

        Tried again for 15 s while the store cannot be reached; then raises Unavailable. False, too,
        if a try before was carried out, and only its answer was lost.
        """
        return await self._settle(lambda: self._store.ack(self._name, [self.id]))

    async def nack(
        self, action: Action = "retry", *, delay: float | None = None, reason: str | None = None
    ) -> bool:
        """Say that it is not done, and what becomes of it: see ConsumerCatalog.nack."""
        return await self._settle(
            lambda: self._store.nack(self._name, [self.id], action, delay=delay, reason=reason)
        )

    async def _settle(self, ask: Callable[[], Awaitable[Settled]]) -> bool:
        deadline = time.monotonic() + SETTLE
        for pause in delays():
            try:
                settled = await ask()
            except Unavailable:
                if time.monotonic() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)
            else:
                break
        self._held.pop(self.id, None)
        return not settled.lost


class Member:
    """`store.consume("emails")`: use as `async with ... as deliveries: async for delivery in ...`.

    Goes on for ever, also across lost connections and restarts of the database. What is received
    and not settled when the block ends is given back at once, uncounted; so is what the loop has
    not come to when the lease of its batch ends.
    """

    def __init__(self, store: ConsumerCatalog, name: str, max: int, member: str | None) -> None:
        self._store = store
        self._name = name
        self._most = check_most(max)
        self._member = member or this_process()
        self._held: dict[str, Delivery] = {}
        self._lease = 0.0

    async def __aenter__(self) -> Self:
        """Raises NotFound if there is no such group."""
        self._lease = (await self._store.get(self._name)).lease
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._give_back(list(self._held))

    async def __aiter__(self) -> AsyncIterator[MemberDelivery]:
        pauses = delays()
        while True:
            try:
                batch = await self._store.receive(
                    self._name, self._most, wait=WAIT, member=self._member
                )
            except Unavailable as error:
                logger.warning("nothing can be received, trying again: %s", error)
                await asyncio.sleep(next(pauses))
                continue
            pauses = delays()
            ends = time.monotonic() + self._lease
            self._held |= {delivery.id: delivery for delivery in batch}
            for n, delivery in enumerate(batch):
                if time.monotonic() >= ends:  # others have the rest by now, or soon
                    await self._give_back([late.id for late in batch[n:]])
                    break
                yield MemberDelivery(self._store, self._name, delivery, self._held)

    async def _give_back(self, ids: list[str]) -> None:
        for one in ids:
            self._held.pop(one, None)
        if ids:
            try:
                await self._store.nack(self._name, ids, "release")
            except EventStoreError as error:  # their leases end anyway
                logger.warning("deliveries are not given back before their leases end: %s", error)


class SyncMemberDelivery(_Held[SyncConsumerCatalog]):
    """MemberDelivery's twin for code without an event loop."""

    def ack(self) -> bool:
        """See MemberDelivery.ack."""
        return self._settle(lambda: self._store.ack(self._name, [self.id]))

    def nack(
        self, action: Action = "retry", *, delay: float | None = None, reason: str | None = None
    ) -> bool:
        """See MemberDelivery.nack."""
        return self._settle(
            lambda: self._store.nack(self._name, [self.id], action, delay=delay, reason=reason)
        )

    def _settle(self, ask: Callable[[], Settled]) -> bool:
        deadline = time.monotonic() + SETTLE
        for pause in delays():
            try:
                settled = ask()
            except Unavailable:
                if time.monotonic() + pause >= deadline:
                    raise
                time.sleep(pause)
            else:
                break
        self._held.pop(self.id, None)
        return not settled.lost


class SyncMember:
    """Member's twin for code without an event loop."""

    def __init__(self, store: SyncConsumerCatalog, name: str, max: int, member: str | None) -> None:
        self._store = store
        self._name = name
        self._most = check_most(max)
        self._member = member or this_process()
        self._held: dict[str, Delivery] = {}
        self._lease = 0.0

    def __enter__(self) -> Self:
        """Raises NotFound if there is no such group."""
        self._lease = (self._store.get(self._name)).lease
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back(list(self._held))

    def __iter__(self) -> Iterator[SyncMemberDelivery]:
        pauses = delays()
        while True:
            try:
                batch = self._store.receive(self._name, self._most, wait=WAIT, member=self._member)
            except Unavailable as error:
                logger.warning("nothing can be received, trying again: %s", error)
                time.sleep(next(pauses))
                continue
            pauses = delays()
            ends = time.monotonic() + self._lease
            self._held |= {delivery.id: delivery for delivery in batch}
            for n, delivery in enumerate(batch):
                if time.monotonic() >= ends:  # others have the rest by now, or soon
                    self._give_back([late.id for late in batch[n:]])
                    break
                yield SyncMemberDelivery(self._store, self._name, delivery, self._held)

    def _give_back(self, ids: list[str]) -> None:
        for one in ids:
            self._held.pop(one, None)
        if ids:
            try:
                self._store.nack(self._name, ids, "release")
            except EventStoreError as error:  # their leases end anyway
                logger.warning("deliveries are not given back before their leases end: %s", error)
