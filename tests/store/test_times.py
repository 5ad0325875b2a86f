"""Times through every face: UTC, whatever database, role and environment say of zones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from eventstore import EventData, EventStore, Projection, RecordedEvent
from eventstore.core.columns import Row
from tests.fix_database import NewDatabase, new_pg
from tests.fix_faces import OPENERS, Face
from tests.projections.orders import reached, working

MOMENT = "2026-07-01T23:30:00-04:00"
IN_UTC = "2026-07-02T03:30:00+00:00"
visits = sa.Table(
    "visits",
    sa.MetaData(),
    sa.Column("visitor", sa.Text, primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True)),
)
projection = Projection("visits", categories=["visit"], tables=[visits])


@projection.fold(visits, key=lambda event: event.stream_name)
def fold(row: Row | None, event: RecordedEvent) -> Row:
    return {"at": event.data["at"]}


@pytest.fixture
def elsewhere(new_database: NewDatabase, template: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store in a database with another zone and another style; PGTZ names a third."""
    made = new_database(template)
    name = Identifier(str(conninfo_to_dict(made)["dbname"]))
    with psycopg.connect(made, autocommit=True) as sql:
        sql.execute(SQL("ALTER DATABASE {} SET timezone = 'America/New_York'").format(name))
        sql.execute(SQL("ALTER DATABASE {} SET datestyle = 'German, DMY'").format(name))
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    return made


async def at_whole_seconds(dsn: str) -> None:
    """Make times those that come once in a million."""
    async with new_pg(dsn) as connection:
        for table, column in (("events", "recorded_at"), ("consumer_groups", "created_at")):
            await connection.execute(f"ALTER TABLE eventstore.{table} DISABLE TRIGGER ALL")
            await connection.execute(
                f"UPDATE eventstore.{table} SET {column} = date_trunc('second', {column})"
            )


async def times_of(face: Face) -> AsyncIterator[datetime]:
    """Yield every time that a face tells."""
    async for event in face.read_stream("visit-1"):
        yield event.recorded_at
        yield (await face.event(event.event_id)).recorded_at
    async for event in face.read(direction="backward"):
        yield event.recorded_at
    yield (await face.consumers.get("mails")).created_at
    [delivery] = await face.consumers.receive("mails", 1)
    yield delivery.leased_until
    yield delivery.event.recorded_at
    await face.consumers.nack("mails", [delivery.id], "park")
    [parked] = await face.consumers.parked("mails")
    yield parked.parked_at
    await face.consumers.replay("mails")
    [status] = await face.projections.all()
    assert status.moved_at is not None
    yield status.moved_at


async def test_every_face_tells_times_in_utc(elsewhere: str, subtests: pytest.Subtests) -> None:
    async with EventStore(elsewhere) as store, new_pg(elsewhere) as connection:
        async with working(store, elsewhere, projection):
            await store.append("visit-1", EventData("Visited", {"at": MOMENT}))
            await reached(connection, 1)
        await store.consumers.create("mails")
        await at_whole_seconds(elsewhere)
    for name, open_face in OPENERS.items():
        async with open_face(elsewhere) as face:
            with subtests.test(name):
                told = [moment async for moment in times_of(face)]
                assert len(told) == 8
                assert {moment.tzinfo for moment in told} == {UTC}
            with subtests.test(f"rows, {name}"):
                page = await face.projections.rows("visits", "visits")
                assert page.rows == [{"visitor": "visit-1", "at": IN_UTC}]


async def test_sql_of_a_projection_sees_utc(elsewhere: str) -> None:
    days = sa.Table(
        "days",
        sa.MetaData(),
        sa.Column("visitor", sa.Text, primary_key=True),
        sa.Column("day", sa.Date),
    )
    executed = Projection("days", categories=["visit"], tables=[days])

    @executed.execute()
    async def execute(connection, event, name) -> None:  # type: ignore[no-untyped-def]
        await connection.execute(
            f"INSERT INTO {name(days)} VALUES ($1, $2::text::timestamptz::date)",
            event.stream_name,
            event.data["at"],
        )

    async with EventStore(elsewhere) as store, new_pg(elsewhere) as connection:
        async with working(store, elsewhere, executed):
            await store.append("visit-1", EventData("Visited", {"at": MOMENT}))
            await reached(connection, 1)
        page = await store.projections.rows("days", "days")
    assert page.rows == [{"visitor": "visit-1", "day": "2026-07-02"}]
