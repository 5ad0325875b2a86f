"""Read tables: what is written by key comes back, whatever its type and however keys are spelt."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from eventstore import InvalidInput
from eventstore.core.columns import Columns, Key, Row
from eventstore.projections.tables import ReadTable
from tests.fix_database import Pg, new_pg

SCHEMA = "eventstore_read"
TYPES: dict[str, tuple[Any, Any]] = {
    "text": (sa.Text, "ż\u2028\n'\"\\"),
    "integer": (sa.Integer, -(2**31)),
    "bigint": (sa.BigInteger, 2**63 - 1),
    "numeric": (sa.Numeric, Decimal("12345678901234567890.123456789")),
    "double": (sa.Double, 1e-300),
    "infinite": (sa.Double, math.inf),
    "boolean": (sa.Boolean, True),
    "day": (sa.Date, date(2026, 2, 28)),
    "time": (sa.DateTime(timezone=True), datetime(2026, 1, 1, 12, 30, 0, 123456, UTC)),
    "span": (sa.Interval, timedelta(days=40, seconds=1.5)),
    "id": (sa.Uuid, uuid.uuid4()),
    "bytes": (sa.LargeBinary, b"\x00\xff"),
    "document": (JSONB, {"n": 2**70, "list": [None, True, "x"], "text": '"'}),
    "letters": (sa.ARRAY(sa.Text), ["a", "b,{}", None]),
    "kind": (sa.Enum("a", "b", native_enum=False), "b"),
    "Odd Name": (sa.String(5), "right"),
}


@pytest.fixture
async def reading(dsn: str) -> AsyncIterator[Pg]:
    """A connection that reads JSON as Python values, as a runner's does."""
    async with new_pg(dsn) as made:
        for name in ("json", "jsonb"):
            await made.set_type_codec(
                name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
            )
        yield made


async def create(connection: Pg, table: sa.Table) -> ReadTable:
    made = ReadTable(table, schema=SCHEMA, version=1)
    for statement in made.ddl(serving=True):
        await connection.execute(statement)
    return made


async def upsert(connection: Pg, table: ReadTable, *rows: Row) -> None:
    await connection.execute(table.statements(serving=True).upsert, table.encode_rows(rows))


async def load(connection: Pg, table: ReadTable, *keys: Key) -> list[tuple[int, Row | None]]:
    records = await connection.fetch(table.statements(serving=True).load, table.encode_keys(keys))
    return sorted(map(table.decode, records))


@pytest.mark.parametrize("name", TYPES)
async def test_a_value_of_each_type_comes_back(reading: Pg, name: str) -> None:
    kind, value = TYPES[name]
    columns: list[sa.Column[Any]] = [
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column(name, kind),
    ]
    table = await create(reading, sa.Table("t", sa.MetaData(), *columns))
    await upsert(reading, table, {"key": "a", name: value}, {"key": "b", name: None})
    assert await load(reading, table, ("a",), ("b",), ("c",)) == [
        (0, {"key": "a", name: value}),
        (1, {"key": "b", name: None}),
        (2, None),
    ]
    # What a fold gives is made in Python what comes back.
    made = Columns(
        sa.Table(
            "t",
            sa.MetaData(),
            *[sa.Column(c.name, c.type, primary_key=c.primary_key) for c in columns],
        )
    )
    assert made.whole(("a",), {name: value}) == {"key": "a", name: value}


SPELT: dict[str, tuple[Any, Any]] = {
    "integer": (sa.Integer, " 7"),
    "rounded": (sa.Numeric(8, 2), "1.005"),
    "rounded down": (sa.Numeric(8, 2), Decimal("-1.005")),
    "whole": (sa.Numeric(8), 2.5),
    "scientific": (sa.Numeric, "1e3"),
    "a float": (sa.Numeric, 0.1),
    "nothing": (sa.Numeric(8, 2), "-0"),
    "single": (sa.REAL, 0.1),
    "float": (sa.Double, "0.1"),
    "elsewhere": (sa.DateTime(timezone=True), "2026-03-29T03:30:00.5+02:00"),
    "nowhere": (sa.DateTime, "2026-03-29 03:30:00"),
    "day": (sa.Date, "2026-02-28"),
    "hour": (sa.Time, "12:30"),
    "id": (sa.Uuid, "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"),
    "tuple": (JSONB, {"list": (1, 2.0), "x": {1: None}}),
    "numbers": (sa.ARRAY(sa.Numeric(4, 1)), ["1.25", 2]),
    "bytes": (sa.LargeBinary, bytearray(b"x")),
}


