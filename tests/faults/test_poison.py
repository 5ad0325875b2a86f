"""A request that PostgreSQL refuses harms nobody in its batch but itself."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from eventstore import EventData, EventStore, InvalidInput, RevisionConflict
from eventstore.core.append import AppendRequest, encode_append, make_request
from eventstore.core.batching import columns
from eventstore.core.events import EncodedEvent
from eventstore.ids import new_event_ids
from eventstore.postgres.statements import statements
from tests.fix_database import Pg, new_pg
from tests.fix_waiting import dense, until_waiting


def crafted(stream: str = "poison", ids: list[str] | None = None, **changes: Any) -> AppendRequest:
    """A request with values that the checks would have refused."""
    good = EncodedEvent("T", "{}", "{}", None, (), 4)
    append = encode_append("a", [EventData("T")])._replace(
        stream_name=stream, events=(good, good._replace(**changes), good)
    )
    return make_request([append], new_ids=ids or new_event_ids(3))


POISONS = {
    "broken JSON": crafted(data="{"),
    "no JSON": crafted(data=""),
    "NUL in a string": crafted(data='"\\u0000"'),
    "NUL character": crafted(data='"\x00"'),
    "half a surrogate escaped": crafted(data='"\\ud800"'),
    "half a surrogate": crafted(data='"\ud800"'),
    "a number too large": crafted(data="1e1000000"),
    "metadata that is no object": crafted(metadata="[]"),
    "an empty event type": crafted(event_type=""),
    "a control character": crafted(event_type="a\nb"),
    "a NUL in a name": crafted(stream="a\x00"),
    "a name that is not NFC": crafted(stream="e\u0301"),
    "a name too long": crafted(stream="x" * 256),
    "an empty tag": crafted(tags=("",)),
    "no UUID": crafted(ids=["1", "2", "3"]),
    "one id twice": crafted(ids=new_event_ids(1) * 3),
}


async def together(
    store: EventStore, holder: Pg, referee: Pg, requests: list[AppendRequest]
) -> list[Any]:
    """Have requests stored as one batch: they come in while one before them waits for the lock."""
    async with holder.transaction():
        await holder.execute("SELECT FROM eventstore.log FOR UPDATE")
        first = asyncio.create_task(store.append("first", EventData("T")))
        await until_waiting(referee, 1)
        batch = asyncio.gather(
            *[store.append_request(request) for request in requests], return_exceptions=True
        )
        await asyncio.sleep(0)
    await first
    return await batch


@pytest.mark.parametrize("poison", POISONS.values(), ids=list(POISONS))
async def test_a_bad_request_harms_nobody_but_itself(
    store: EventStore, dsn: str, connection: Pg, poison: AppendRequest
) -> None:
    good = [
        make_request([encode_append(f"s-{n}", [EventData("T", n)] * 2)], new_ids=new_event_ids(2))
        for n in range(6)
    ]
    async with new_pg(dsn) as holder:
        outcomes = await together(store, holder, connection, [*good[:3], poison, *good[3:]])
    assert isinstance(outcomes.pop(3), InvalidInput)
    assert [answer[0].stream_name for answer in outcomes] == [f"s-{n}" for n in range(6)]
    assert await dense(connection) == 1 + 2 * 6
    assert (await store.append("after", EventData("T"))).position == 14


async def test_without_care_one_bad_request_would_lose_the_whole_batch(connection: Pg) -> None:
    good = make_request([encode_append("a", [EventData("T")])], new_ids=new_event_ids(1))
    batch = columns([good, POISONS["broken JSON"], good])
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await connection.fetch(statements()["append"], *batch)
    assert await dense(connection) == 0


async def test_a_refused_request_harms_nobody_either(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    def at(stream: str, revision: int) -> AppendRequest:
        append = encode_append(stream, [EventData("T")] * 2, revision)
        return make_request([append], new_ids=new_event_ids(2))

    async with new_pg(dsn) as holder:
        outcomes = await together(
            store, holder, connection, [at("first", 0), at("second", 7), at("x", 0), at("y", 0)]
        )
    assert outcomes[0][0].revision == 2
    assert all(isinstance(outcome, RevisionConflict) for outcome in outcomes[1:])
    assert await dense(connection) == 3
