"""Members that are killed, stopped or cut off: nothing is lost, done twice or out of order."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from eventstore import Appended, EventData, EventStore, OutcomeUnknown, RecordedEvent, Unavailable
from eventstore.core.backoff import delays
from eventstore.core.history import History
from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate
from tests.fix_server import QUICK, new_room
from tests.fix_waiting import until
from tests.reactors.echoing import CONCURRENCY, FACTS
from tests.reactors.fleet import Fleet
from tests.service.load import ticks

ROUNDS = int(os.environ.get("EVENTSTORE_CRASH_ROUNDS", "1"))
"""Rounds of each fault; 50 in full."""
STREAMS = 12
WRITERS = 3
RATE = 6
"""Appends a second of each writer, of one to four events."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What was noted, in the order in which it happened."""

    number: int
    what: str
    position: int
    stream_name: str
    attempt: int
    count: int


@pytest.mark.slow
@pytest.mark.timeout(60 + 40 * ROUNDS)
async def test_four_members_on_three_processes_do_everything_once_and_in_order(
    tmp_path: Path,
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    told: list[Appended] = []
    with (
        new_room() as room,
        EmbeddedPostgres(room / "data", settings=QUICK) as postgres,
        ExitStack() as closing,
    ):
        dsn = postgres.dsn()
        await asyncio.to_thread(migrate, dsn)
        async with asyncpg.create_pool(dsn, min_size=0) as sql, EventStore(dsn) as store:
            await sql.execute(FACTS)
            fleet = Fleet(postgres, sql, chance, closing, tmp_path / "log")
            await fleet.start()
            async with writing(store, chance, told):
                await fleet.progress(20)
                for number in range(ROUNDS):
                    for fault in chance.sample(fleet.FAULTS, len(fleet.FAULTS)):
                        print(f"round {number}: {fault}")
                        await fleet.suffer(fault)

            async def settled() -> bool:
                [status] = await store.consumers.all()
                return not (
                    status.lag_events or status.buffered or status.returned or status.in_flight
                )

            await until(settled, "everything to be handled")
            assert await fleet.end() == [0, 0, 0]
            events = [event async for event in store.read()]
            assert await sql.fetch("SELECT * FROM eventstore.deliveries") == []
            facts = [Fact(*row) for row in await sql.fetch("SELECT * FROM facts ORDER BY number")]
    history = History()
    for event in events:
        history.feed(event)
    for appended in told:
        history.acknowledged(appended)
    assert history.violations == []
    expect_deliveries(events, facts)
    expect_effects(events)


@asynccontextmanager
async def writing(
    store: EventStore, chance: random.Random, told: list[Appended]
) -> AsyncIterator[None]:
    """Append all the while, the same again until it is known to be stored."""
    over = asyncio.Event()

    async def write() -> None:
        async for _ in ticks(RATE):
            if over.is_set():
                return
            stream = f"s-{chance.randrange(STREAMS)}"
            made = [
                EventData("Happened", event_id=uuid.uuid4()) for _ in range(chance.randint(1, 4))
            ]
            for delay in delays():
                try:
                    told.append(await store.append(stream, made))
                except (Unavailable, OutcomeUnknown):
                    await asyncio.sleep(delay)
                else:
                    break

    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(write())
        yield
        over.set()


def expect_deliveries(events: list[RecordedEvent], facts: list[Fact]) -> None:
    """Expect that each event was handled and acked once, and no two of a stream at a time."""
    happened = [event for event in events if event.event_type == "Happened"]
    ended: dict[tuple[int, int], int] = {}
    acked: dict[int, Fact] = {}
    for fact in facts:
        assert fact.what != "overflow", f"{fact.count} wait"
        assert fact.what == "acked" or fact.count <= CONCURRENCY, f"{fact.count} are handled"
        if fact.what == "ended":
            ended[fact.position, fact.attempt] = fact.number
        elif fact.what == "acked":
            assert fact.position not in acked, f"acked twice: {fact}"
            assert (fact.position, fact.attempt) in ended, f"acked before it was handled: {fact}"
            acked[fact.position] = fact
    assert sorted(acked) == [event.position for event in happened]
    before: dict[int, int] = {}
    last: dict[str, int] = {}
    for event in happened:
        before[event.position] = last.get(event.stream_name, 0)
        last[event.stream_name] = event.position
    for fact in facts:
        if fact.what == "begun" and (earlier := before[fact.position]):
            assert acked[earlier].number < fact.number, f"begun before {earlier} was acked: {fact}"
    assert max(fact.attempt for fact in acked.values()) > 1, "no fault has hit any delivery"


def expect_effects(events: list[RecordedEvent]) -> None:
    """Expect that each event was echoed once, in the order of its stream."""
    wanted: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    echoed: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for event in events:
        if event.event_type == "Happened":
            wanted[f"echo-{event.stream_name}"] += [
                (event.position, part, str(event.event_id)) for part in range(3)
            ]
        else:
            echoed[event.stream_name].append(
                (event.data["of"], event.data["part"], event.metadata["causation_id"])
            )
    assert echoed == wanted
