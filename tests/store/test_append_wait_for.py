"""An append that waits for a projection, through every face: stored it is, whatever that says."""

from __future__ import annotations

import pytest

from eventstore import (
    Append,
    EventData,
    EventStore,
    InvalidInput,
    NotFound,
    ProjectionBehind,
    ProjectionStopped,
    RevisionConflict,
    StreamParked,
)
from tests.fix_database import Pg
from tests.fix_faces import Face, LocalFace, LocalKind
from tests.fix_waiting import DEADLINE
from tests.projections.orders import Orders, counts, reached, working

FOR_EVER = 3_600


async def test_the_row_is_there_when_the_append_returns(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders(4).projection):
        await reached(connection, 0)
        for n in range(10):
            written = await face.append(
                "order-1", EventData("T"), wait_for="orders", timeout=DEADLINE
            )
            assert (written.revision, written.unapplied) == (n, None)
            assert await counts(connection) == {"order-1": n + 1}
        several = await face.append_many(
            [Append(f"order-{n}", [EventData("T")]) for n in (2, 3, 4)],
            wait_for="orders",
            timeout=DEADLINE,
        )
        assert [one.unapplied for one in several] == [None] * 3
        assert await counts(connection) == {"order-1": 10, "order-2": 1, "order-3": 1, "order-4": 1}


async def test_what_is_not_applied_is_stored_all_the_same(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        await reached(connection, 0)
        parked = await face.append(
            "order-1", [EventData("Fragile")], wait_for="orders", timeout=FOR_EVER
        )
        assert isinstance(parked.unapplied, StreamParked)
        assert parked.unapplied.revision == 0
    for timeout in (0, 0.01):
        late = await face.append("order-2", EventData("T"), wait_for="orders", timeout=timeout)
        assert isinstance(late.unapplied, ProjectionBehind)
        assert (late.unapplied.checkpoint, late.unapplied.is_run) == (1, False)
    await connection.execute("SELECT eventstore.pause_projection('orders')")
    paused, other = await face.append_many(
        [Append("order-2", [EventData("T")]), Append("other-1", [EventData("T")])],
        wait_for="orders",
        timeout=FOR_EVER,
    )
    assert isinstance(paused.unapplied, ProjectionStopped)
    assert str(other.unapplied) == str(paused.unapplied)
    assert [e.position async for e in face.read()] == [1, 2, 3, 4, 5]


async def test_a_retry_waits_again_and_a_refusal_does_not(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
    first = await face.append(
        "order-1", EventData("T"), idempotency_key="k", wait_for="orders", timeout=0
    )
    assert isinstance(first.unapplied, ProjectionBehind)
    async with working(store, dsn, Orders().projection):
        again = await face.append(
            "order-1", EventData("T"), idempotency_key="k", wait_for="orders", timeout=DEADLINE
        )
        assert again == first._replace(replayed=True, unapplied=None)
    with pytest.raises(RevisionConflict):
        await face.append(
            "order-1", EventData("T"), expected_revision=7, wait_for="orders", timeout=FOR_EVER
        )


UNKNOWN: list[str] = ["none", "Bestellungen ü", 'a"; x="', "a,b", ""]


async def test_an_unknown_projection_is_refused_before_anything_is_stored(
    face: Face, subtests: pytest.Subtests
) -> None:
    for name in UNKNOWN:
        with subtests.test(name):
            with pytest.raises(NotFound, match="there is no projection"):
                await face.append("order-1", EventData("T"), wait_for=name)
            with pytest.raises(NotFound, match="there is no projection"):
                await face.append_many([Append("order-1", [EventData("T")])], wait_for=name)
            assert (await face.head()).position == 0


async def test_nothing_in_ones_own_transaction_can_be_waited_for(
    local_face: LocalFace, local_kind: LocalKind, dsn: str
) -> None:
    async with local_kind.own_transaction(dsn) as own:
        with pytest.raises(InvalidInput, match="transaction"):
            await local_face.append(
                "order-1", EventData("T"), wait_for="orders", connection=own.connection
            )
