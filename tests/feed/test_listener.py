"""LISTEN cannot die quietly: a connection that ends, hangs or hears nothing is found out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from eventstore import EventData, EventStore, Unavailable
from eventstore.core.errors import EventStoreError
from eventstore.postgres.listener import Listener
from eventstore.postgres.notifier import Notifier
from tests.fix_database import Pg
from tests.fix_proxy import new_proxy
from tests.fix_waiting import DEADLINE, until

LISTENERS = """
SELECT pid FROM pg_stat_activity
 WHERE application_name = 'eventstore listener' AND datname = current_database()
 ORDER BY backend_start DESC LIMIT 1
"""


@asynccontextmanager
async def listening(dsn: str, sender: Pg, woken: asyncio.Event) -> AsyncIterator[Listener]:
    """A listener with an impatient heartbeat."""
    turn = asyncio.Lock()

    async def notify(channel: str, payload: str) -> None:
        async with turn:
            await sender.execute("SELECT pg_notify($1, $2)", channel, payload)

    listener = Listener(dsn, {"eventstore": woken.set}, notify=notify, heartbeat=0.05, deadline=0.5)
    listener.start()
    try:
        yield listener
    finally:
        await listener.close()


async def until_live(listener: Listener) -> None:
    async def live() -> bool:
        return not listener.trouble

    await until(live, "notifications to arrive")


async def until_troubled(listener: Listener, reconnects: int = 0) -> None:
    async def troubled() -> bool:
        return bool(listener.trouble) or listener.reconnects > reconnects

    await until(troubled, "the trouble to be found")


async def test_a_notification_wakes(dsn: str, connection: Pg) -> None:
    woken = asyncio.Event()
    async with listening(dsn, connection, woken) as listener:
        await until_live(listener)
        woken.clear()
        await connection.execute("NOTIFY eventstore, '1'")
        async with asyncio.timeout(DEADLINE):
            await woken.wait()


async def test_a_listener_that_is_killed_comes_back(dsn: str, connection: Pg) -> None:
    woken = asyncio.Event()
    async with listening(dsn, connection, woken) as listener:
        for killed in range(3):
            await until_live(listener)
            [row] = await connection.fetch(LISTENERS)
            await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
            await until_troubled(listener, killed)
        await until_live(listener)
        assert listener.reconnects >= 3


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is there and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_half_open_connection_is_found_out(dsn: str, connection: Pg) -> None:
    woken = asyncio.Event()
    async with listening(dsn, connection, woken) as listener:
        await until_live(listener)
        [row] = await connection.fetch(LISTENERS)
        try:
            os.kill(row["pid"], 0)
        except (PermissionError, ProcessLookupError):
            pytest.skip("the server's processes cannot be signalled from here")
        with stopped(row["pid"]):
            await until_troubled(listener)
            await until_live(listener)
        assert listener.reconnects >= 1


async def test_a_line_on_which_nothing_comes_back_means_polling(dsn: str, connection: Pg) -> None:
    """As behind pgbouncer in transaction mode: LISTEN succeeds, and nothing is ever heard."""
    woken = asyncio.Event()
    async with new_proxy(dsn) as proxy, listening(proxy.dsn, connection, woken) as listener:
        await until_live(listener)
        proxy.swallows = True
        await until_troubled(listener)
        assert listener.trouble.startswith("notifications do not arrive: ")
        proxy.swallows = False
        await until_live(listener)


async def test_followers_get_everything_while_the_listener_is_killed(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with EventStore(dsn) as other:
        follow = store.follow()
        seen: list[int] = []

        async def read() -> None:
            async for event in follow:
                seen.append(event.position)
                if len(seen) == 200:
                    return

        reading = asyncio.ensure_future(read())
        for number in range(200):
            await other.append(f"s-{number % 7}", EventData("T"))
            if number % 20 == 0:
                await connection.execute(
                    f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS l"
                )
        async with asyncio.timeout(DEADLINE):
            await reading
    assert seen == list(range(1, 201))


async def test_a_notification_that_cannot_be_sent_is_told_fails_no_append_and_is_sent_later(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store._notify

    async def full(channel: str, payload: str) -> None:
        raise EventStoreError("too many notifications in the NOTIFY queue")

    monkeypatch.setattr(store, "_notify", full)
    await store.append("a", EventData("T"))

    async def troubled() -> bool:
        return any("NOTIFY queue" in trouble for trouble in store.following_troubles)

    await until(troubled, "the trouble to be told")
    monkeypatch.setattr(store, "_notify", real)

    async def well() -> bool:
        return not store.following_troubles

    await until(well, "the trouble to be over")


async def test_what_is_stored_meanwhile_shares_a_notification() -> None:
    sent: list[str] = []
    sending = asyncio.Event()
    go = asyncio.Event()

    async def send(payload: str) -> None:
        sent.append(payload)
        sending.set()
        await go.wait()

    notifier = Notifier(send)
    notifier.start()
    notifier.stored(1)
    await sending.wait()
    sending.clear()
    for position in range(2, 100):
        notifier.stored(position)
    go.set()
    await sending.wait()
    await notifier.close()
    assert sent == ["1", "99"]


async def test_a_store_that_cannot_be_reached_is_followed_on_when_it_is_back(
    dsn: str, connection: Pg
) -> None:
    async with new_proxy(dsn) as proxy, EventStore(proxy.dsn) as store:
        await connection.execute("SELECT eventstore.append('a', 'T')")
        follow = store.follow()
        assert (await anext(follow)).position == 1
        coming = asyncio.ensure_future(anext(follow))
        await proxy.refuse()
        proxy.cut()
        with pytest.raises(Unavailable):
            await store.head()
        await connection.execute("SELECT eventstore.append('a', 'T')")
        await proxy.listen()
        async with asyncio.timeout(DEADLINE):
            assert (await coming).position == 2
