"""Waiting for one's own write through every face: reached, too late, or in vain at once."""

from __future__ import annotations

import pytest

from eventstore import (
    EventData,
    EventStore,
    InvalidInput,
    NotFound,
    ProjectionBehind,
    ProjectionStopped,
    StreamParked,
)
from tests.fix_database import Pg
from tests.fix_faces import Face
from tests.fix_waiting import DEADLINE
from tests.projections.orders import Orders, counts, reached, working

FOR_EVER = 3_600


async def test_after_a_wait_the_row_is_there(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
        for n in range(20):
            written = await face.append("order-1", EventData("T"))
            at = await face.wait_for("orders", stream="order-1", revision=n, timeout=DEADLINE)
            assert at >= written.position
            assert await counts(connection) == {"order-1": n + 1}
        assert await face.wait_for("orders", position=20, timeout=DEADLINE) >= 20


async def test_a_wait_that_is_too_late_says_how_far_it_is(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
        for timeout in (0, 0.01):
            with pytest.raises(ProjectionBehind, match="revision 5 of stream 'order-1'") as late:
                await face.wait_for("orders", stream="order-1", revision=5, timeout=timeout)
            assert (late.value.checkpoint, late.value.is_run) == (1, True)
            assert "which is not written yet" in str(late.value)
            with pytest.raises(ProjectionBehind, match="position 9, which is not written") as late:
                await face.wait_for("orders", position=9, timeout=timeout)
            assert not late.value.is_stored
    await store.append("order-1", EventData("T"))
    with pytest.raises(ProjectionBehind) as late:
        await face.wait_for("orders", stream="order-1", revision=1, timeout=0.01)
    assert late.value.is_stored
    assert "not written" not in str(late.value)


async def test_a_wait_in_vain_is_told_at_once(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    with pytest.raises(NotFound):
        await face.wait_for("nothing", position=1, timeout=FOR_EVER)
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("T"), EventData("Fragile")])
        await reached(connection, 2)
        with pytest.raises(StreamParked, match="broken") as parked:
            await face.wait_for("orders", stream="order-1", revision=1, timeout=FOR_EVER)
        assert parked.value.revision == 1
        await connection.execute("SELECT eventstore.pause_projection('orders')")
        with pytest.raises(ProjectionStopped, match="paused"):
            await face.wait_for("orders", position=9, timeout=FOR_EVER)
        with pytest.raises(StreamParked, match="broken"):
            await face.wait_for("orders", position=2, timeout=FOR_EVER)
        assert await face.wait_for("orders", position=1, timeout=FOR_EVER) == 2


async def test_what_cannot_be_waited_for_is_refused(face: Face) -> None:
    with pytest.raises(InvalidInput):
        await face.wait_for("orders")
    with pytest.raises(InvalidInput):
        await face.wait_for("orders", stream="a")
    with pytest.raises(InvalidInput):
        await face.wait_for("orders", position=-1)
