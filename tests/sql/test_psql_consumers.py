"""Consumer groups by hand, in psql: made, received from and settled in words."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from eventstore import EventStore
from tests.consumers.groups import EXPIRE, append
from tests.fix_database import Pg
from tests.fix_psql import Run

CREATE = "SELECT eventstore.create_consumer('emails'"


async def group(connection: Pg) -> dict[str, Any]:
    row = await connection.fetchrow("SELECT * FROM eventstore.consumer_groups")
    assert row is not None
    return dict(row)


async def notices(connection: Pg, statement: str) -> tuple[Any, list[str]]:
    """Give the value of a statement, and what it notices."""
    told: list[Any] = []

    def listen(_: Any, message: Any) -> None:
        told.append(message.message)

    connection.add_log_listener(listen)
    value = await connection.fetchval(statement)
    connection.remove_log_listener(listen)
    return value, told


async def test_a_group_is_made_of_what_is_named(
    connection: Pg, store: EventStore, psql: Run
) -> None:
    await append(store, "order-1", "order-2", "customer-1")
    given = "types => '{T,Other}', categories => '{order}', streams => '{order-2}', tags => '{}'"
    assert psql(f"{CREATE}, {given}, buffer => 7, start_after => 1)") == "t"
    made = await group(connection)
    assert json.loads(made["query"]) == {
        "any_of": [{"types": ["T", "Other"], "categories": ["order"], "streams": ["order-2"]}]
    }
    assert (made["checkpoint"], made["buffer"]) == (1, 7)
    defaults = {name: made[name] for name in ("ordering", "lease_seconds", "retries", "after")}
    assert defaults == {"ordering": "stream", "lease_seconds": 30, "retries": 5, "after": []}
    assert psql("SELECT stream_name FROM eventstore.receive('emails')") == "order-2"


async def test_without_a_word_a_group_is_as_by_any_other_client(
    connection: Pg, store: EventStore
) -> None:
    await append(store, "a")
    await connection.execute(f"{CREATE}, start_after => NULL)")
    made = await group(connection)
    assert made["checkpoint"] == 1
    await connection.execute("SELECT eventstore.delete_consumer('emails')")
    await store.consumers.create("emails", start="head")
    default = await group(connection)
    assert made | {"created_at": None} == default | {"created_at": None}


async def test_what_is_not_named_stays_as_it_is(connection: Pg) -> None:
    all_ = "types => '{T}', ordering => 'none', buffer => 7, lease_seconds => 8, retries => 9"
    await connection.execute(f"{CREATE}, {all_}, backoff_seconds => 2)")
    before = await group(connection)
    assert await connection.fetchval(f"{CREATE}, retries => 1)") is False
    assert await group(connection) == before | {"retries": 1}
    await connection.execute(f"{CREATE}, categories => '{{order}}')")
    query = '{"any_of": [{"categories": ["order"]}]}'
    assert await group(connection) == before | {"retries": 1, "query": query}
    with pytest.raises(asyncpg.PostgresError, match="another ordering"):
        await connection.execute(f"{CREATE}, ordering => 'stream')")


async def test_a_delivery_that_is_lost_is_told_with_the_reason(
    connection: Pg, store: EventStore
) -> None:
    await append(store, *"abcd")
    await connection.execute(f"{CREATE})")
    me = await connection.fetchval("SELECT session_user")
    receive = "SELECT delivery FROM eventstore.receive('emails', $1)"
    mine = [row["delivery"] for row in await connection.fetch(receive, 4)]
    await connection.execute(EXPIRE)
    again = [row["delivery"] for row in await connection.fetch(receive, 4)]
    done, parked, returned, leased = again
    ack, nack = f"SELECT eventstore.ack('emails', '{done}'", "SELECT eventstore.nack('emails', "
    assert await notices(connection, f"{ack})") == (1, [])
    assert await notices(connection, f"{nack}'{parked}', 'park')") == (True, [])
    assert await notices(connection, f"{nack}'{returned}')") == (True, [])
    settled, told = await notices(connection, f"{ack}, '{parked}', '{returned}', '{mine[3]}')")
    assert settled == 0
    assert [line.partition("yours: ")[2] for line in told] == [
        "its event is settled, or was not delivered yet",
        "its event is parked",
        "its lease ran out or it was given back, and the event waits to be delivered",
        f"its lease ran out, and {me} has received the event",
    ]
    assert all(one in line for one, line in zip([*again[:3], mine[3]], told, strict=True))
    lost, [why] = await notices(connection, f"{nack}'{mine[3]}', 'skip')")
    assert (lost, mine[3] in why, f"{me} has received" in why) == (False, True, True)
    assert await connection.fetchval("SELECT eventstore.ack('emails', $1)", leased) == 1


@pytest.mark.parametrize("wrong", ["8", "8-", "x-1", "-8-1", "0-1", "8-1 ", "", "9" * 19 + "-1"])
async def test_what_is_no_id_is_refused_in_words(connection: Pg, wrong: str) -> None:
    await connection.execute(f"{CREATE})")
    for call in ("ack('emails', '1-1', $1)", "nack('emails', $1)"):
        with pytest.raises(asyncpg.PostgresError, match="as receive\\(\\) gives it") as refused:
            await connection.execute(f"SELECT eventstore.{call}", wrong)
        assert (refused.value.sqlstate, f"'{wrong}'" in str(refused.value)) == ("ST004", True)


async def test_an_unknown_action_is_refused_with_those_that_are_known(connection: Pg) -> None:
    await connection.execute(f"{CREATE})")
    known = "retry, park, park_event, park_stream, skip or release"
    with pytest.raises(asyncpg.PostgresError, match=f"unknown action.*throw.*{known}") as refused:
        await connection.execute("SELECT eventstore.nack('emails', '1-1', 'throw')")
    assert refused.value.sqlstate == "ST004"
