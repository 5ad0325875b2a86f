"""A value that a handler gives is seen by the next one as PostgreSQL gives it back, or refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from eventstore.core.columns import Columns
from eventstore.core.errors import InvalidInput
from eventstore.projections.rows import RowStore
from eventstore.projections.tables import ReadTable
from tests.fix_database import Pg

pytestmark = pytest.mark.one_postgres

TEXTS: Final = st.text(st.characters(), max_size=6)
ZONES: Final = st.none() | st.sampled_from(
    [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-5, seconds=13))]
)
NUMBERS: Final = st.one_of(
    st.decimals(),
    st.decimals(-99_999, 99_999, places=3),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(["-0", "1e-20", "10000", "1e300", "-9.995", "1_0", " 1 ", "1e999999999"]),
)
JSON: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.just(10**400)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
MOMENTS: Final = st.datetimes(timezones=ZONES) | st.sampled_from(["2020-01-01", "20200101T10Z"])
LISTS: Final = st.recursive(
    st.lists(st.none() | st.integers(-5, 5), max_size=3), lambda inner: st.lists(inner, max_size=3)
)
ARRAY: Final = postgresql.ARRAY
KINDS: Final[dict[str, tuple[Any, st.SearchStrategy[Any]]]] = {
    "numeric": (sa.Numeric(), NUMBERS),
    "numeric_7_2": (sa.Numeric(7, 2), NUMBERS),
    "numeric_2_4": (sa.Numeric(2, 4), NUMBERS),
    "numeric_3_m2": (sa.Numeric(3, -2), NUMBERS),
    "double": (sa.Float(), NUMBERS),
    "real": (sa.REAL(), NUMBERS),
    "text": (sa.Text(), TEXTS),
    "string_3": (sa.String(3), TEXTS),
    "integer": (sa.Integer(), st.integers(-(2**33), 2**33) | st.sampled_from(["+3", " 1_0 "])),
    "small": (sa.SmallInteger(), st.integers(-(2**17), 2**17)),
    "big": (sa.BigInteger(), st.integers(-(2**65), 2**65)),
    "boolean": (sa.Boolean(), st.booleans()),
    "date": (sa.Date(), st.dates() | st.datetimes() | st.sampled_from(["0001-01-01", "99991231"])),
    "time": (sa.Time(), st.times(timezones=ZONES) | st.sampled_from(["10:00Z", "T10"])),
    "moment": (sa.DateTime(), MOMENTS),
    "moment_tz": (sa.DateTime(timezone=True), MOMENTS),
    "span": (sa.Interval(), st.timedeltas()),
    "uuid": (sa.Uuid(), st.uuids() | st.uuids().map(str)),
    "bytes": (sa.LargeBinary(), st.binary(max_size=5)),
    "json": (sa.JSON(), JSON),
    "jsonb": (postgresql.JSONB(), JSON),
    "integers": (ARRAY(sa.Integer()), LISTS),
    "texts": (ARRAY(sa.Text()), st.lists(TEXTS | st.sampled_from(["NULL", '"', "{}"]), max_size=3)),
    "numerics": (ARRAY(sa.Numeric(7, 2)), st.lists(NUMBERS, max_size=2)),
    "doubles": (ARRAY(sa.Float()), st.lists(NUMBERS, max_size=2)),
    "byte_arrays": (ARRAY(sa.LargeBinary()), st.lists(st.binary(max_size=3), max_size=2)),
    "spans": (ARRAY(sa.Interval()), st.lists(st.timedeltas(), max_size=2)),
    "uuids": (ARRAY(sa.Uuid()), st.lists(st.uuids(), max_size=2)),
}
ODD: Final = [
    ("numeric", Decimal(10_000)),
    ("numeric_7_2", Decimal("Infinity")),
    ("numeric_7_2", Decimal("sNaN")),
    ("time", "10:00Z"),
    ("time", time(10, fold=1)),
    ("moment_tz", datetime(2020, 1, 1, tzinfo=UTC, fold=1)),
    ("moment_tz", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ("date", date.max),
    ("span", timedelta(microseconds=-1)),
    ("span", timedelta.max),
    ("uuid", UUID(int=2**128 - 1)),
    ("text", "\ud800"),
    ("json", "\0"),
    ("jsonb", ["\\u0000", "\ud800"]),
    ("jsonb", [1e16, -0.0, 5e-324, 1.7e308, 1.0]),
    ("integers", [[]]),
    ("integers", [[1], []]),
    ("doubles", [float("inf"), float("nan")]),
    ("byte_arrays", [b"\0"]),
    ("spans", [timedelta(-1)]),
]


class Values:
    """One row of a read table with a column of every type."""

    def __init__(self, connection: Pg) -> None:
        columns = [sa.Column(name, kind) for name, (kind, _) in KINDS.items()]
        table = sa.Table(
            "t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns
        )
        self.connection = connection
        self.columns = Columns(table)
        self.table = ReadTable(table, schema="eventstore_read", version=1)
        self.rows = RowStore([self.table])

    async def check(self, name: str, value: Any) -> None:
        """Compare what a handler would be given next with what is read back."""
        try:
            made = self.columns.whole((1,), {name: value})
        except InvalidInput:
            return
        for _ in range(2):
            await self.rows.store(self.connection, {"t": {(1,): made}}, serving=True)
            rows = await self.rows.load(self.connection, {"t": [(1,)]}, serving=True)
            read = rows["t"][1,]
            assert read is not None
            assert repr(read[name]) == repr(made[name])
            made = self.columns.whole((1,), read)


@pytest.fixture
async def values(worker: Pg) -> Values:
    made = Values(worker)
    for statement in made.table.ddl(serving=True):
        await worker.execute(statement)
    return made


@pytest.mark.parametrize(("name", "value"), ODD)
async def test_an_odd_value_is_seen_as_it_is_read_back(
    values: Values, name: str, value: Any
) -> None:
    await values.check(name, value)


@given(st.sampled_from(list(KINDS)).flatmap(lambda name: st.tuples(st.just(name), KINDS[name][1])))
@settings(
    max_examples=600,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_value_is_seen_as_it_is_read_back(
    values: Values, of_kind: tuple[str, Any]
) -> None:
    await values.check(*of_kind)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (sa.LargeBinary(), b"\0\xff"),
        (sa.Interval(), timedelta(-1)),
        (sa.Float(), float("inf")),
        (sa.Numeric(), Decimal("-Infinity")),
    ],
)
async def test_a_row_is_found_by_a_key_of_any_type(worker: Pg, kind: Any, key: Any) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", kind, primary_key=True))
    read = ReadTable(table, schema="eventstore_read", version=1)
    for statement in read.ddl(serving=True):
        await worker.execute(statement)
    of = Columns(table).key_of(key)
    assert of is not None
    rows = RowStore([read])
    await rows.store(worker, {"t": {of: {"id": key}}}, serving=True)
    assert await rows.load(worker, {"t": [of]}, serving=True) == {"t": {of: {"id": key}}}
    await rows.store(worker, {"t": {of: None}}, serving=True)
    assert await rows.load(worker, {"t": [of]}, serving=True) == {"t": {of: None}}


def test_what_equals_nothing_is_no_key() -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Float, primary_key=True))
    with pytest.raises(InvalidInput, match="NaN"):
        Columns(table).key_of("nan")


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (sa.Date, "2026-12-01T10:00:00Z", "a date like .* is needed, not '2026-12-01T10:00:00Z'"),
        (sa.DateTime(timezone=True), "today", "a date and time like .* is needed, not 'today'"),
        (sa.Time, "noon", "a time of day like .* is needed, not 'noon'"),
    ],
)
def test_a_text_that_is_no_time_is_told_what_is_needed(kind: Any, text: str, problem: str) -> None:
    key = sa.Column("id", sa.Integer, primary_key=True)
    table = sa.Table("t", sa.MetaData(), key, sa.Column("at", kind))
    with pytest.raises(InvalidInput, match=rf"t\.at: {problem}"):
        Columns(table).whole((1,), {"at": text})
