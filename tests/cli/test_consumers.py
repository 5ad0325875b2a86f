"""`eventstore consumers`: groups made, received from, settled and operated, at both targets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from eventstore import EventData, EventStore
from eventstore.sync import SyncEventStore
from tests.cli.conftest import Cli
from tests.fix_database import Psql
from tests.fix_service import served

pytestmark = pytest.mark.one_postgres


@pytest.fixture(params=["--url", "--dsn"])
def at(request: pytest.FixtureRequest, dsn: str) -> Iterator[Cli]:
    """Commands on a service, and on its database."""
    if request.param == "--dsn":
        yield Cli(EVENTSTORE_DSN=dsn)
        return
    with served(EventStore(dsn)) as (host, port):
        yield Cli(EVENTSTORE_URL=f"http://{host}:{port}")


def test_a_group_is_made_listed_shown_and_removed(at: Cli, sql: Psql) -> None:
    assert "make one" in at("consumers", "list").out
    made = at("consumers", "create", "emails", "--type", "A", "--type", "B", "--buffer", 7)
    assert made.out == "emails is made\n"
    at("consumers", "create", "audit", "--start", "head", "--unordered")
    assert "another ordering" in at("consumers", "create", "audit", "--ordered", code=1).err
    assert "head" in at("consumers", "create", "x", "--start", "tail", code=2).err
    audit, emails = at("consumers", "list", "--json").lines()
    assert (audit["name"], audit["ordering"]) == ("audit", "none")
    assert (emails["query"], emails["buffer"]) == ({"any_of": [{"types": ["A", "B"]}]}, 7)
    header, *rows = at("consumers", "list").out.splitlines()
    assert header.split()[:3] == ["consumer", "group", "lag"]
    assert [row.split()[0] for row in rows] == ["audit", "emails"]
    assert '"types":["A","B"]' in at("consumers", "status", "emails").out
    assert at("consumers", "delete", "emails", stdin="n\n", code=1).out

    assert "none runs it" in at("consumers", "status", "emails").out
    sql.execute("SELECT eventstore.consumer_beat_v1('emails', 'host:7:ab', '{}', '{}')")
    assert "host:7:ab" in at("consumers", "status", "emails").out
    header, *rows = at("consumers", "list").out.splitlines()
    assert [line.split()[-1] for line in (header, *rows)] == ["workers", "0", "1"]
    refused = at("consumers", "delete", "emails", "--yes", code=1).err
    assert "1 worker: end it first (host:7:ab" in " ".join(refused.split())
    sql.execute("SELECT eventstore.consumer_leave_v1('emails', 'host:7:ab')")
    at("consumers", "delete", "emails", "--yes")
    assert "no consumer group" in at("consumers", "status", "emails", code=1).err


def test_what_is_not_given_stays_and_what_changes_is_told(at: Cli, sql: Psql) -> None:
    for name in ("orders", "customers"):
        sql.execute("SELECT eventstore.projection_register_v1(%s, 1, '{}', '{t}', 'f', 1)", [name])
    given = ("--unordered", "--buffer", 7, "--lease", 8, "--retries", 9, "--backoff", 2.5)
    at("consumers", "create", "emails", "--type", "A", *given, "--after", "orders")
    [before] = at("consumers", "list", "--json").lines()
    nothing = "emails is there: nothing changes\n"
    assert at("consumers", "create", "emails").out == nothing
    assert at("consumers", "create", "emails", "--buffer", 7, "--unordered").out == nothing
    assert [before] == at("consumers", "list", "--json").lines()
    changed = ("--tag", "x", "--retries", 0, "--after", "orders", "--after", "customers")
    assert at("consumers", "create", "emails", *changed).out.splitlines() == [
        "emails is changed",
        '  query: {"any_of":[{"types":["A"]}]} -> {"any_of":[{"tags":["x"]}]}',
        "  retries: 9 -> 0",
        "  after: orders -> customers, orders",
    ]
    assert at("consumers", "create", "emails", "--lease", 9.5).out.splitlines() == [
        "emails is changed",
        "  lease: 8 -> 9.5",
    ]
    [now] = at("consumers", "list", "--json").lines()
    kept = ("ordering", "buffer", "backoff")
    assert [now[one] for one in kept] == [before[one] for one in kept]
    told = at("consumers", "create", "emails", "--start", 0)
    assert (told.out, "--start counts only" in told.err) == (nothing, True)


def test_deliveries_are_received_settled_parked_replayed_and_dropped(
    at: Cli, sync_store: SyncEventStore
) -> None:
    sync_store.append("order-1", [EventData("T", {"n": 1}), EventData("T")])
    sync_store.append("order-2", EventData("T"))
    at("consumers", "create", "emails")
    first, second = at("consumers", "receive", "emails", "--json").lines()
    assert first["id"].startswith("1-")
    assert (first["event"]["stream"], first["event"]["data"]) == ("order-1", {"n": 1})
    assert at("consumers", "receive", "emails").out == "nothing to deliver now\n"
    assert at("consumers", "ack", "emails", second["id"]).out == "1 settled\n"
    lost = at("consumers", "ack", "emails", second["id"], code=1)
    assert (lost.out, second["id"] in lost.err) == ("0 settled\n", True)
    parking = ("--action", "park", "--reason", "two\nlines\x1b")
    told = at("consumers", "nack", "emails", first["id"], *parking).out
    assert told == "1 settled, 1 of them parked\n"
    assert "one of" in at("consumers", "nack", "emails", "1-1", "--action", "x", code=2).err

    [parked] = at("consumers", "parked", "emails", "--json").lines()
    assert (parked["stream"], parked["revision"], parked["held"]) == ("order-1", 0, 1)
    for command in ("status", "parked"):
        shown = at("consumers", command, "emails").out
        assert "order-1@0" in shown
        assert "two lines\\u001b" in shown
        assert "attempts" in shown
    assert "--all" in at("consumers", "replay", "emails", code=2).err
    assert at("consumers", "replay", "emails", "--stream", "order-9").out.startswith("0 ")
    assert at("consumers", "replay", "emails", "--all").out.startswith("1 ")
    shown = at("consumers", "receive", "emails", "--max", 1).out
    assert "order-1@0" in shown
    assert re.match(r"1-\d+ +attempt 1, until \d\d:\d\d:\d\dZ +1 ", shown)
    at("consumers", "nack", "emails", shown.split()[0], "--action", "park")
    assert "give --stream" in at("consumers", "drop", "emails", code=2).err
    assert at("consumers", "drop", "emails", "--position", 1).out == "1 left out\n"
    assert at("consumers", "parked", "emails").out == "nothing is parked\n"
    assert "order-1@1" in at("consumers", "receive", "emails").out
