"""Functions of definitions: what cannot work is refused where it is decorated, and named."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncIterator, Callable
from operator import itemgetter
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
import sqlalchemy as sa

from eventstore import Decider, EventTypes, InvalidInput, Projection, Reactor, SqlProjection
from tests.wallet import Deposit, Deposited

table = sa.Table("wallets", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True))
keyless = sa.Table("keyless", sa.MetaData(), sa.Column("id", sa.Text))


def projection() -> Projection:
    return Projection("wallets", tables=[table])


def decider(**options: Any) -> Decider[None]:
    return Decider("wallet", initial=None, **options)


def deciding(decide: Any) -> Any:
    return decider().command(Deposit)(decide)


def evolving(evolve: Any) -> Any:
    return decider().event(Deposited)(evolve)


def executing(execute: Any) -> Any:
    return projection().execute()(execute)


def reacting(handler: Any) -> Any:
    return Reactor("mails").on("Opened")(handler)


def folding(handler: Any, **lookups: Any) -> Any:
    looked = {name: (table, by) for name, by in lookups.items()}
    return projection().fold(table, key=str, lookups=looked)(handler)


def of_one(it: Any) -> Any:
    return it


async def waits_for_two(one: Any, other: Any) -> Any: ...


async def waits_for_one(it: Any) -> Any: ...


async def gives_two(one: Any, other: Any) -> AsyncIterator[Any]:
    yield one


class Waiting:
    async def __call__(self, one: Any, other: Any) -> Any: ...


REGISTER: dict[str, Callable[[Any], Any]] = {
    "wallet: what decides Deposit": deciding,
    "wallet: what evolves by Deposited": evolving,
    "wallet: decide": lambda f: decider(decide=f, evolve=lambda state, event: state),
    "wallet: evolve": lambda f: decider(decide=lambda command, state: None, evolve=f),
    "wallets: a fold of 'wallets'": folding,
}


@pytest.mark.parametrize("role", REGISTER)
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (of_one, "but of_one (test_functions.py:"),
        (lambda one, two, three: None, "but <lambda> (test_functions.py:"),
        (functools.partial(of_one), "but of_one (test_functions.py:"),
        (waits_for_two, "but waits_for_two (test_functions.py:"),
        (gives_two, "but gives_two (test_functions.py:"),
        (Waiting(), "but Waiting (test_functions.py:"),
        ("text", "is a function, not 'text'"),
    ],
)
def test_a_function_that_cannot_work_is_refused_and_named(
    role: str, wrong: Any, problem: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        REGISTER[role](wrong)
    assert str(refused.value).startswith(f"{role} is ")
    assert problem in str(refused.value)


@pytest.mark.parametrize("role", REGISTER)
@pytest.mark.parametrize(
    "right",
    [
        lambda one, two: None,
        lambda one, two, three=None: None,
        lambda *all_of_them: None,
        functools.partial(lambda bound, one, two: None, 1),
        functools.wraps(of_one)(lambda one, two: None),
        MagicMock(),
        print,
        max,
        dict,
    ],
)
def test_a_function_that_may_work_is_taken(role: str, right: Any) -> None:
    REGISTER[role](right)


@pytest.mark.parametrize("wrong", [lambda: None, lambda one, other: None, waits_for_one, None])
def test_a_key_a_lookup_s_key_and_an_upcast_take_one(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^wallets: the key of a fold of 'wallets' is "):
        projection().fold(table, key=wrong)
    with pytest.raises(InvalidInput, match=r"^wallets: the key of the lookup 'seen' is "):
        folding(lambda row, event, seen: row, seen=wrong)
    with pytest.raises(InvalidInput, match=r"^Opened: the upcast from version 1 is "):
        EventTypes().upcast("Opened", from_version=1)(wrong)
    projection().fold(table, key=itemgetter(0))


def test_a_fold_takes_what_it_looks_up_by_name() -> None:
    with pytest.raises(
        InvalidInput, match=re.escape("is called as (row, event, seen=...), but <lambda> (test_")
    ):
        folding(lambda row, event: row, seen=str)
    with pytest.raises(InvalidInput, match="missing a required argument: 'seen'"):
        folding(lambda row, event, seen: row)
    folding(lambda row, event, *, seen: row, seen=str)
    folding(lambda row, event, **seen: row, seen=str)


def test_what_executes_takes_three() -> None:
    with pytest.raises(InvalidInput, match=r"^wallets: what an event executes is called as \(conn"):
        executing(waits_for_two)
    executing(AsyncMock())


def test_a_reactor_s_handler_takes_two_and_waits() -> None:
    with pytest.raises(
        InvalidInput, match=r"^mails: a handler is called as \(event, context\), but waits_for_one"
    ):
        reacting(waits_for_one)
    with pytest.raises(InvalidInput, match=r"'async def' function: of_one \(test_functions.py:"):
        reacting(of_one)
    reacting(functools.partial(waits_for_two))


@pytest.mark.parametrize(
    ("define", "problem"),
    [
        (lambda: Projection("p", tables=[table], categories="order"), "p: categories is a list"),
        (lambda: Projection("p", tables=[keyless]), "p: read table 'keyless' needs a primary key"),
        (lambda: SqlProjection("p", tables=[table], statement="", types="A"), "p: types is a list"),
        (lambda: projection().fold(table, key=str, types="A"), "wallets: types is a list"),
        (lambda: Reactor("mails", after="p"), "mails: after is a list"),
        (lambda: Reactor("mails", streams="p"), "mails: streams is a list"),
        (lambda: Reactor("mails").on(""), "mails: a value of types must not be empty"),
        (lambda: decider(category=""), "wallet: a category must not be empty"),
        (lambda: decider(events=[int]), "wallet: a type is a dataclass"),
        (lambda: decider().command(int), "wallet: a type is a dataclass"),
        (lambda: decider().event(int), "wallet: a type is a dataclass"),
    ],
)
def test_a_fault_in_a_part_names_the_definition(define: Callable[[], Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        define()
    assert str(refused.value).startswith(problem)
