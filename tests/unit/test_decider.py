"""A decider as pure functions, and how it is told and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from eventstore import CommandRefused, Decider, EventTypes, InvalidInput
from eventstore.core.decider import command_key
from eventstore.testing import event, given
from tests.wallet import (
    Close,
    Closed,
    Deposit,
    Deposited,
    Touch,
    Wallet,
    Withdraw,
    Withdrawn,
    new_wallet,
)

wallet = new_wallet()


@dataclass
class Counted:
    """An event that nothing evolves by."""

    by: float = 1.0


def test_a_command_causes_one_event_several_or_none() -> None:
    full = Wallet(5)
    assert wallet.decide(Deposit(3), full) == (Deposited(3),)
    assert wallet.decide(Withdraw(3), full) == (Withdrawn(3),)
    assert wallet.decide(Close(), full) == (Withdrawn(5), Closed())
    assert wallet.decide(Touch(), full) == ()


def test_a_model_that_is_iterable_is_one_event() -> None:
    class Tagged(pydantic.BaseModel):
        tag: str

    one = Tagged(tag="a")
    decider = Decider(
        "tags",
        initial=None,
        decide=lambda command, state: one,
        evolve=lambda state, event: state,
        commands=[Touch],
        events=[Tagged],
    )
    assert decider.decide(Touch(), None) == (one,)


def test_a_state_is_the_fold_of_events() -> None:
    assert wallet.fold([]) == Wallet(0)
    assert wallet.fold([Deposited(5), Withdrawn(2)]) == Wallet(3)
    assert wallet.fold([Withdrawn(2)], Wallet(5)) == Wallet(3)
    assert wallet.fold([Deposited(5), Counted()]) == Wallet(5)


def test_a_refusal_has_its_reason_and_details() -> None:
    with pytest.raises(CommandRefused, match="there is not enough") as refused:
        wallet.decide(Withdraw(6), Wallet(5))
    assert refused.value.facts == {"reason": "there is not enough", "details": {"balance": 5}}


def test_an_initial_state_that_is_changed_in_place_is_nobody_elses() -> None:
    def evolve(state: list[int], event: Deposited) -> list[int]:
        state.append(event.amount)
        return state

    made = Decider(
        "log",
        initial=[0],
        decide=lambda command, state: None,
        evolve=evolve,
        events=[Deposited],
    )
    assert made.fold([Deposited(1)]) == [0, 1]
    assert made.fold([Deposited(2)]) == [0, 2]


def test_what_is_not_its_own_is_refused() -> None:
    with pytest.raises(InvalidInput, match="wallet has no command Counted"):
        wallet.decide(Counted(), Wallet())
    with pytest.raises(InvalidInput, match="wallet has no command Counted"):
        wallet.name_of(Counted())
    foreign = Decider(
        "foreign",
        initial=None,
        decide=lambda command, state: Counted(),
        evolve=lambda state, event: state,
        commands=[Touch],
    )
    with pytest.raises(InvalidInput, match="foreign has no event type Counted"):
        foreign.decide(Touch(), None)


def nothing(*_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "A b"}, "a decider's name is a-z"),
        ({"category": "a-b"}, "a category has no '-'"),
        ({"category": ""}, "must not be empty"),
        ({"decide": nothing}, "give decide and evolve"),
        ({"evolve": nothing}, "give decide and evolve"),
        ({"commands": [int]}, "a type is a dataclass"),
        ({"commands": [Touch, Touch]}, "has a command Touch already"),
        ({"commands": [Touch]}, "a command needs decide"),
        ({"events": [str]}, "a type is a dataclass"),
        ({"snapshot_every": 0}, "snapshot_every is 1 or more"),
        ({"snapshot_every": 5}, "snapshots need the type of the state"),
        ({"snapshot_version": 0}, "a snapshot version is 1 or more"),
        ({"snapshot_version": 2**31}, "a snapshot version is 1 or more"),
    ],
)
def test_a_definition_that_does_not_fit_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        Decider(**{"name": "a", "initial": None, **options})


def test_what_is_registered_twice_or_in_both_ways_is_refused() -> None:
    made = new_wallet()
    with pytest.raises(InvalidInput, match="has a command Deposit already"):
        made.command(Deposit)(nothing)
    with pytest.raises(InvalidInput, match="evolves by Deposited already"):
        made.event(Deposited)
    whole = Decider("a", initial=None, decide=nothing, evolve=nothing)
    with pytest.raises(InvalidInput, match="given whole already"):
        whole.command(Touch)
    with pytest.raises(InvalidInput, match="given whole already"):
        whole.event(Closed)


def test_names_are_those_of_the_classes_unless_given() -> None:
    made = Decider("a", initial=None, events=EventTypes({"is-closed": Closed}), category="b")
    made.command(Touch, name="touch")(nothing)
    made.event(Closed)(nothing)
    made.event(Counted, name="counted")(nothing)
    assert dict(made.commands) == {"touch": Touch}
    assert list(made.events) == ["is-closed", "counted"]
    assert made.stream("7") == "b-7"


def test_a_command_s_key_is_no_other_s() -> None:
    assert command_key("a", "B", "k") != command_key("a", "C", "k") != command_key("b", "C", "k")
    for bad in ("", "k" * 256):
        with pytest.raises(InvalidInput, match="1 to 255"):
            command_key("a", "B", bad)


def test_given_when_then() -> None:
    decided = given(wallet, [Deposited(5)]).when(Close()).then([Withdrawn(5), Closed()])
    assert decided.state == Wallet(0, is_closed=True)
    given(wallet, []).when(Touch()).then([])
    refused = given(wallet, [Closed()]).when(Deposit(1)).refused("the wallet is closed")
    assert refused.details == {}


def test_one_event_is_given_and_expected_as_several_are() -> None:
    stored = event("wallet-1", "Deposited", {"amount": 5})
    for one in (Deposited(5), stored):
        given(wallet, one).when(Withdraw(5)).then(Withdrawn(5))
    with pytest.raises(AssertionError, match="1: expected nothing\n     found    Closed"):
        given(wallet, stored).when(Close()).then(Withdrawn(5))
    for what in ("Deposited", {"amount": 5}, 5, Deposited):
        with pytest.raises(InvalidInput, match="give an event, or a list of them"):
            given(wallet, what)


def test_an_event_that_is_iterable_is_one() -> None:
    class Tagged(pydantic.BaseModel):
        tag: str

    decider = Decider(
        "tags",
        initial="",
        decide=lambda command, state: Tagged(tag="a"),
        evolve=lambda state, event: state + event.tag,
        commands=[Touch],
        events=[Tagged],
    )
    assert given(decider, Tagged(tag="a")).when(Touch()).then(Tagged(tag="a")).state == "aa"


def test_a_refusal_is_expected_with_details() -> None:
    too_much = given(wallet, Deposited(5)).when(Withdraw(6))
    too_much.refused("there is not enough", balance=5)
    too_much.refused(balance=5)
    for details in ({"balance": 4}, {"balance": 5, "due": 1}):
        with pytest.raises(AssertionError) as failed:
            too_much.refused("there is not enough", **details)
        assert str(failed.value) == (
            "Withdraw(amount=6) is refused with other details:\n"
            f"  expected: {details}\n  found:    {{'balance': 5}}"
        )


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_command_of_wrong_types_is_blamed_and_not_its_event(is_closed: bool) -> None:
    wrong: Any = "5"
    problem = r"^Deposit\(amount='5'\) is no Deposit: \$\.amount: Expected `int`, got `str`"
    with pytest.raises(InvalidInput, match=problem):
        given(wallet, [Closed()] * is_closed).when(Deposit(wrong))
    with pytest.raises(InvalidInput, match="wallet has no command Counted"):
        given(wallet, []).when(Counted())


def test_stored_events_are_given_as_the_store_reads_them() -> None:
    made = new_wallet()

    @made.events.upcast("Deposited", from_version=1)
    def renamed(data: Any) -> Any:
        return {"amount": data["sum"]}

    old = event("wallet-1", "Deposited", {"sum": 5})
    new = event("wallet-1", "Deposited", {"amount": 2}, metadata={"schema_version": 2})
    other = event("wallet-1", "Renamed", {"name": "x"})
    assert given(made, [old, new, other, Withdrawn(1)]).state == Wallet(6)


def test_what_differs_is_said() -> None:
    then = given(wallet, [Deposited(5)]).when(Close()).then
    with pytest.raises(AssertionError) as failed:
        then([Withdrawn(4), Closed(), Closed()])
    assert str(failed.value) == (
        "Close() causes something else:\n"
        "  0: expected Withdrawn(amount=4)\n"
        "     found    Withdrawn(amount=5)\n"
        "  1: Closed()\n"
        "  2: expected Closed()\n"
        "     found    nothing"
    )
    with pytest.raises(AssertionError, match="found    Closed"):
        then([Withdrawn(5)])


def test_a_refusal_in_the_place_of_events_is_said_and_the_other_way_round() -> None:
    too_much = given(wallet, []).when(Withdraw(1))
    with pytest.raises(AssertionError, match="is refused: there is not enough"):
        too_much.then([Withdrawn(1)])
    with pytest.raises(AssertionError, match="expected: no\n  found:    there is not enough"):
        too_much.refused("no")
    with pytest.raises(AssertionError, match=r"is not refused, but causes \[Deposited"):
        given(wallet, []).when(Deposit(1)).refused()


def test_an_event_that_could_not_be_stored_is_a_fault_without_a_database() -> None:
    made = Decider(
        "a",
        initial=None,
        decide=lambda command, state: Counted(float("nan")),
        evolve=lambda state, event: state,
        commands=[Touch],
        events=[Counted],
    )
    with pytest.raises(InvalidInput, match="not JSON"):
        given(made, []).when(Touch())
