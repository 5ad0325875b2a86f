"""Snapshots: they save reading, and are believed only where they fit the log."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from eventstore import Decider, EventData, EventStore
from tests.fix_database import Pg
from tests.fix_faces import LocalFace
from tests.fix_psql import Login
from tests.wallet import Deposit, Deposited, Touch, Wallet, Withdraw, new_wallet

wallet = new_wallet(snapshot_every=5)
SNAPSHOTS = "SELECT stream_name, version, epoch, revision, state::text FROM eventstore.snapshots"
LIED = """UPDATE eventstore.snapshots SET state = '{"balance": 1000, "is_closed": false}'"""


async def snapshots(connection: Pg) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(SNAPSHOTS)]


async def deposit(face: LocalFace, count: int, decider: Decider[Wallet] = wallet) -> Wallet:
    """Deposit 1, so many times; give the state."""
    for _ in range(count):
        state = (await face.handle(decider, "wallet-1", Deposit(1))).state
    return state


async def test_one_is_kept_after_every_n_events(local_face: LocalFace, connection: Pg) -> None:
    await deposit(local_face, 4)
    assert await snapshots(connection) == []
    await deposit(local_face, 1)
    five = ("wallet-1", 1, 1, 4, '{"balance": 5, "is_closed": false}')
    assert await snapshots(connection) == [five]
    await deposit(local_face, 4)
    assert await snapshots(connection) == [five]
    assert await deposit(local_face, 1) == Wallet(10)
    assert [row[3:] for row in await snapshots(connection)] == [
        (9, '{"balance": 10, "is_closed": false}')
    ]


async def test_a_stream_is_read_from_its_snapshot_on(local_face: LocalFace, connection: Pg) -> None:
    await deposit(local_face, 7)
    await connection.execute(LIED)  # a lie shows that it is believed
    nothing = await local_face.handle(wallet, "wallet-1", Touch())
    assert (nothing.state, nothing.revision, nothing.position) == (Wallet(1002), 6, 7)
    await deposit(local_face, 3)
    nothing = await local_face.handle(wallet, "wallet-1", Touch())
    assert (nothing.state, nothing.revision, nothing.position) == (Wallet(1005), 9, 10)


async def test_as_of_the_last_event_nothing_else_is_read(
    local_face: LocalFace, connection: Pg
) -> None:
    await deposit(local_face, 5)
    await connection.execute(LIED)
    nothing = await local_face.handle(wallet, "wallet-1", Touch())
    assert (nothing.state, nothing.revision, nothing.position) == (Wallet(1000), 4, 5)


async def test_without_snapshots_none_is_read_or_kept(
    local_face: LocalFace, connection: Pg
) -> None:
    await deposit(local_face, 5)
    await connection.execute(LIED)
    assert await deposit(local_face, 6, new_wallet()) == Wallet(11)
    assert [row[3] for row in await snapshots(connection)] == [4]


async def _rewound(connection: Pg) -> None:
    """Restore the log to where it was, and let it go on in another way."""
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
    await connection.execute("DELETE FROM eventstore.events WHERE revision > 2")
    await connection.execute(
        "SELECT eventstore.append('wallet-1', 'Deposited', '{\"amount\": 1}')"
        " FROM generate_series(1, 3)"
    )


async def _new_epoch(connection: Pg) -> None:
    await connection.execute("SELECT eventstore.begin_epoch()")


async def _gone(connection: Pg) -> None:
    await connection.execute("DELETE FROM eventstore.snapshots")


async def _another_event(connection: Pg) -> None:
    await connection.execute("UPDATE eventstore.snapshots SET event_id = $1", uuid.uuid4())


async def _beyond_the_log(connection: Pg) -> None:
    await connection.execute("UPDATE eventstore.snapshots SET revision = 99")


async def _another_revision(connection: Pg) -> None:
    await connection.execute("UPDATE eventstore.snapshots SET revision = 2")


async def _corrupt(connection: Pg) -> None:
    await connection.execute("""UPDATE eventstore.snapshots SET state = '{"balance": "much"}'""")


async def _another_shape(connection: Pg) -> None:
    await connection.execute("UPDATE eventstore.snapshots SET state = '[1]'")


@pytest.mark.parametrize(
    "harm",
    [
        _rewound,
        _new_epoch,
        _gone,
        _another_event,
        _beyond_the_log,
        _another_revision,
        _corrupt,
        _another_shape,
    ],
)
async def test_one_that_does_not_fit_the_log_is_not_believed_and_replaced(
    local_face: LocalFace, connection: Pg, harm: Callable[[Pg], Awaitable[None]]
) -> None:
    await deposit(local_face, 6)
    await connection.execute(LIED)
    await harm(connection)
    nothing = await local_face.handle(wallet, "wallet-1", Touch())
    assert nothing.state == Wallet(nothing.revision + 1 if nothing.revision is not None else 0)
    state = await deposit(local_face, 1)
    assert state == Wallet(7)
    [(_, version, epoch, revision, kept)] = await snapshots(connection)
    assert (version, epoch, revision) == (1, 1 + (harm is _new_epoch), 6)
    assert kept == '{"balance": 7, "is_closed": false}'


async def test_another_version_is_not_read_and_replaced(
    local_face: LocalFace, connection: Pg
) -> None:
    await deposit(local_face, 5)
    await connection.execute(LIED)
    second = new_wallet(snapshot_every=5, snapshot_version=2)
    assert await deposit(local_face, 1, second) == Wallet(6)
    assert [row[1:4] for row in await snapshots(connection)] == [(2, 1, 5)]
    assert await deposit(local_face, 1) == Wallet(7)


async def test_a_copy_of_a_command_from_before_the_snapshot_gives_the_first_answer(
    local_face: LocalFace, connection: Pg
) -> None:
    first = await local_face.handle(wallet, "wallet-1", Deposit(1), command_id="k")
    await deposit(local_face, 9)
    await connection.execute(LIED)
    again = await local_face.handle(wallet, "wallet-1", Deposit(1), command_id="k")
    assert again[:6] == first[:6]
    other = await local_face.handle(wallet, "wallet-1", Deposit(1), command_id="l")
    assert other.state.balance > 1000  # it is no copy: the snapshot will do
    assert [row[3] for row in await snapshots(connection)] == [9]


@pytest.fixture
async def without_rights(login: Login, dsn: str, connection: Pg) -> AsyncIterator[EventStore]:
    """A store whose user may not write snapshots."""
    await connection.execute("REVOKE ALL ON eventstore.snapshots FROM eventstore_writer")
    await connection.execute("GRANT SELECT ON eventstore.snapshots TO eventstore_writer")
    async with EventStore(login("eventstore_writer", dsn)) as store:
        yield store


async def test_a_snapshot_that_cannot_be_kept_does_not_fail_the_command(
    without_rights: EventStore, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "eventstore.deciders"):
        assert await deposit(without_rights, 6) == Wallet(6)
    assert "no snapshot of <Decider wallet> in 'wallet-1' is kept" in caplog.text
    assert "permission denied" in caplog.text
    assert await snapshots(connection) == []


async def test_a_state_that_cannot_be_written_does_not_fail_the_command(
    store: EventStore, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    made = Decider(
        "wallet",
        initial=0.0,
        decide=lambda command, state: _first(new_wallet().decide(command, Wallet(10))),
        evolve=lambda state, event: float("nan"),
        commands=[Withdraw],
        events=new_wallet().events,
        snapshot_every=1,
    )
    handled = await store.handle(made, "wallet-1", Withdraw(1))
    assert handled.revision == 0
    assert "is kept: not JSON" in caplog.text
    assert await snapshots(connection) == []


def _first(events: tuple[Any, ...]) -> Any:
    return events[0]


async def test_the_writer_s_role_may_keep_them(login: Login, dsn: str, connection: Pg) -> None:
    for role in ("eventstore_writer", "eventstore_worker"):
        async with EventStore(login(role, dsn)) as store:
            await deposit(store, 5)
    assert [row[3] for row in await snapshots(connection)] == [9]


async def test_a_long_stream_is_read_page_by_page(store: EventStore) -> None:
    await store.append("wallet-1", [EventData("Deposited", {"amount": 1})] * 1_450)
    assert (await store.handle(wallet, "wallet-1", Touch())).state == Wallet(1_450)
    assert await deposit(store, 1) == Wallet(1_451)
    await store.append("wallet-1", [EventData("Deposited", {"amount": 1})] * 750)
    assert (await store.handle(wallet, "wallet-1", Touch())).state == Wallet(2_201)


@dataclass(frozen=True)
class Strict:
    """A state that some of what is kept does not fit any more, as its type finds out."""

    balance: int = 0

    def __post_init__(self) -> None:
        if self.balance == 1000:
            raise KeyError("no such balance")


async def test_one_that_its_type_refuses_in_its_own_way_is_not_believed(
    local_face: LocalFace, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    strict: Decider[Strict] = Decider(
        "wallet",
        initial=Strict(),
        commands=[Deposit],
        events=[Deposited],
        decide=lambda command, _: Deposited(command.amount),
        evolve=lambda state, event: Strict(state.balance + event.amount),
        snapshot_every=2,
    )
    for _ in range(2):
        await local_face.handle(strict, "wallet-1", Deposit(1))
    await connection.execute("""UPDATE eventstore.snapshots SET state = '{"balance": 1000}'""")
    assert (await local_face.handle(strict, "wallet-1", Deposit(1))).state == Strict(3)
    assert "is no use" in caplog.text


async def test_a_state_that_would_be_read_as_another_one_is_not_kept(
    local_face: LocalFace, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    """As JSON has no keys but texts."""
    counting: Decider[dict[Any, int]] = Decider(
        "wallet",
        initial={},
        commands=[Deposit],
        events=[Deposited],
        decide=lambda command, _: Deposited(command.amount),
        evolve=lambda state, event: {**state, event.amount: state.get(event.amount, 0) + 1},
        snapshot_every=1,
    )
    for _ in range(2):
        handled = await local_face.handle(counting, "wallet-1", Deposit(7))
    assert handled.state == {7: 2}
    assert await snapshots(connection) == []
    assert "another one when it is read" in caplog.text
