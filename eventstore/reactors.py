"""Running reactors: events are leased from a group, handled some at a time, acked together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar

from eventstore.core.append import Appended
from eventstore.core.backoff import delays
from eventstore.core.delivery import LONGEST_REASON, ConsumerGroup, Delivery
from eventstore.core.errors import NotFound, OutcomeUnknown, Unavailable
from eventstore.core.events import EventData
from eventstore.core.places import own_frames, reason_of
from eventstore.core.reactor import Reactor, derived_ids, idempotency_key
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.store import EventStore

T = TypeVar("T")
logger: Final = logging.getLogger("eventstore.reactors")

LEASE: Final = 10.0
"""Seconds without a word from a worker after which another one is given its events."""
BEAT: Final = LEASE / 4
"""Seconds between words."""
WAIT: Final = 20.0
"""Seconds for which one call waits for events."""
GRACE: Final = 10.0
"""Seconds for which a worker that stops lets handlers end."""


class Context:
    """What a handler has beside its event."""

    def __init__(self, store: EventStore, reactor: Reactor, delivery: Delivery) -> None:
        self.store: Final = store
        self.attempt: Final = delivery.attempt
        """How often this event has been handed to a handler, this time included."""
        self.idempotency_key: Final = idempotency_key(reactor.name, delivery.event)
        """The same however often the event is handled: give it to what you call outside."""
        self._event = delivery.event
        self._appended: Counter[str] = Counter()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
    ) -> Appended:
        """Append what came of the event; once, however often the event is handled.

        Event ids are derived from the reactor, the event, the stream and how many the handler has
        appended there before, so what an earlier attempt has appended is not appended again: the
        answer is that of the first time. An append that failed does not count. Metadata gets
        `causation_id` and `correlation_id`. Raises what `EventStore.append` does, but for
        OutcomeUnknown: it is tried until it is known; DuplicateEventId if an earlier attempt has
        appended something of another length there.
        """
        given = [events] if isinstance(events, EventData) else list(events)
        caused = {
            "causation_id": str(self._event.event_id),
            "correlation_id": self._event.metadata.get("correlation_id", str(self._event.event_id)),
        }
        async with self._turns[stream_name]:  # whether one counts is known when it is done
            first = self._appended[stream_name]
            ids = derived_ids(self.idempotency_key, stream_name, first, len(given))
            derived = [
                EventData(
                    one.event_type,
                    one.data,
                    {**caused, **one.metadata},
                    event_id=made,
                    tags=one.tags,
                )
                for one, made in zip(given, ids, strict=True)
            ]
            appended = await self._append(stream_name, derived, expected_revision)
            self._appended[stream_name] += len(given)
            return appended

    async def _append(
        self, stream_name: str, events: Sequence[EventData], expected_revision: ExpectedRevision
    ) -> Appended:
        waits = delays()
        while True:
            try:
                return await self.store.append(
                    stream_name, events, expected_revision=expected_revision
                )
            except OutcomeUnknown:
                await asyncio.sleep(next(waits))


class ReactorRunner:
    """Runs one reactor in this process until told to stop, beside any number of others.

    As many events as are handled are in hand besides, so that no handler waits for a round trip;
    their leases are renewed while the process lives, and given back when it stops.
    """

    def __init__(
        self, store: EventStore, reactor: Reactor, *, member: str, start: int | None = None
    ) -> None:
        """Plan to run. `member` is what this process is called in the group's status.

        `start` is the position after which the group begins if it has to be made, in place of the
        reactor's own; from the first word to the group on it is where the group was.
        """
        self.start: int | Literal["head"] = reactor.start if start is None else start
        self._store = store
        self._group = store.consumers
        self._presence = store.presence(member)
        self._reactor = reactor
        self._member = member
        self._slots = asyncio.Semaphore(reactor.concurrency)  # first come, first served
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        self._ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._draining = False

    async def register(self) -> None:
        """Make the group, or take over what has changed of it. Raises what `create` does.

        From now on this worker counts as running it.
        """
        reactor = self._reactor
        group = ConsumerGroup(
            reactor.name,
            reactor.query,
            start=self.start,
            ordering=reactor.ordering,
            buffer=reactor.buffer,
            lease=LEASE,
            retries=reactor.retries,
            backoff=reactor.backoff,
            after=reactor.after,
        )
        await self._presence.register(group)

    async def run(self, stopping: asyncio.Event) -> None:
        """Handle events until `stopping` is set; then let handlers end, for at most 10 s.

        A database that is away is waited for. Raises what does not pass, as HistoryRewound.
        NotFound: somebody has removed the group, which nobody can by `delete` while this worker is
        heard of; the next run makes it anew.
        """
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(self._receive(tasks), name=f"{self._reactor} receives")
            others = [
                tasks.create_task(self._settle(), name=f"{self._reactor} settles"),
                tasks.create_task(self._beat(), name=f"{self._reactor} beats"),
            ]
            await stopping.wait()
            self._draining = True
            receiving.cancel()
            await asyncio.wait([receiving], timeout=GRACE)
            if handling := list(self._in_hand.values()):
                await asyncio.wait(handling, timeout=GRACE)
            for task in handling:
                task.cancel()
            if handling:  # what somebody else is given is not handled here any more
                await asyncio.wait(handling, timeout=GRACE)
            with contextlib.suppress(TimeoutError):  # the database is away: the leases run out
                async with asyncio.timeout(GRACE):
                    await self._ended.join()
                    if ended := [one for one, task in self._in_hand.items() if task.done()]:
                        await self._persistently(self._group.nack, ended, "release")
            for task in (receiving, *others):
                task.cancel()
        with contextlib.suppress(TimeoutError):  # as above: it is not heard of any more
            async with asyncio.timeout(GRACE):
                await self._persistently(self._presence.leave)

    async def _begin(self) -> None:
        """Be heard of; make the group anew if it is gone."""
        reactor = self._reactor
        try:
            self.start = (await self._persistently(self._presence.beat, ())).undone_after
        except NotFound:
            logger.error("%r: its group is gone; it begins anew after %s", reactor, self.start)
            await self.register()
        self._begun.set()

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        await self._begin()
        most = 2 * self._reactor.concurrency
        while True:
            while len(self._in_hand) >= most:
                self._room.clear()
                await self._room.wait()
            room = most - len(self._in_hand)
            for delivery in await self._persistently(
                self._group.receive, room, wait=WAIT, member=self._member
            ):
                task = tasks.create_task(self._handle(delivery))
                self._in_hand[delivery.id] = task

    async def _handle(self, delivery: Delivery) -> None:
        async with self._slots:
            if not self._draining:
                reason = await self._attempt(delivery)
                self._ended.put_nowait((delivery.id, reason[:LONGEST_REASON]))

    async def _attempt(self, delivery: Delivery) -> str:
        """Handle an event; give why it failed, or nothing."""
        event = delivery.event
        context = Context(self._store, self._reactor, delivery)
        try:
            async with asyncio.timeout(self._reactor.deadline) as deadline:
                await self._reactor.handler_of(event.event_type)(event, context)
        except asyncio.CancelledError as error:
            if self._draining or delivery.id not in self._in_hand:
                raise
            return self._failed(delivery, "the handler has cancelled itself", error)
        except Exception as error:  # noqa: BLE001 - whatever it raises fails its event only
            late = f"not done after {self._reactor.deadline:g} s"
            return self._failed(delivery, late if deadline.expired() else reason_of(error), error)
        return ""

    def _failed(self, delivery: Delivery, reason: str, error: BaseException) -> str:
        event, reactor = delivery.event, self._reactor
        delay = reactor.delay_after(delivery.attempt)
        logger.log(
            logging.ERROR if delay is None else logging.WARNING,
            "%r: %s of %s at position %d, attempt %d of %d, %s: %s",
            reactor,
            event.event_type,
            event.stream_name,
            event.position,
            delivery.attempt,
            reactor.retries + 1,
            "parked" if delay is None else f"again in {delay:g} s",
            reason,
            exc_info=(type(error), error, own_frames(error)),
        )
        return reason

    async def _settle(self) -> None:
        """Tell what has become of the events, of all that ended meanwhile in one call."""
        while True:
            ended = [await self._ended.get()]
            while not self._ended.empty():
                ended.append(self._ended.get_nowait())
            by_reason: dict[str, list[str]] = {}
            for made, reason in ended:
                by_reason.setdefault(reason, []).append(made)
            for reason, ids in by_reason.items():
                if reason:
                    settled = await self._persistently(self._group.nack, ids, reason=reason)
                else:
                    settled = await self._persistently(self._group.ack, ids)
                self._forget(ids, settled.lost)
            for _ in ended:
                self._ended.task_done()

    async def _beat(self) -> None:
        """Renew the leases of what is in hand; let go of what another worker has by now."""
        await self._begun.wait()
        while True:
            await asyncio.sleep(BEAT)
            beat = await self._persistently(self._presence.beat, list(self._in_hand))
            self.start = beat.undone_after
            # One that has ended meanwhile may be lost because it is settled.
            handling = {one: task for one, task in self._in_hand.items() if not task.done()}
            lost = [one for one in beat.settled.lost if one in handling]
            for one in lost:
                handling[one].cancel()
            self._forget(lost, lost)

    def _forget(self, ids: Iterable[str], lost: Iterable[str]) -> None:
        for one in lost:
            logger.warning("%r: delivery %s is another's by now", self._reactor, one)
        for one in ids:
            self._in_hand.pop(one, None)
        self._room.set()

    async def _persistently(
        self, act: Callable[..., Awaitable[T]], *args: Any, **options: Any
    ) -> T:
        """Do something about the group, again until what passes has passed."""
        waits = delays()
        while True:
            try:
                return await act(self._reactor.name, *args, **options)
            except (Unavailable, OutcomeUnknown) as error:
                seconds = next(waits)
                logger.warning("%r: trying again in %.1f s: %s", self._reactor, seconds, error)
            await asyncio.sleep(seconds)
