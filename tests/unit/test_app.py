"""App: what may stand beside what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from eventstore import App, Decider, EventTypes, InvalidInput, Projection, Reactor
from tests.wallet import Closed, Touch, new_wallet


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


@pytest.mark.parametrize(
    ("option", "one"),
    [
        ("projections", made("orders", "orders")),
        ("reactors", Reactor("emails")),
        ("deciders", new_wallet()),
    ],
)
def test_definitions_are_given_as_a_list(option: str, one: object) -> None:
    options: Any = {option: one}
    with pytest.raises(InvalidInput, match=rf"give a list: {option}=\[<\w+ \w+.*>\]"):
        App(**options)
    options = {option: ["orders"]}
    with pytest.raises(InvalidInput, match=f"{option} are definitions, not 'orders'"):
        App(**options)


def test_a_projection_that_does_nothing_is_refused() -> None:
    table = sa.Table("orders", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True))
    idle = Projection("orders", tables=[table])
    with pytest.raises(InvalidInput, match="orders version 1 has neither a fold nor"):
        App(projections=[made("a", "b"), idle])

    @idle.execute()
    async def execute(connection: object, event: object, name: object) -> None:
        """Nothing: it is not called."""

    assert len(App(projections=[idle]).projections) == 1


def test_an_app_has_its_deciders_and_the_event_types_of_all() -> None:
    @dataclass
    class Extra:
        """An event of no decider."""

    wallet, purse = new_wallet(), new_wallet()
    purse.name = "purse"
    app = App(deciders=[wallet, purse], events=[Extra])
    assert app.deciders == (purse, wallet)
    assert set(app.events) == {"Extra", "Deposited", "Withdrawn", "Closed"}
    shared = EventTypes({"is-closed": Closed})
    assert "is-closed" in App(events=shared).events


def _decider(name: str = "a", events: Any = (), commands: Any = (Touch,)) -> Decider[None]:
    return Decider(
        name,
        initial=None,
        decide=lambda command, state: None,
        evolve=lambda state, event: state,
        commands=commands,
        events=events,
    )


def _upcasting(event_type: str) -> EventTypes:
    types = EventTypes([Closed])
    types.upcast(event_type, from_version=1)(lambda data: data)
    return types


@dataclass
class Strange:
    """What JSON cannot have."""

    what: complex


@pytest.mark.parametrize(
    ("deciders", "problem"),
    [
        ([_decider(), _decider()], "two deciders are 'a'"),
        ([_decider(commands=())], "a has no command"),
        ([_decider(commands=[Strange])], "Strange"),
        ([_decider(events=[Strange])], "Strange"),
        ([_decider("a", [Closed]), _decider("b", {"Closed": Touch})], "Touch is 'Closed'"),
        ([_decider("a", [Closed]), _decider("b", {"shut": Closed})], "Closed is 'shut'"),
        ([_decider("a", [Closed]), _decider("b", _upcasting("Closed"))], "share one EventTypes"),
        ([_decider("a", _upcasting("Close"))], "upcasts of unknown event types: Close"),
    ],
)
def test_deciders_that_do_not_fit_together_are_refused(
    deciders: list[Decider[None]], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        App(deciders=deciders)
