"""The stages of examples/stages, as `eventstore worker` runs them: each keeps to its measure."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carrier import Carrier
from dispatch import CONNECTIONS, announce, reserve
from eventstore import Append, EventData, EventStore
from tests.client.serving import COMMAND, environment
from tests.fix_database import NewDatabase, new_pg
from tests.fix_waiting import DEADLINE, until, until_waiting

FOLDER = Path(__file__).parents[2] / "examples" / "stages"
ORDERS = 200
"""More than fit into a stage of four, and into what a stage of 64 has in hand."""


@contextmanager
def working(dsn: str, warehouse: str, carrier: Carrier) -> Iterator[None]:
    """Run a worker; let it end in order unless the test has failed."""
    with subprocess.Popen(
        [*COMMAND, "worker", "dispatch:app", "--dsn", dsn],
        cwd=FOLDER,
        env={**environment(), "WAREHOUSE_DSN": warehouse, "CARRIER_URL": carrier.url},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield
            process.terminate()
            _, log = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, log
        finally:
            process.kill()


@pytest.mark.one_postgres
async def test_each_stage_keeps_to_its_measure_and_holds_up_no_other(
    store: EventStore, dsn: str, new_database: NewDatabase
) -> None:
    warehouse = new_database()
    may_answer = threading.Event()
    paid = EventData("OrderPaid", {"item": "chair", "pieces": 2})

    async def both_run() -> bool:
        return len(await store.consumers.all()) == 2

    async def carrier_is_busy() -> bool:
        return carrier.at_once >= announce.concurrency

    async def has_events(count: int) -> bool:
        return (await store.head()).position == count

    with Carrier(pause=may_answer.wait) as carrier:
        async with new_pg(warehouse) as shelves:
            await shelves.execute((FOLDER / "warehouse.sql").read_text(encoding="utf-8"))
            with working(dsn, warehouse, carrier):
                await until(both_run, "both reactors")
                async with shelves.transaction():
                    await shelves.execute("LOCK TABLE shelves")
                    await store.append_many([Append(f"order-{n}", [paid]) for n in range(ORDERS)])
                    assert len(await until_waiting(shelves, CONNECTIONS)) == reserve.concurrency
                    status = await store.consumers.get("reserve")
                    assert status.in_flight == 2 * reserve.concurrency
                    assert 0 < status.buffered <= reserve.buffer
                    assert status.lag_events >= ORDERS - reserve.buffer - status.in_flight

                await until(
                    lambda: has_events(2 * ORDERS), "all to be reserved, and none announced"
                )
                await until(carrier_is_busy, f"{announce.concurrency} calls at once")
                assert await store.consumers.parked("reserve") == []
                may_answer.set()
                await until(lambda: has_events(3 * ORDERS), "all to be announced")
            left = await shelves.fetchval("SELECT 1000000 - pieces FROM shelves")
    assert left == 2 * ORDERS
    assert carrier.most_at_once == announce.concurrency
    assert carrier.calls == len(carrier.parcels) == ORDERS
