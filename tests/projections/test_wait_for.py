"""Waiting for one's own write: reached means that the row is there; in vain is told at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eventstore import EventData, EventStore, InvalidInput, NotFound, Unavailable
from eventstore.core.errors import ProjectionBehind, ProjectionStopped, StreamParked
from eventstore.projections.registry import register
from tests.fix_database import Pg
from tests.fix_waiting import DEADLINE, until
from tests.projections.orders import Orders, counts, reached, working

pytestmark = pytest.mark.one_postgres


async def test_after_a_wait_the_row_is_there(store: EventStore, dsn: str, connection: Pg) -> None:
    async with working(store, dsn, Orders(4).projection), EventStore(dsn) as elsewhere:
        await reached(connection, 0)
        for n in range(100):
            written = await store.append(f"order-{n % 7}", EventData("T"))
            reader = [store, elsewhere][n % 2]
            await reader.wait_for(
                "orders",
                stream=written.stream_name,
                revision=written.revision,
                timeout=DEADLINE,
            )
            assert (await counts(connection))[written.stream_name] == written.revision + 1
            assert await reader.wait_for("orders", position=n + 1, timeout=DEADLINE) >= n + 1


async def test_a_revision_that_is_still_to_come_is_waited_for(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
        waiting = asyncio.ensure_future(
            store.wait_for("orders", stream="order-1", revision=1, timeout=DEADLINE)
        )
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
        assert not waiting.done()
        await store.append("order-1", EventData("T"))
        assert await waiting >= 2


async def test_waits_in_vain_are_told_at_once(store: EventStore, dsn: str, connection: Pg) -> None:
    made = Orders()
    made.broken = True
    with pytest.raises(NotFound, match="nothing"):
        await store.wait_for("nothing", position=1, timeout=3_600)
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("T"), EventData("Fragile"), EventData("T")])
        await reached(connection, 3)
        assert await store.wait_for("orders", stream="order-1", revision=0, timeout=3_600) == 3
        for revision in (1, 2):
            with pytest.raises(StreamParked, match="broken"):
                await store.wait_for("orders", stream="order-1", revision=revision, timeout=3_600)
        waiting = asyncio.ensure_future(store.wait_for("orders", position=9, timeout=3_600))
        await until(lambda: _waiting(store, 1), "the wait to begin")
        await connection.execute("SELECT eventstore.pause_projection('orders')")
        with pytest.raises(ProjectionStopped, match="paused"):
            await waiting
        with pytest.raises(StreamParked, match="revision 1"):
            await store.wait_for("orders", position=3, timeout=3_600)
        assert await store.wait_for("orders", position=1, timeout=3_600) == 3


async def _waiting(store: EventStore, count: int) -> bool:
    return store._progress is not None and store._progress.waiting == count


async def test_a_wait_that_takes_too_long_says_how_far_it_is_and_that_nobody_runs_it(
    store: EventStore, connection: Pg
) -> None:
    await register(connection, Orders().projection, schema="eventstore")
    await store.append("order-1", EventData("T"))
    for timeout in (0, 0.01):
        with pytest.raises(ProjectionBehind, match="no worker runs it") as late:
            await store.wait_for("orders", stream="order-1", revision=0, timeout=timeout)
        assert late.value.checkpoint == 0


async def test_a_wait_knows_what_was_stored_while_it_waited(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.progress.POLL_LIVE", 3_600.0)
    await register(connection, Orders().projection, schema="eventstore")
    waiting = asyncio.ensure_future(
        store.wait_for("orders", stream="order-1", revision=0, timeout=2)
    )
    await until(lambda: _waiting(store, 1), "the wait to begin")
    await store.append("order-1", EventData("T"))
    with pytest.raises(ProjectionBehind) as late:
        await waiting
    assert late.value.is_stored


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"position": -1},
        {"stream": "a"},
        {"revision": 1},
        {"stream": "a", "revision": -1},
        {"stream": "", "revision": 1},
        {"stream": "a", "revision": 1, "position": 1},
    ],
)
async def test_what_cannot_be_waited_for_is_refused(
    store: EventStore, wanted: dict[str, int]
) -> None:
    with pytest.raises(InvalidInput):
        await store.wait_for("orders", **wanted)  # type: ignore[arg-type]


async def test_a_thousand_waits_hold_one_connection(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    await register(connection, Orders().projection, schema="eventstore")
    written = [await store.append(f"order-{n}", [EventData("T")] * 10) for n in range(100)]
    waits = [
        asyncio.ensure_future(
            store.wait_for("orders", stream=w.stream_name, revision=n, timeout=DEADLINE * 3)
        )
        for w in written
        for n in range(10)
    ]
    await until(lambda: _waiting(store, 1_000), "all waits to begin")

    async def only_the_listener() -> object:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await connection.fetchval(
            "SELECT count(*) FILTER (WHERE application_name = 'eventstore listener') = 1"
            " AND count(*) FILTER (WHERE state <> 'idle') = 1"  # this one
            " FROM pg_stat_activity WHERE datname = current_database()"
        )

    await until(only_the_listener, "nobody to hold a connection but the listener")
    async with EventStore(dsn) as other, working(other, dsn, Orders().projection):
        await asyncio.gather(*waits)
    assert sum((await counts(connection)).values()) == 1_000


async def test_those_who_come_at_once_are_looked_for_together(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(connection, Orders().projection, schema="eventstore")
    looks: list[str] = []
    really = store._fetch

    async def fetch(name: str, *args: Any) -> list[Any]:
        looks.append(name)
        if len(looks) == 1:
            raise Unavailable("away")
        return await really(name, *args)

    monkeypatch.setattr(store, "_fetch", fetch)
    waits = [store.wait_for("orders", position=0, timeout=0) for _ in range(100)]
    first, *others = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(first, Unavailable)
    assert others == [0] * 99
    # The one that fails, one for who comes next, and one for all who come meanwhile.
    assert looks == ["projection_look"] * 3


async def test_a_store_that_closes_ends_its_waits(dsn: str, connection: Pg) -> None:
    await register(connection, Orders().projection, schema="eventstore")
    async with EventStore(dsn) as store:
        waiting = asyncio.ensure_future(store.wait_for("orders", position=9, timeout=3_600))
        await until(lambda: _waiting(store, 1), "the wait to begin")
    with pytest.raises(Unavailable, match="closed"):
        await waiting
