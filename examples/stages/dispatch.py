"""Paid orders are dispatched in two stages, each a reactor with figures of its own.

`reserve` waits for the warehouse, a database that gives each worker four connections: no more than
four orders are handled at a time, for a fifth would only wait in the pool. `announce` waits for the
carrier, a service far away that takes as much as it is given: many calls are under way at a time.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Final

import asyncpg
import httpx

from eventstore import App, Context, EventData, Reactor, RecordedEvent

CONNECTIONS: Final = 4
"""To the warehouse, for each worker."""

reserve = Reactor("reserve", concurrency=CONNECTIONS, buffer=100)
announce = Reactor("announce", concurrency=64, buffer=1_000)

TAKE: Final = """
WITH taken AS (
    INSERT INTO reservations (key, item, pieces) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING item, pieces)
UPDATE shelves SET pieces = shelves.pieces - taken.pieces FROM taken WHERE shelves.item = taken.item
"""


@reserve.on("OrderPaid")
async def take_from_shelf(event: RecordedEvent, context: Context) -> None:
    pool = await warehouse()
    await pool.execute(TAKE, context.idempotency_key, event.data["item"], event.data["pieces"])
    await context.append(event.stream_name, EventData("OrderReserved", event.data))


@announce.on("OrderReserved")
async def tell_carrier(event: RecordedEvent, context: Context) -> None:
    key = {"Idempotency-Key": context.idempotency_key}  # the carrier takes a parcel once for a key
    answer = await carrier().post("/parcels", json=event.data, headers=key)
    answer.raise_for_status()
    await context.append(event.stream_name, EventData("ParcelAnnounced", answer.json()))


app = App(reactors=[reserve, announce])


@cache
def warehouse() -> asyncpg.Pool[asyncpg.Record]:
    # Opens no connection before it is needed, and as many as may be needed at a time.
    return asyncpg.create_pool(os.environ["WAREHOUSE_DSN"], min_size=0, max_size=CONNECTIONS)


@cache
def carrier() -> httpx.AsyncClient:
    url = os.environ.get("CARRIER_URL", "http://127.0.0.1:8026")
    return httpx.AsyncClient(base_url=url, timeout=announce.deadline)
