"""On a standby the log can be read and followed; what needs the primary says so."""

from __future__ import annotations

import asyncio
import os

import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.postgres.doctor import examine
from eventstore.postgres.embedded import EmbeddedPostgres
from eventstore.postgres.schema import migrate
from eventstore.sync import SyncEventStore
from tests.fix_server import QUICK, new_room
from tests.fix_waiting import DEADLINE, until


async def test_a_standby_is_followed_by_polling_and_refuses_appends() -> None:
    with new_room() as room:
        data = room / "data"
        with EmbeddedPostgres(data, settings=QUICK) as primary:
            migrate(primary.dsn())
            with SyncEventStore(primary.dsn()) as store:
                store.append("a", EventData("T"))
        [pgdata] = [path.parent for path in data.rglob("pg_hba.conf")]
        signal = pgdata / "standby.signal"
        signal.touch()
        os.chown(signal, pgdata.stat().st_uid, pgdata.stat().st_gid)
        with EmbeddedPostgres(data, settings=QUICK) as standby:
            found = {found.name: found for found in examine(standby.dsn())}
            assert found["role of the server"].state == "bad"
            assert found["notifications"].value.startswith("a standby has none")
            assert found["notifications"].advice == "connect to the primary"
            async with EventStore(standby.dsn()) as following:
                async with asyncio.timeout(DEADLINE):
                    assert (await anext(following.follow())).position == 1

                async def told() -> bool:
                    return any("LISTEN during recovery" in t for t in following.following_troubles)

                await until(told, "the trouble to be told")
                with pytest.raises(Unavailable, match="if it is a standby"):
                    await following.append("a", EventData("T"))
