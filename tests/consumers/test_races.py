"""Members at once, members that are killed or stopped, and lines that break."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

import pytest

from eventstore import EventData, EventStore
from eventstore.sync import SyncEventStore
from tests.consumers.groups import ack, append, counts, create, nack, receive
from tests.fix_database import Pg, Psql, new_pg
from tests.fix_waiting import DEADLINE, until, until_waiting, wait_until

MEMBER = """
import sys
from eventstore.sync import SyncEventStore

with SyncEventStore(sys.argv[1]) as store:
    [delivery] = store.consumers.receive("emails", 1, member="other process")
    print(delivery.id, flush=True)
    sys.stdin.readline()
    print(*store.consumers.ack("emails", [delivery]).lost, flush=True)
"""


@contextlib.contextmanager
def member(dsn: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A member in a process of its own that has received one delivery: the process, and its id."""
    with subprocess.Popen(
        [sys.executable, "-c", MEMBER, dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@pytest.mark.parametrize("ordering", ["stream", "none"])
async def test_sixteen_members_at_once_have_every_event_once_and_in_order(
    store: EventStore, dsn: str, connection: Pg, ordering: str
) -> None:
    for n in range(120):
        await store.append(f"s-{n % 7}", EventData("T"))
    await create(connection, ordering=ordering, buffer=20)
    held: set[int] = set()
    done: dict[str, list[int]] = defaultdict(list)

    async def work(number: int) -> None:
        async with new_pg(dsn) as mine:
            while sum(map(len, done.values())) < 120:
                got = await receive(mine, 3)
                positions = {one.position for one in got}
                assert not positions & held
                held.update(positions)
                if got and number % 4 == 0:  # one that gives back what it has
                    held.difference_update(positions)
                    await nack(mine, *got, action="release")
                elif got:
                    for one in got:
                        done[one.stream_name].append(one.position)
                    held.difference_update(positions)
                    assert await ack(mine, *got) == (len(got), [])

    async with asyncio.timeout(4 * DEADLINE):
        await asyncio.gather(*[work(n) for n in range(16)])
    assert sorted(chain(*done.values())) == list(range(1, 121))
    if ordering == "stream":
        assert all(positions == sorted(positions) for positions in done.values())
    assert await counts(connection) == {}


async def test_many_make_the_same_group_at_once_and_one_of_them_makes_it(
    dsn: str, connection: Pg
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(new_pg(dsn)) for _ in range(8)]
        made = await asyncio.gather(*[create(one) for one in connections])
    assert sorted(made) == [False] * 7 + [True]
    assert await create(connection) is False


def test_what_a_killed_member_had_is_delivered_again_when_its_lease_ends(
    sync_store: SyncEventStore, dsn: str
) -> None:
    sync_store.append("a", [EventData("T")] * 2)
    sync_store.consumers.create("emails", lease=0.2)
    with member(dsn) as (process, received):
        process.kill()
        process.wait()
    [again] = sync_store.consumers.receive("emails", wait=DEADLINE)
    assert (again.event.position, again.attempt) == (1, 2)
    assert again.id != received


def test_a_member_that_was_stopped_beyond_its_lease_settles_nothing(
    sync_store: SyncEventStore, dsn: str
) -> None:
    sync_store.append("a", [EventData("T")] * 2)
    sync_store.consumers.create("emails", lease=0.2)
    with member(dsn) as (process, received):
        process.send_signal(signal.SIGSTOP)
        [again] = sync_store.consumers.receive("emails", wait=DEADLINE)
        sync_store.consumers.create("emails", lease=60)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("\n")
        assert out.split() == [received]  # lost
        status = sync_store.consumers.get("emails")
        assert status.in_flight + status.returned + status.buffered == 2
        # Whoever has it now settles it, unless its own short lease is over, too.
        if sync_store.consumers.ack("emails", [again]).lost:
            [again] = sync_store.consumers.receive("emails")
            sync_store.consumers.ack("emails", [again])
    [second] = sync_store.consumers.receive("emails")
    assert second.event.position == 2


def test_an_event_that_kills_its_members_is_parked(
    sync_store: SyncEventStore, sql: Psql, dsn: str
) -> None:
    sync_store.append("bad", [EventData("T")] * 2)
    sync_store.consumers.create("emails", lease=0.05, retries=1)
    ended = (
        "SELECT 1 FROM eventstore.deliveries"
        " WHERE state = 'leased' AND available_at <= clock_timestamp()"
    )
    for _ in range(2):
        with member(dsn) as (process, _received):
            process.kill()
            process.wait()
        wait_until(lambda: sql.execute(ended.encode()).fetchone(), "the end of its lease")
    sync_store.append("good", EventData("T"))
    [good] = sync_store.consumers.receive("emails")
    assert good.event.stream_name == "good"
    [parked] = sync_store.consumers.parked("emails")
    assert (parked.stream_name, parked.attempts, parked.held) == ("bad", 2, 1)
    assert "lease ran out" in parked.reason


async def test_a_member_goes_on_when_every_connection_is_cut(
    store: EventStore, connection: Pg
) -> None:
    await store.consumers.create("emails")
    seen: list[int] = []

    async def work() -> None:
        async with store.consume("emails", max=2) as deliveries:
            async for delivery in deliveries:
                seen.append(delivery.event.position)
                await delivery.ack()

    working = asyncio.create_task(work())
    try:
        for n in range(1, 4):
            await append(store, f"s-{n}")

            async def came(count: int = n) -> bool:
                return len(seen) >= count

            await until(came, f"delivery {n}")
            cut = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'eventstore'"
            )
            await connection.execute(cut)
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    assert sorted(set(seen)) == [1, 2, 3]


async def test_an_epoch_that_begins_while_somebody_looks_is_no_rewound_log(
    connection: Pg, dsn: str
) -> None:
    """The group of before, and the log of after, would seem to be of different histories."""
    await create(connection)
    async with new_pg(dsn) as member:
        async with connection.transaction():
            # A look at the group goes on, one at the log waits.
            await connection.execute("LOCK TABLE eventstore.log IN ACCESS EXCLUSIVE MODE")
            await connection.execute("SELECT eventstore.begin_epoch()")
            looking = asyncio.create_task(receive(member))
            await until_waiting(connection)
        assert await looking == []
