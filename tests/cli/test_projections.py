"""`eventstore projections`: what is told of projections, and what operators do, at both targets."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eventstore import EventData, EventStore
from eventstore.cli.hints import in_commands
from eventstore.cli.projections_watch import Rates
from eventstore.core.catalog import ProjectionStatus
from tests.cli.conftest import Cli
from tests.client.serving import COMMAND, environment
from tests.fix_database import Psql, new_pg
from tests.fix_proxy import new_proxy
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, wait_until
from tests.projections.orders import Orders, reached, working

pytestmark = pytest.mark.one_postgres


@pytest.fixture
def parked(dsn: str) -> None:
    """A projection whose worker has parked two streams and has ended, with two events to go."""

    async def make() -> None:
        made = Orders()
        made.broken = True
        async with EventStore(dsn) as store, new_pg(dsn) as connection:
            async with working(store, dsn, made.projection):
                for stream in ("order-1", "order-2"):
                    await store.append(stream, [EventData("T"), EventData("Fragile")])
                    await store.append(stream, EventData("T"))
                await reached(connection, 6)
            await store.append("order-3", [EventData("T")] * 2)

    asyncio.run(make())


@pytest.fixture(params=["--url", "--dsn"])
def at(request: pytest.FixtureRequest, dsn: str) -> Iterator[Cli]:
    """Commands on a service, and on its database."""
    if request.param == "--dsn":
        yield Cli(EVENTSTORE_DSN=dsn)
        return
    with served(EventStore(dsn)) as (host, port):
        yield Cli(EVENTSTORE_URL=f"http://{host}:{port}")


@pytest.mark.usefixtures("parked")
def test_everything_of_a_projection_is_told(at: Cli, sql: Psql) -> None:
    [one] = at("projections", "list", "--json").lines()
    assert (one["projection"], one["state"], one["checkpoint"]) == ("orders", "waiting", 6)
    assert (one["lag_events"], one["parked_streams"], one["tables"]) == (2, 2, ["orders"])
    header, row = at("projections", "list").out.splitlines()
    assert header.split()[:3] == ["projection", "state", "checkpoint"]
    assert row.split()[:5] == ["orders", "v1", "waiting", "6", "2"]

    told = at("projections", "status", "orders", "--json").json()
    assert told["checkpoint"] == 6
    assert [(p["stream"], p["revision"]) for p in told["parked"]] == [
        ("order-1", 1),
        ("order-2", 1),
    ]
    assert told["parked"] == at("projections", "parked", "orders", "--json").lines()
    shown = at("projections", "status", "orders", "--version", 1).out
    assert "6 of 8: 2 events" in shown
    assert "order-2@1" in shown
    assert "ValueError: broken" in shown
    assert "order-1@1" in at("projections", "parked", "orders").out
    sql.execute("UPDATE eventstore.projection_failures SET error = E'two\\n  lines\\x1b'")
    for command in ("status", "parked"):
        assert "two lines\\u001b" in at("projections", command, "orders").out


@pytest.mark.usefixtures("parked")
def test_operators_pause_resume_retry_and_skip(at: Cli, sql: Psql) -> None:
    def state() -> str:
        return str(at("projections", "status", "orders", "--json").json()["state"])

    at("projections", "pause", "orders")
    assert state() == "paused"
    at("projections", "resume", "orders")
    assert state() == "waiting"
    assert "position 2 is left out" in at("projections", "skip", "orders", "order-1").out
    for _ in range(2):  # asked again, it is the same
        retried = at("projections", "retry", "orders", "order-2")
        assert retried.out.startswith("1 stream marked to be tried again; see: ")
        assert "no worker runs orders: start one" in retried.err
    assert "Restart the workers" in at("projections", "retry", "--help").out
    told = at("projections", "parked", "orders", "--json").lines()
    assert [(one["stream"], one["state"]) for one in told] == [
        ("order-1", "retrying"),
        ("order-2", "retrying"),
    ]
    sql.execute(
        "UPDATE eventstore.projection_failures SET state = 'parked' WHERE state = 'retrying'"
    )
    at("projections", "pause", "orders")
    retried = at("projections", "retry", "orders", "--all")
    assert retried.out.startswith("2 streams marked to be tried again")
    assert "orders is paused: eventstore projections resume orders" in retried.err
    assert "not parked" in at("projections", "skip", "orders", "order-9", code=1).err


@pytest.mark.usefixtures("parked")
def test_a_wait_ends_with_what_became_of_it(at: Cli) -> None:
    done = at("projections", "wait", "orders", "--position", 4, "--json").json()
    assert done == {"projection": "orders", "position": 6, "reached": True}
    assert "at position 6" in at("projections", "wait", "orders", "--position", 1).out
    by_stream = ("wait", "orders", "--stream", "order-3", "--revision", 1, "--timeout", 0)
    assert "no worker runs it" in at("projections", *by_stream, code=1).err
    never = ("wait", "orders", "--stream", "order-3", "--revision", 7, "--timeout", 0)
    assert "which is not written yet" in at("projections", *never, code=1).err
    parked = ("wait", "orders", "--stream", "order-1", "--revision", 2, "--timeout", 3_600)
    assert "parked" in at("projections", *parked, code=1).err
    at("projections", "pause", "orders")
    late = ("wait", "orders", "--position", 8, "--timeout", 3_600)
    assert "paused" in at("projections", *late, code=1).err


@pytest.mark.usefixtures("parked")
def test_all_that_is_parked_is_listed(at: Cli) -> None:
    header, *rows = at("projections", "parked").out.splitlines()
    assert header.split()[:2] == ["projection", "parked"]
    assert [row.split()[:3] for row in rows] == [
        ["orders", "v1", "order-1@1"],
        ["orders", "v1", "order-2@1"],
    ]
    told = at("projections", "parked", "--json").lines()
    assert [(one["projection"], one["version"], one["stream"]) for one in told] == [
        ("orders", 1, "order-1"),
        ("orders", 1, "order-2"),
    ]


@pytest.mark.usefixtures("parked")
def test_who_asks_for_what_is_not_there_is_told_what_there_is(at: Cli) -> None:
    for options in (["none"], ["orders", "--version", 7]):
        for verb in ("status", "parked", "pause", "resume"):
            told = at("projections", verb, *options, code=1).err
            assert told.endswith("; there are: orders version 1\n"), told
    for arguments in (
        "retry none --all",
        "skip none a",
        "wait none --position 1",
        "watch none",
        "switch none 1",
        "drop none 1",
        "rebuild none",
    ):
        told = at("projections", *arguments.split(), code=1).err
        assert "there are: orders version 1" in told, told
    assert "there are" not in at("projections", "retry", "orders", "order-9", code=1).err


def test_hints_name_commands(at: Cli, sql: Psql) -> None:
    sql.execute("SELECT eventstore.projection_register_v1('orders', 1, '{}', '{a}', 'x', 1)")
    sql.execute("SELECT eventstore.projection_lease_v1('orders', 1, 'w', 60)")
    refused = at("projections", "drop", "orders", "--yes", code=1).err
    assert "or pause it first: eventstore projections pause NAME --version N" in refused
    assert "eventstore." not in refused


HINTS = "".join(
    path.read_text(encoding="utf-8")
    for path in (Path(__file__).parents[2] / "migrations/sql/functions").glob("*.sql")
)


@pytest.mark.parametrize(
    "hint", sorted(set(re.findall(r"HINT = '([^']*eventstore\.[^']*)'", HINTS)))
)
def test_no_hint_of_the_database_is_sql_at_the_command_line(hint: str) -> None:
    assert "eventstore." not in in_commands(hint)


def test_what_is_not_there_is_told(at: Cli) -> None:
    assert "eventstore worker" in at("projections", "list").out
    for verb in ("status", "parked", "pause", "resume", "watch"):
        assert "there is no projection" in at("projections", verb, "none", code=1).err
    for verb in ("retry", "skip"):
        assert "there is no projection" in at("projections", verb, "none", "a", code=1).err
    assert (
        "there is no projection" in at("projections", "wait", "none", "--position", 1, code=1).err
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", "orders"],
        ["retry", "orders", "a", "--all"],
        ["wait", "orders"],
        ["wait", "orders", "--stream", "a"],
        ["wait", "orders", "--revision", "1"],
        ["wait", "orders", "--position", "1", "--stream", "a", "--revision", "1"],
        ["wait", "orders", "--position", "-1"],
    ],
)
def test_what_is_asked_wrongly_is_a_usage_error(nowhere: Cli, arguments: list[str]) -> None:
    nowhere("projections", *arguments, code=2)


@pytest.mark.parametrize(
    "command",
    ["list", "status", "watch", "pause", "resume", "parked", "retry", "skip", "wait"],
)
def test_every_command_teaches_by_example(nowhere: Cli, command: str) -> None:
    _, _, explanation = nowhere("projections", command, "--help").out.partition("Usage:")
    assert explanation.count(f"eventstore projections {command}") > 1


def test_rates_are_what_checkpoints_move_by() -> None:
    def seen(checkpoint: int) -> list[ProjectionStatus]:
        counted = (checkpoint, 9, 0, 0.0, 1, 1, 0, 0)
        return [ProjectionStatus("a", 1, True, "running", None, *counted, None, [])]

    rates = Rates()
    assert rates.of(seen(100), 10.0) == {}
    assert rates.of(seen(400), 12.0) == {("a", 1): 150.0}
    assert rates.of([], 13.0) == {}
    assert rates.of(seen(500), 14.0) == {}


@contextmanager
def watching(dsn: str, *options: str, out: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `eventstore projections watch`; kill it in the end."""
    with subprocess.Popen(
        [*COMMAND, "projections", "watch", "--dsn", dsn, *options],
        stdout=out,
        stderr=subprocess.PIPE,
        env={**environment(), "COLUMNS": "120", "TERM": "xterm"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("parked")
@pytest.mark.parametrize("options", [[], ["--json"], ["orders"]])
def test_who_watches_a_pipe_gets_a_line_each_second(
    dsn: str, sql: Psql, options: list[str]
) -> None:
    with watching(dsn, *options, out=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline().decode()
        sql.execute("UPDATE eventstore.projection_partitions SET checkpoint = 8")
        second = process.stdout.readline().decode()
        while "8" not in second.split() and '"checkpoint":8' not in second:
            second = process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    if options == ["--json"]:
        assert json.loads(first)["lag_events"] == 2
        assert json.loads(first)["events_per_second"] is None
        assert 0 < json.loads(second)["events_per_second"] <= 2.5
    else:
        told = "orders v1  waiting  checkpoint 6  lag 2  seconds "
        assert first.startswith(told)
        assert first.endswith("events/s -  partitions 0/1  parked 2\n")
        assert "  lag 0  seconds 0.0  events/s 2  " in second


@pytest.mark.usefixtures("parked")
def test_who_watches_in_a_terminal_gets_a_table(dsn: str) -> None:
    ours, theirs = pty.openpty()
    shown = b""

    def is_shown() -> bool:
        nonlocal shown
        shown += os.read(ours, 10_000)
        return shown.count(b"waiting") > 1  # drawn again

    try:
        with watching(dsn, out=theirs) as process:
            wait_until(is_shown, "the table")
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 0
    finally:
        os.close(theirs)
        os.close(ours)
    for part in (b"projection", b"events/s", b"orders v1", b"0/1"):
        assert part in shown


@pytest.mark.usefixtures("parked")
async def test_a_database_that_goes_away_is_looked_for_again(dsn: str) -> None:
    async with new_proxy(dsn) as proxy:
        with watching(proxy.dsn, out=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            await asyncio.to_thread(process.stdout.readline)
            await proxy.refuse()
            proxy.cut()
            lost = await asyncio.to_thread(process.stderr.readline)
            assert lost.endswith(b"looking again each second\n"), lost
            await proxy.listen()
            while b"orders v1" not in await asyncio.to_thread(process.stdout.readline):
                pass
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, DEADLINE) == 0
            assert process.stderr.read() == b""
