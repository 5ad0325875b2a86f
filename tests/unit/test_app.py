"""App: what may stand beside what."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from eventstore import App, InvalidInput, Projection


def made(name: str, table: str, version: int = 1) -> Projection:
    columns = sa.Column("id", sa.Text, primary_key=True)
    of = sa.Table(table, sa.MetaData(), columns)
    projection = Projection(name, version=version, tables=[of])
    projection.fold(of, key=lambda event: event.stream_name)(lambda row, event: row)
    return projection


def test_two_versions_of_a_projection_stand_side_by_side_the_older_first() -> None:
    second, first, other = made("orders", "orders", 2), made("orders", "orders"), made("a", "b")
    assert App(projections=[second, first, other]).projections == (other, first, second)


@pytest.mark.parametrize(
    ("projections", "problem"),
    [
        ([made("orders", "a"), made("orders", "b")], "two projections are 'orders' version 1"),
        ([made("orders", "a"), made("other", "a")], "two projections write table 'a'"),
        ([made("a", "t"), made("b", "u"), made("a", "u", 2)], "two projections write table 'u'"),
    ],
)
def test_what_would_be_in_each_others_way_is_refused(
    projections: list[Projection], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        App(projections=projections)


def test_a_projection_that_does_nothing_is_refused() -> None:
    table = sa.Table("orders", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True))
    idle = Projection("orders", tables=[table])
    with pytest.raises(InvalidInput, match="orders version 1 has neither a fold nor"):
        App(projections=[made("a", "b"), idle])

    @idle.execute()
    async def execute(connection: object, event: object, name: object) -> None:
        """Nothing: it is not called."""

    assert len(App(projections=[idle]).projections) == 1
