"""Consumer groups in plain SQL: made, received from, settled."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from eventstore import EventData, EventStore
from tests.fix_database import Pg

EXPIRE: Final = "UPDATE eventstore.deliveries SET available_at = 'epoch' WHERE state = 'leased'"
"""Lets every lease end now."""


class Got(NamedTuple):
    """What a member received."""

    position: int
    lease: int
    attempt: int
    stream_name: str


async def create(connection: Pg, name: str = "emails", **options: Any) -> bool:
    named = "".join(f", _{key} => ${n}" for n, key in enumerate(options, 2))
    made: bool = await connection.fetchval(
        f"SELECT eventstore.consumer_create_v1($1{named})", name, *options.values()
    )
    return made


async def asked(connection: Pg, most: int = 10, member: str = "m", name: str = "emails") -> Any:
    """Give the rows of a receive as they are."""
    return await connection.fetch(
        "SELECT * FROM eventstore.consumer_receive_v1($1, $2, $3)", name, most, member
    )


async def receive(
    connection: Pg, most: int = 10, member: str = "m", name: str = "emails"
) -> list[Got]:
    """Receive as the library does: again at once, as long as the log is not looked through."""
    rows = await asked(connection, most, member, name)
    while rows[0]["position"] is None and rows[0]["more"]:
        rows = await asked(connection, most, member, name)
    return [
        Got(row["position"], row["lease"], row["attempt"], row["stream_name"])
        for row in rows
        if row["position"] is not None
    ]


async def positions(connection: Pg, most: int = 10, name: str = "emails") -> list[int]:
    return [got.position for got in await receive(connection, most, name=name)]


async def ack(connection: Pg, *got: Got, name: str = "emails") -> tuple[int, list[str]]:
    row = await connection.fetchrow(
        "SELECT * FROM eventstore.consumer_ack_v1($1, $2, $3)",
        name,
        [one.position for one in got],
        [one.lease for one in got],
    )
    assert row is not None
    return row["settled"], row["lost"]


async def nack(
    connection: Pg,
    *got: Got,
    action: str = "retry",
    delay: float | None = 0.0,
    reason: str | None = "why",
    name: str = "emails",
) -> tuple[int, int, list[str]]:
    row = await connection.fetchrow(
        "SELECT * FROM eventstore.consumer_nack_v1($1, $2, $3, $4, $5, $6)",
        name,
        [one.position for one in got],
        [one.lease for one in got],
        action,
        delay,
        reason,
    )
    assert row is not None
    return row["settled"], row["parked"], row["lost"]


async def counts(connection: Pg, name: str = "emails") -> dict[str, int]:
    """Give how many deliveries are in each state, without zeros."""
    row = await connection.fetchrow(
        "SELECT buffered, returned, in_flight, parked, held FROM eventstore.consumer_status"
        " WHERE consumer_group = $1",
        name,
    )
    assert row is not None
    return {state: count for state, count in row.items() if count}


async def append(store: EventStore, *streams: str) -> None:
    """Append an event to each of these streams, in this order."""
    for stream in streams:
        await store.append(stream, EventData("T", {"of": stream}))
