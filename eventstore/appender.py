"""Group commit: many callers, one transaction.

No timer: a batch is what came in while the ones before it were under way, so an append that comes
alone is not delayed. Two lanes, so that one batch is encoded and parsed while the other commits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from eventstore.core.append import Appended, AppendRequest
from eventstore.core.batching import Batch, Outcome
from eventstore.core.errors import EventStoreError, OutcomeUnknown, Unavailable
from eventstore.core.limits import DEFAULT_LIMITS, Limits

LANES: Final = 2
SMALLEST_SHARE: Final = 32
"""Requests that a second lane has to find waiting; a batch is not split below it either."""
STALL: Final = 0.1
"""Seconds after which a second lane no longer leaves what waits to the first."""


class Carrier(Protocol):
    """What stores a batch: `postgres.lane.Lane`."""

    async def store(self, requests: Sequence[AppendRequest]) -> list[Outcome]: ...
    async def close(self) -> None: ...


class _Pending(NamedTuple):
    request: AppendRequest
    answer: asyncio.Future[tuple[Appended, ...]]


class Appender:
    """Collects concurrent appends and stores them in batches.

    The queue is bounded in requests and bytes; beyond that an append is turned away at once with
    Unavailable. A caller that is cancelled while it waits in the queue stores nothing; once its
    batch is under way it is stored or not, and nobody is told.
    """

    def __init__(
        self,
        lanes: Sequence[Carrier],
        *,
        limits: Limits = DEFAULT_LIMITS,
        on_stored: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_stored` is told a position up to which events have been committed, after a batch."""
        self._carriers = lanes
        self._on_stored = on_stored
        self._limits = limits
        self._queue: deque[_Pending] = deque()
        self._queued_bytes = 0
        self._idle: list[asyncio.Future[None]] = []
        self._busy = 0
        self._guard: asyncio.TimerHandle | None = None
        self._stalled = False
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def pending(self) -> int:
        """Appends that wait for a batch."""
        return len(self._queue)

    def start(self) -> None:
        """Start the lanes. They end with `close`."""
        self._tasks = [
            asyncio.create_task(self._run(carrier), name=f"appender lane {number}")
            for number, carrier in enumerate(self._carriers)
        ]

    async def close(self) -> None:
        """Store what waits, turn away what comes, then close the connections."""
        self._closing = True
        self._wake(len(self._idle))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for carrier in self._carriers:
            await carrier.close()

    async def append(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Store a request; give one answer for each of its appends.

        Raises AppendRefused (nothing stored), InvalidInput (nothing stored), Unavailable (nothing
        stored, try again) or OutcomeUnknown (retry with the same ids).
        """
        if self._closing:
            raise Unavailable("not stored: the store is shutting down")
        if (
            len(self._queue) >= self._limits.pending_appends
            or self._queued_bytes + request.size > self._limits.pending_bytes
        ):
            raise Unavailable(
                f"not stored: {len(self._queue)} appends wait already; send slower, or batch more"
            )
        answer: asyncio.Future[tuple[Appended, ...]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(request, answer))
        self._queued_bytes += request.size
        if self._may_start():
            self._wake(1)
        elif self._guard is None:
            self._guard = asyncio.get_running_loop().call_later(STALL, self._stop_leaving)
        return await answer

    def _wake(self, lanes: int) -> None:
        for _ in range(min(lanes, len(self._idle))):
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(None)

    async def _run(self, carrier: Carrier) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._take() if self._may_start() else []
            if batch:
                self._busy += 1
                if self._may_start():  # the other lane carries the rest
                    self._wake(1)
                try:
                    outcomes = await carrier.store([pending.request for pending in batch])
                except BaseException:  # cancelled, or a fault of ours: nobody may wait for ever
                    for pending in batch:
                        _answer(pending, OutcomeUnknown(tuple(pending.request.event_ids)))
                    self._wake(1)
                    raise
                finally:
                    self._busy -= 1
                for pending, outcome in zip(batch, outcomes, strict=True):
                    _answer(pending, outcome)
                if stored := [o[-1].position for o in outcomes if isinstance(o, tuple)]:
                    self._on_stored(max(stored))
            elif self._closing:
                return
            else:
                idle = loop.create_future()
                self._idle.append(idle)
                await idle

    def _may_start(self) -> bool:
        """Whether a lane should take what waits now.

        While a batch is under way, a small second one would only wait for its append lock, and
        cost a transaction: it is better sent whole when the first is done. But not for ever: the
        first one's line may be dead.
        """
        return (
            not self._busy or len(self._queue) >= SMALLEST_SHARE or self._stalled or self._closing
        )

    def _stop_leaving(self) -> None:
        self._guard = None
        self._stalled = bool(self._queue)
        self._wake(1)

    def _take(self) -> list[_Pending]:
        self._stalled = False
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        batch = Batch()
        taken: list[_Pending] = []
        waiting: list[_Pending] = []
        queue = self._queue
        # What an idle lane could carry at the same time is left to it: while one batch commits,
        # the other is encoded. Small batches are not split, for each costs a disk flush.
        free = len(self._carriers) - self._busy
        share = max(-(-len(queue) // free), SMALLEST_SHARE)
        while queue and len(taken) < share and not batch.is_full:
            pending = queue.popleft()
            if pending.answer.done():  # its caller has gone
                self._queued_bytes -= pending.request.size
            elif batch.accept(pending.request):
                self._queued_bytes -= pending.request.size
                taken.append(pending)
            else:
                waiting.append(pending)
        queue.extendleft(reversed(waiting))
        return taken


def _answer(pending: _Pending, outcome: Outcome) -> None:
    if pending.answer.done():
        return
    if isinstance(outcome, OutcomeUnknown):  # each caller is told its own ids
        outcome = OutcomeUnknown(tuple(pending.request.event_ids))
    if isinstance(outcome, EventStoreError):
        pending.answer.set_exception(outcome)
    else:
        pending.answer.set_result(outcome)
