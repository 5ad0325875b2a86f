"""A write by one service is waited for at another one, while a worker of its own applies it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from tests.fix_waiting import until
from tests.projections.processes import ended, working
from tests.service.running import Service, facts, serving

WRITERS = 8
WRITES = 20


async def _is_known(client: httpx.AsyncClient) -> bool:
    return (await client.get("/projections/orders")).status_code == 200


@pytest.mark.slow
async def test_after_a_wait_at_another_service_the_row_is_always_there(
    service: Service, data_dir: Path
) -> None:
    admin = facts(data_dir)["dsn"]
    writer = admin.replace("postgres@", "eventstore_service@")

    async def write_and_read(here: httpx.AsyncClient, there: httpx.AsyncClient, n: int) -> int:
        for number in range(WRITES):
            stream = f"order-{os.getpid()}-{n}"
            written = await here.post(f"/streams/{stream}", json={"type": "T"})
            assert written.json()["revision"] == number
            waited = await there.get(
                f"/projections/orders/streams/{stream}",
                params={"revision": number},
                headers={"Prefer": "wait=20"},
            )
            assert (waited.status_code, waited.json()["reached"]) == (200, True)
            row = await there.get("/projections/orders/tables/orders", params={"order_id": stream})
            assert [row["events"] for row in row.json()["rows"]] == [number + 1]
        return WRITES

    with (
        serving("--dsn", writer) as other,
        working(admin, "tests.projections.orders:app") as worker,
    ):
        async with (
            httpx.AsyncClient(base_url=service.url, timeout=30) as here,
            httpx.AsyncClient(base_url=other.url, timeout=30) as there,
        ):
            await until(lambda: _is_known(there), "the projection to be known")
            done = await asyncio.gather(*(write_and_read(here, there, n) for n in range(WRITERS)))
        assert sum(done) == WRITERS * WRITES
        assert ended(worker) == 0
