"""What tests of reactors share: handlers that can be held, and a runner beside a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from eventstore import EventData, EventStore, RecordedEvent
from eventstore.core.reactor import Reactor
from eventstore.reactors import Context, ReactorRunner
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until


class Handling:
    """A handler that tells what it sees, and lets an event end only when it may."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.done: list[tuple[str, int]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.broken: set[str] = set()
        """Streams of which events fail."""

    async def __call__(self, event: RecordedEvent, context: Context) -> None:
        """Handle an event."""
        place = event.stream_name, event.revision
        self.begun.append(place)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_end.wait()
            if event.stream_name in self.broken:
                raise ValueError(f"{event.stream_name} is broken")
            self.done.append(place)
        finally:
            self.at_once -= 1

    async def reach(self, count: int) -> list[tuple[str, int]]:
        """Wait until so many events are done; give them."""

        async def enough() -> bool:
            return len(self.done) >= count

        await until(enough, f"{count} events, but {self.done} are done")
        return self.done

    async def reach_begun(self, count: int) -> list[tuple[str, int]]:
        """Wait until so many events have begun; give them."""

        async def enough() -> bool:
            return len(self.begun) >= count

        await until(enough, f"{count} events, but {self.begun} have begun")
        return self.begun


def reactor(handling: Any, **options: Any) -> Reactor:
    """Make a reactor on `Happened` events from the beginning."""
    made = Reactor("emails", **{"start": 0, "backoff": 0.001, **options})

    @made.on("Happened")
    async def handle(event: RecordedEvent, context: Context) -> None:
        await handling(event, context)

    return made


@asynccontextmanager
async def reacting(
    store: EventStore, made: Reactor, member: str = "one"
) -> AsyncIterator[ReactorRunner]:
    """Let a runner run it, and stop it in order."""
    runner = ReactorRunner(store, made, member=member)
    await runner.register()
    stopping = asyncio.Event()
    task = asyncio.ensure_future(runner.run(stopping))
    try:
        yield runner
    finally:
        stopping.set()
        async with asyncio.timeout(DEADLINE):
            await task


async def happen(store: EventStore, stream_name: str, count: int = 1) -> None:
    """Append so many events to a stream."""
    await store.append(stream_name, [EventData("Happened", {"n": n}) for n in range(count)])


async def deliveries(connection: Pg) -> list[Any]:
    """Give what is not settled: state, stream and attempt, in order of position."""
    return [
        tuple(row)
        for row in await connection.fetch(
            "SELECT state, stream_name, attempt FROM eventstore.deliveries ORDER BY position"
        )
    ]


async def settled(connection: Pg) -> None:
    """Wait until the log is looked through, and nothing is waiting or in flight."""

    async def holds() -> bool:
        lag = await connection.fetchval("SELECT sum(lag_events) FROM eventstore.consumer_status")
        return not lag and not [
            one for one in await deliveries(connection) if one[0] not in ("parked", "held")
        ]

    await until(holds, "everything to be settled")
