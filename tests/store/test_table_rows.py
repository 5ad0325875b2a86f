"""`store.projections.rows` through every face: rows of a read table, and what they are as of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from eventstore import (
    EventData,
    EventStore,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Projection,
    ProjectionBehind,
    ProjectionStopped,
    RecordedEvent,
)
from eventstore.core.columns import Row
from tests.fix_database import Pg
from tests.fix_faces import Face
from tests.fix_waiting import DEADLINE, until
from tests.projections.orders import reached, working
from tests.projections.versions import Counting
from tests.projections.versions import reached as both_reached

ID = UUID("0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42")
odd = sa.Table(
    'Odd "table"',
    sa.MetaData(),
    sa.Column("t", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column('a "b"', sa.String(5)),
    sa.Column("code", sa.CHAR(3)),
    sa.Column("total", sa.Numeric(10, 2)),
    sa.Column("ok", sa.Boolean),
    sa.Column("id", sa.Uuid),
    sa.Column("day", sa.Date),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("limit", sa.Integer),
    sa.Column("tags", JSONB),
    sa.Column("text", sa.JSON),
)
projection = Projection("odd", categories=["odd"], tables=[odd])


@projection.fold(odd, key=lambda event: (event.data["t"], event.data["n"]))
def fold(row: Row | None, event: RecordedEvent) -> Row:
    return {name: event.data.get(name) for name in odd.columns.keys()[2:]}


def event(t: str, n: int, **values: Any) -> EventData:
    return EventData("T", {"t": t, "n": n, **values})


@pytest.fixture
async def filled(store: EventStore, dsn: str, connection: Pg) -> AsyncIterator[Pg]:
    """Some rows, and a worker that makes more of them."""
    async with working(store, dsn, projection):
        await store.append(
            "odd-1",
            [
                event(
                    "b",
                    2,
                    total="12.50",
                    ok=True,
                    id=str(ID),
                    code="xyz",
                    day="2026-02-03",
                    limit=1,
                ),
                event("b", 1, total="12.50", ok=False, at="2026-02-03T04:05:06.789+00:00"),
                event("a", 3, total="2", **{'a "b"': "über"}, tags={"k": [1]}, text={"x": 1}),
            ],
        )
        await reached(connection, 3)
        yield connection


async def keys(face: Face, **asked: Any) -> list[tuple[str, int]]:
    page = await face.projections.rows("odd", odd.name, **asked)
    return [(row["t"], row["n"]) for row in page.rows]


@pytest.mark.usefixtures("filled")
async def test_rows_come_as_postgresql_writes_them_with_what_they_are_as_of(face: Face) -> None:
    page = await face.projections.rows("odd", odd.name, where={"n": 3})
    [row] = page.rows
    assert row == {
        **dict.fromkeys(odd.columns.keys()),
        "t": "a",
        "n": 3,
        'a "b"': "über",
        "total": Decimal("2.00"),
        "tags": {"k": [1]},
        "text": {"x": 1},
    }
    assert isinstance(row["total"], Decimal)
    assert (page.position, page.next_offset) == (3, None)


@pytest.mark.usefixtures("filled")
async def test_rows_are_found_by_values_of_every_type(face: Face) -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
    for where, expected in (
        ({"t": "b"}, [("b", 1), ("b", 2)]),
        ({"t": "b", "n": 2}, [("b", 2)]),
        ({'a "b"': "über"}, [("a", 3)]),
        ({'a "b"': "über and more"}, []),  # not cut to the column's length
        ({"code": "xyz"}, [("b", 2)]),
        ({"total": Decimal("12.5")}, [("b", 1), ("b", 2)]),
        ({"total": "12.504"}, []),  # not rounded to the column's scale
        ({"ok": True}, [("b", 2)]),
        ({"id": ID}, [("b", 2)]),
        ({"day": date(2026, 2, 3)}, [("b", 2)]),
        ({"at": at}, [("b", 1)]),
        ({"tags": '{"k": [1]}'}, [("a", 3)]),
        ({"t": "'; DROP TABLE"}, []),
    ):
        assert await keys(face, where=where) == expected, where


@pytest.mark.usefixtures("filled")
async def test_the_order_is_stable_and_pages_go_on(face: Face) -> None:
    assert await keys(face) == [("a", 3), ("b", 1), ("b", 2)]
    assert await keys(face, order="total") == [("a", 3), ("b", 1), ("b", 2)]
    assert await keys(face, order="-total") == [("b", 1), ("b", 2), ("a", 3)]
    assert await keys(face, order="-n") == [("a", 3), ("b", 2), ("b", 1)]
    assert await keys(face, order="-t", limit=2) == [("b", 1), ("b", 2)]
    assert await keys(face, order="-t", limit=2, offset=1) == [("b", 2), ("a", 3)]
    for offset, rest in ((0, 1), (1, 2), (2, None), (7, None)):
        page = await face.projections.rows("odd", odd.name, limit=1, offset=offset)
        assert page.next_offset == rest


@pytest.mark.usefixtures("filled")
async def test_what_is_asked_wrongly_names_the_fault(face: Face) -> None:
    for asked, fault in (
        ({"where": {"none": 1}}, r"no column 'none'; it has: t, n, a"),
        ({"where": {"N": 1}}, "no column 'N'"),
        ({"order": 'n" DESC; --'}, "no column"),
        ({"order": "--n"}, "no column '-n'"),
        ({"order": "text"}, "text"),
        ({"where": {"text": "{}"}}, "text"),
        ({"where": {"t": "b", "n": "x"}}, r"column 'n'.*invalid input syntax.*\"x\""),
        ({"where": {"n": 2**40}}, "column 'n'.*out of range"),
        ({"where": {"t": "a\0"}}, "column 't'"),
        ({"where": {"limit": 1}}, "cannot be asked for"),
        ({"where": {"ok": None}}, "column 'ok'"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 2**63}, "offset"),
        ({"position": -1}, "position"),
    ):
        with pytest.raises(InvalidInput, match=fault):
            await face.projections.rows("odd", odd.name, **asked)
    with pytest.raises(NotFound, match="no projection"):
        await face.projections.rows("none", odd.name)
    for table in ("none", "Odd", f"{odd.name}__v1", "pg_class"):
        with pytest.raises(NotFound, match="it has: Odd"):
            await face.projections.rows("odd", table)


@pytest.mark.usefixtures("filled")
async def test_rows_are_as_new_as_ones_own_write(face: Face) -> None:
    for n in range(10):
        written = await face.append("odd-1", event("w", n))
        page = await face.projections.rows(
            "odd", odd.name, where={"t": "w"}, position=written.position, timeout=DEADLINE
        )
        assert (len(page.rows), page.position) == (n + 1, written.position)


async def test_rows_that_are_not_new_enough_in_time_are_not_given(face: Face, filled: Pg) -> None:
    for timeout in (0, 0.01):
        with pytest.raises(ProjectionBehind, match="position 9") as late:
            await face.projections.rows("odd", odd.name, position=9, timeout=timeout)
        assert (late.value.checkpoint, late.value.is_run) == (3, True)
    with pytest.raises(InvalidInput, match="no column 'none'"):  # at once
        await face.projections.rows("odd", odd.name, where={"none": 1}, position=9, timeout=3_600)
    await filled.execute("SELECT eventstore.pause_projection('odd')")
    with pytest.raises(ProjectionStopped):
        await face.projections.rows("odd", odd.name, position=9, timeout=3_600)
    assert len((await face.projections.rows("odd", odd.name, position=3)).rows) == 3


async def test_a_page_is_bounded_in_bytes(face: Face, filled: Pg) -> None:
    many = 'INSERT INTO eventstore_read."Odd ""table""" (t, n, tags) VALUES (\'big\', $1, $2)'
    await filled.executemany(many, [(n, f'"{"x" * 1_500_000}"') for n in range(4)])
    page = await face.projections.rows("odd", odd.name, where={"t": "big"})
    assert ([row["n"] for row in page.rows], page.next_offset) == ([0, 1], 2)
    page = await face.projections.rows("odd", odd.name, where={"t": "big"}, offset=2)
    assert ([row["n"] for row in page.rows], page.next_offset) == ([2, 3], None)
    await filled.execute(many, 9, f'"{"x" * 5_000_000}"')
    with pytest.raises(LimitExceeded, match="offset 4"):
        await face.projections.rows("odd", odd.name, where={"t": "big"}, offset=4)


async def test_rows_and_checkpoint_are_of_one_moment(face: Face, filled: Pg) -> None:
    """A writer that changes both in one transaction, again and again, is never seen half."""
    done = asyncio.Event()
    moved = "UPDATE eventstore.projection_partitions SET checkpoint = $1"
    changed = 'UPDATE eventstore_read."Odd ""table""" SET "limit" = $1'

    async def write() -> None:
        n = 3
        while not done.is_set():
            n += 1
            async with filled.transaction():
                await filled.execute('UPDATE eventstore_read."Odd ""table""" SET "limit" = $1', n)
                await filled.execute(
                    "UPDATE eventstore.projection_partitions SET checkpoint = $1", n
                )

    await filled.execute("SELECT eventstore.pause_projection('odd')")

    async def is_released() -> object:
        return await filled.fetchval("SELECT owner IS NULL FROM eventstore.projection_partitions")

    await until(is_released, "the worker to let go")
    await filled.execute(moved, 4)
    await filled.execute(changed, 4)
    writing = asyncio.ensure_future(write())
    try:
        seen = set()
        for _ in range(50):
            page = await face.projections.rows("odd", odd.name)
            assert {row["limit"] for row in page.rows} == {page.position}
            seen.add(page.position)
    finally:
        done.set()
        await writing
    assert len(seen) > 5


async def test_a_switch_is_never_seen_half(
    face: Face, store: EventStore, dsn: str, connection: Pg
) -> None:
    """Rows and checkpoint are of one version, whichever serves: each event is a row's count."""
    async with working(store, dsn, *[Counting(n).projection for n in (1, 2)]):
        for version in (1, 2):
            await both_reached(connection, version, 0)

        switched, done = [0], asyncio.Event()

        async def switch() -> None:
            while not done.is_set():
                await store.append("order-1", EventData("T"))
                switched.append(await store.projections.switch("orders", 1 + len(switched) % 2))

        await store.append("order-1", EventData("T"))
        switching = asyncio.ensure_future(switch())
        try:
            while len(switched) < 10:
                page = await face.projections.rows("orders", "orders", position=1, timeout=DEADLINE)
                assert page.rows == [{"order_id": "order-1", "events": page.position}]
        finally:
            done.set()
            await switching
    assert set(switched[2:]) == {1, 2}
