"""The feed: one reader of the log's end in a process, however many follow it.

Followers read the log until they reach the tail, then the tail. They pull: nobody keeps a queue
for them, so one that is slow costs no memory, it only goes back to the log. Nobody who waits
holds a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from eventstore.core.errors import EventStoreError, HistoryRewound
from eventstore.core.events import RecordedEvent
from eventstore.core.interest import EVERY_EVENT, keys_of_query
from eventstore.core.paging import PageSize
from eventstore.core.query import EventQuery
from eventstore.core.reads import LogHead, Scan, log_scan
from eventstore.core.tail import Tail
from eventstore.waiters import Waiters

logger: Final = logging.getLogger("eventstore.feed")

PAGE: Final = 500
"""Most events that a follower is given at once, unless it asks for more."""
WARM: Final = 1_000
"""Events that the tail begins with, so that those who come back find their place in it."""
POLL_LIVE: Final = 1.0
"""Seconds between looks at the log while notifications arrive: one may have been lost."""
POLL_ONLY: Final = 0.1
"""Seconds between looks at the log while they do not."""


class Source(Protocol):
    """What the feed reads from: `EventStore`."""

    async def head(self) -> LogHead: ...
    async def page(self, scan: Scan, limit: int) -> list[RecordedEvent]: ...
    async def news(self, after: int, limit: int) -> tuple[LogHead, list[RecordedEvent]]: ...


class Feed:
    """Keeps the tail up to date while anybody follows. `wake` it when something was stored."""

    def __init__(
        self,
        source: Source,
        *,
        live: Callable[[], bool] = lambda: False,
        tail: Tail | None = None,
    ) -> None:
        """`live` says whether notifications arrive; if not, the log is looked at every 0.1 s."""
        self.source = source
        self._live = live
        self.tail = tail or Tail()
        self.waiters = Waiters(lambda: self.tail.head)
        self.rewound: HistoryRewound | None = None
        """Set anew whenever the log is found rewound: who followed before cannot go on."""
        self.closing = False
        self.trouble = ""
        """Why the log could not be read the last time; empty when it could."""
        self.watchers: list[Callable[[str], None]] = []
        """Told of every change of `trouble`, a moment later."""
        self._followers = 0
        self.epoch = 0
        """The epoch of what is in the tail."""
        self._size = PageSize(PAGE)
        self._ready = asyncio.Event()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def followers(self) -> int:
        """How many follow now."""
        return self._followers

    def start(self) -> None:
        """Start to read. Ends with `close`."""
        self._task = asyncio.create_task(self._run(), name="eventstore feed")

    def end_followers(self) -> None:
        """Let every follower end now."""
        self.closing = True
        self._ready.set()
        self.waiters.wake_all()

    async def close(self) -> None:
        """End every follower and stop reading."""
        self.end_followers()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wake(self) -> None:
        """Look at the log now."""
        self._woken.set()

    async def join(self, epoch: int) -> None:
        """Count a follower in, and wait until the tail is there, of its epoch or a later one."""
        self._followers += 1
        try:
            while not self.closing:
                self.wake()
                await self._ready.wait()
                if self.epoch >= epoch:
                    return
                await self.waiters.wait((EVERY_EVENT,), POLL_LIVE)
        except BaseException:
            self._followers -= 1
            raise

    def leave(self) -> None:
        """Count a follower out."""
        self._followers -= 1

    async def _run(self) -> None:
        while True:
            poll = POLL_LIVE if self._live() else POLL_ONLY
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll if self._followers else None):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self._look()
            except Exception as error:  # whatever it is: a feed that ends would end quietly
                if str(error) != self.trouble:
                    unexpected = not isinstance(error, EventStoreError)
                    logger.warning(
                        "the log cannot be read, trying again: %s", error, exc_info=unexpected
                    )
                self._tell(str(error))
                await asyncio.sleep(POLL_LIVE)
            else:
                self._tell("")

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            for watcher in self.watchers:
                # Not from here: what goes wrong in it would end the feed.
                asyncio.get_running_loop().call_soon(watcher, trouble)

    async def _look(self) -> None:
        if not self._followers:
            self._ready.clear()
            return
        if not self._ready.is_set():
            await self._begin()
        head = None
        while head is None or self.tail.head < head.position:
            # The head comes with every page: it tells whether the log is still the same one.
            head, events = await self.source.news(self.tail.head, self._size())
            if head.epoch != self.epoch or head.position < self.tail.head:
                self._rewound(head)
                return
            self._size.read(events)
            self.tail.extend(events)
            self.waiters.wake(events)

    async def _begin(self) -> None:
        head = await self.source.head()
        self.tail.reset(max(0, head.position - WARM))
        self.epoch = head.epoch
        self._ready.set()

    def _rewound(self, head: LogHead) -> None:
        self.rewound = HistoryRewound(self.tail.head, self.epoch, head.position, head.epoch)
        logger.error("%s", self.rewound)
        self._ready.clear()  # who comes from now on begins with the log as it is
        self.waiters.wake_all()


class Follower:
    """One place in the log, moving on. Use as `async with Follower(feed, query, after)`.

    `position` is the place up to which everything that the query means has been given: it moves
    on also where the query leaves events out.
    """

    def __init__(
        self,
        feed: Feed,
        query: EventQuery | None = None,
        *,
        after: int = 0,
        epoch: int | None = None,
        page: int = PAGE,
    ) -> None:
        """Plan to follow what `query` means (default: everything) after a position.

        `epoch` is the one in which that position was seen; `page` is how many events are given at
        once, at most, and some 4 MiB of their JSON. Raises InvalidInput for a bad bound.
        """
        self._feed = feed
        self._query = query or EventQuery()
        self._scan = log_scan(self._query, after=after, before=None, direction="forward")
        self._everything = not self._query
        self._keys = keys_of_query(self._query)
        self._epoch = epoch
        self._rewound = feed.rewound
        self._page = page
        self._size = PageSize(page)
        self._begun_at = 0
        self._checked = False
        self._joined = False
        self.position = self._scan.after
        self.caught_up = False
        """Whether the head of the moment it began has been reached."""

    async def __aenter__(self) -> Follower:
        """Begin, after a `check` unless that was done."""
        if not self._checked:
            await self.check()
        assert self._epoch is not None  # noqa: S101 - `check` sets it
        await self._feed.join(self._epoch)
        self._joined = True
        rewound = self._feed.rewound
        if rewound is not None and rewound.epoch < self._epoch:
            self._rewound = rewound  # before its time: the feed had not looked yet
        return self

    async def check(self) -> LogHead:
        """Raise HistoryRewound if the log does not have that position in that epoch."""
        self._rewound = self._feed.rewound
        head = await self._feed.source.head()
        epoch = head.epoch if self._epoch is None else self._epoch
        if epoch != head.epoch or self.position > head.position:
            raise HistoryRewound(self.position, epoch, head.position, head.epoch)
        self._epoch = epoch
        self._begun_at = head.position
        self._checked = True
        return head

    async def __aexit__(self, *_: object) -> None:
        if self._joined:
            self._joined = False
            self._feed.leave()

    @property
    def closed(self) -> bool:
        """Whether the store is being closed: nothing more will come."""
        return self._feed.closing

    async def next(self, timeout: float | None = None) -> list[RecordedEvent]:  # noqa: ASYNC109
        """Give the next events, at most a page; wait for the first one at the head.

        Gives none when `timeout` seconds have passed (None: no limit), once when the head is
        reached first, and at once when `closed`. Raises HistoryRewound when the log was rewound,
        and Unavailable when it cannot be read now: call again later.
        """
        feed = self._feed
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not feed.closing:
            if feed.rewound is not self._rewound and feed.rewound is not None:
                raise self._rewound_to(feed.rewound.head, feed.rewound.current_epoch)
            if self._epoch is not None and self._epoch < feed.epoch:  # between check and begin
                raise self._rewound_to(feed.tail.head, feed.epoch)
            seen = feed.tail.after(self.position, self._page)
            if seen is None:
                if events := await self._from_log():
                    return events
            elif seen:
                self.position = seen[-1].position
                if self._everything:
                    return seen
                if matching := [event for event in seen if self._query.matches(event)]:
                    return matching
            elif not self.caught_up and self.position >= self._begun_at:
                self.caught_up = True
                return []
            else:
                left = None if deadline is None else deadline - loop.time()
                if left is not None and left <= 0:
                    return []
                # On its way to the head it looks at everything that comes.
                keys = self._keys if self.caught_up else (EVERY_EVENT,)
                reached = await feed.waiters.wait(keys, left)
                # Behind, if it began at a position that the tail had not reached yet.
                self.position = max(self.position, reached)
        return []

    def _rewound_to(self, head: int, epoch: int) -> HistoryRewound:
        """Give the error of this follower's own place."""
        return HistoryRewound(self.position, self._epoch or epoch, head, epoch)

    async def _from_log(self) -> list[RecordedEvent]:
        """Read a page of what lies before the end of the tail."""
        head = self._feed.tail.head
        scan = replace(self._scan, after=self.position).up_to(head)
        size = self._size()
        events = await self._feed.source.page(scan, size)
        self._size.read(events)
        self.position = events[-1].position if len(events) == size else head
        return events
