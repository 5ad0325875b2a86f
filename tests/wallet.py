"""A decider that tests use: a wallet, from which nobody takes more than is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eventstore import CommandRefused, Decider, EventTypes


@dataclass(frozen=True)
class Deposit:
    """Put something in."""

    amount: int


@dataclass(frozen=True)
class Withdraw:
    """Take something out."""

    amount: int


@dataclass(frozen=True)
class Close:
    """Take out what is left, and close the wallet."""


@dataclass(frozen=True)
class Touch:
    """Do nothing."""


@dataclass(frozen=True)
class Deposited:
    """Something was put in."""

    amount: int


@dataclass(frozen=True)
class Withdrawn:
    """Something was taken out."""

    amount: int


@dataclass(frozen=True)
class Closed:
    """There will be nothing more."""


@dataclass(frozen=True)
class Wallet:
    """What is in it."""

    balance: int = 0
    is_closed: bool = False


@dataclass(frozen=True)
class Break:
    """Do what the decider's code is not up to."""

    how: str


@dataclass(frozen=True)
class Unknown:
    """An event that no wallet has."""


@dataclass(frozen=True)
class Poisoned:
    """An event by which a broken wallet cannot evolve."""


def broken_wallet() -> Decider[Wallet]:
    """Give a decider whose code is wrong."""
    broken = Decider("broken", initial=Wallet(), category="wallet")

    @broken.command(Break)
    def break_it(command: Break, state: Wallet) -> Any:
        if command.how == "decide":
            raise KeyError("a secret")
        return {"unknown": Unknown(), "evolve": Poisoned(), "number": 5}[command.how]

    @broken.event(Poisoned)
    def poisoned(state: Wallet, _: Poisoned) -> Wallet:
        raise ZeroDivisionError("a secret")

    return broken


def new_wallet(events: EventTypes | None = None, **options: Any) -> Decider[Wallet]:
    """Give the decider of wallets; `options` are those of Decider."""
    wallet = Decider("wallet", initial=Wallet(), events=events or (), **options)

    @wallet.command(Deposit)
    def deposit(command: Deposit, state: Wallet) -> Deposited:
        if state.is_closed:
            raise CommandRefused("the wallet is closed")
        return Deposited(command.amount)

    @wallet.command(Withdraw)
    def withdraw(command: Withdraw, state: Wallet) -> list[Withdrawn]:
        if command.amount > state.balance:
            raise CommandRefused("there is not enough", balance=state.balance)
        return [Withdrawn(command.amount)]

    @wallet.command(Close)
    def close(_: Close, state: Wallet) -> Iterator[Withdrawn | Closed]:
        if state.balance:
            yield Withdrawn(state.balance)
        yield Closed()

    @wallet.command(Touch)
    def touch(_: Touch, state: Wallet) -> None:
        assert state.balance >= 0

    @wallet.event(Deposited)
    def deposited(state: Wallet, event: Deposited) -> Wallet:
        return Wallet(state.balance + event.amount)

    @wallet.event(Withdrawn)
    def withdrawn(state: Wallet, event: Withdrawn) -> Wallet:
        return Wallet(state.balance - event.amount)

    @wallet.event(Closed)
    def closed(state: Wallet, _: Closed) -> Wallet:
        return Wallet(state.balance, is_closed=True)

    return wallet
