"""`eventstore command`: what a decider of the service says, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore import App, EventStore
from tests.cli.conftest import Cli
from tests.fix_service import served
from tests.wallet import broken_wallet, new_wallet

pytestmark = pytest.mark.one_postgres


@pytest.fixture
def cli(dsn: str) -> Iterator[Cli]:
    """Commands on a service that has wallets."""
    with served(EventStore(dsn), App(deciders=[new_wallet(), broken_wallet()])) as (host, port):
        yield Cli(EVENTSTORE_URL=f"http://{host}:{port}")


def test_what_a_command_causes_is_printed(cli: Cli) -> None:
    deposit = ("command", "wallet", "Deposit", '{"amount": 5}', "--command-id", "k")
    done = cli(*deposit, "--stream", "wallet-1")
    assert done.out == '1  wallet-1  Deposited  {"amount": 5}\n'
    assert "(it was handled before)" in cli(*deposit, "--id", "1").out
    told = cli("command", "wallet", "Close", "--id", "1", "--tag", "a", "--json").json()
    assert [event.pop("type") for event in told["events"]] == ["Withdrawn", "Closed"]
    assert (told["stream"], told["revision"], told["position"]) == ("wallet-1", 2, 3)
    assert told["replayed"] is False
    assert cli("command", "wallet", "Touch", "--id", "2").out == "wallet-2: nothing happens\n"


def test_a_refusal_is_one_line_and_an_exit_code(cli: Cli) -> None:
    withdraw = ("command", "wallet", "Withdraw", '{"amount": 5}', "--id", "1")
    done = cli(*withdraw, code=1)
    assert done.err == 'eventstore: there is not enough {"balance": 0}\n'
    problem = cli(*withdraw, "--json", code=1).json()
    assert problem["type"] == "urn:eventstore:problem:command-refused"
    assert (problem["reason"], problem["details"]) == ("there is not enough", {"balance": 0})
    done = cli("command", "wallet", "Steal", "--id", "1", code=1)
    assert "known: Deposit" in done.err
    done = cli("command", "wallet", "Deposit", '{"amount": "5"}', "--id", "1", code=1)
    assert "$.data.amount" in done.err
    done = cli("command", "broken", "Break", '{"how": "decide"}', "--id", "1", code=1)
    assert "decider broken failed on command Break" in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "give --stream"),
        (("--id", "1", "--stream", "wallet-1"), "give --stream"),
        (("{", "--id", "1"), "DATA is not JSON"),
        (("--id", "1", "--metadata", "[]"), "--metadata is a JSON object"),
    ],
)
def test_what_is_typed_wrongly_is_said(nowhere: Cli, options: tuple[str, ...], told: str) -> None:
    assert told in nowhere("command", "wallet", "Touch", *options, code=2).err


def test_an_id_with_the_category_in_front_is_told_where_the_stream_is_new(cli: Cli) -> None:
    hint = "--id is without the category: --id 1, or --stream wallet-1"
    deposit = ("command", "wallet", "Deposit", '{"amount": 5}')
    withdraw = ("command", "wallet", "Withdraw", '{"amount": 5}', "--id")
    assert hint in cli(*withdraw, "wallet-1", code=1).err
    assert cli(*deposit, "--id", "1").err == ""
    assert hint in cli(*deposit, "--id", "wallet-1").err
    assert cli(*deposit, "--id", "wallet-1").err == ""  # it is there: it was meant
    assert cli(*deposit, "--id", "a-1").err == ""
    assert "category" not in cli(*withdraw, "b-1", code=1).err