@pytest.mark.parametrize("name", SPELT)
async def test_a_value_is_made_what_postgresql_makes_of_it(reading: Pg, name: str) -> None:
    kind, value = SPELT[name]
    columns: list[sa.Column[Any]] = [
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", kind),
    ]
    whole = sa.Table("t", sa.MetaData(), *columns)
    table = await create(reading, whole)
    made = Columns(whole).whole(("a",), {"value": value})
    await upsert(reading, table, made)
    [(_, row)] = await load(reading, table, ("a",))
    assert repr(row) == repr(made)


async def test_a_row_is_written_over_and_removed_by_key(reading: Pg) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("a", sa.Text, primary_key=True),
        sa.Column("b", sa.Integer, primary_key=True),
        sa.Column("v", sa.Text),
    ]
    table = await create(reading, sa.Table("t", sa.MetaData(), *columns))
    await upsert(reading, table, {"a": "x", "b": 1, "v": "old"}, {"a": "x", "b": 2, "v": "kept"})
    await upsert(reading, table, {"a": "x", "b": 1, "v": "new"})
    await reading.execute(
        table.statements(serving=True).delete, table.encode_keys([("x", 3), ("x", 1)])
    )
    rows = await reading.fetch("TABLE eventstore_read.t")
    assert [tuple(row) for row in rows] == [("x", 2, "kept")]
    keys_only = await create(
        reading, sa.Table("k", sa.MetaData(), sa.Column("a", sa.Text, primary_key=True))
    )
    await upsert(reading, keys_only, {"a": "x"})
    await upsert(reading, keys_only, {"a": "x"})


async def test_versions_stand_side_by_side_with_all_that_belongs_to_them(reading: Pg) -> None:
    table = sa.Table(
        "order Summary",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("total", sa.Numeric, index=True),
        sa.Column("Mail", sa.Text, unique=True),
        sa.CheckConstraint("total > 0", name="positive"),
    )
    for version, serving in ((1, True), (2, False), (3, False)):
        made = ReadTable(table, schema=SCHEMA, version=version)
        for statement in made.ddl(serving=serving):
            await reading.execute(statement)
        assert made.ddl(serving=serving) == made.ddl(serving=serving)
        row = made.encode_rows([{"id": 1, "total": 2, "Mail": "x"}])
        await reading.execute(made.statements(serving=serving).upsert, row)
        with pytest.raises(asyncpg.CheckViolationError):
            await reading.execute(
                made.statements(serving=serving).upsert,
                made.encode_rows([{"id": 1, "total": 0, "Mail": "x"}]),
            )
    names = await reading.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'eventstore_read' ORDER BY 1"
    )
    assert [row[0] for row in names] == [
        "order Summary",
        "order Summary__v2",
        "order Summary__v3",
    ]
    # A key is what the fold says: no sequence gives it.
    assert await reading.fetchval("SELECT count(*) FROM pg_sequences") == 0


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (sa.Column("x", sa.Enum("a", name="kind")), "native_enum=False"),
        (sa.Column("x", sa.Integer, sa.Computed("1 + 1")), "nothing else"),
        (sa.Column("x", sa.Integer, sa.Identity()), "nothing else"),
        (sa.Column("x", sa.Integer, sa.ForeignKey("other.id")), "foreign key"),
    ],
)
def test_what_cannot_be_a_read_table_is_refused(column: sa.Column[Any], problem: str) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), column)
    with pytest.raises(InvalidInput, match=problem):
        ReadTable(table, schema=SCHEMA, version=1)


@pytest.mark.parametrize("name", ["x" * 46, "s.t"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    schema, _, plain = name.rpartition(".")
    column = sa.Column("id", sa.Text, primary_key=True)
    table = sa.Table(plain, sa.MetaData(), column, schema=schema or None)
    with pytest.raises(InvalidInput, match="at most 45"):
        ReadTable(table, schema=SCHEMA, version=1)


@pytest.mark.parametrize("value", [math.nan, object(), "\ud800"])
def test_a_value_that_json_does_not_have_is_an_error(value: Any) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("d", sa.JSON),
    ]
    table = ReadTable(sa.Table("t", sa.MetaData(), *columns), schema=SCHEMA, version=1)
    with pytest.raises((ValueError, TypeError)):
        table.encode_rows([{"id": value if isinstance(value, str) else "a", "d": value}])
