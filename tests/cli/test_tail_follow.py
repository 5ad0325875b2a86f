"""`tail -f` as a process of its own: what comes, lost lines, and the ways in which it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

import pytest

from eventstore import EventData, EventStore
from eventstore.sync import SyncEventStore
from tests.client.serving import COMMAND, environment, serving
from tests.fix_database import Psql
from tests.fix_proxy import new_proxy
from tests.fix_psql import Run
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, until, wait_until

pytestmark = pytest.mark.one_postgres

BACK = re.compile(r"eventstore: back after \d+\.\d s; going on after position 3\n")


class Tail:
    """A running `eventstore tail -f`, and the lines that it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=(process.stdout, self.out)),
            threading.Thread(target=_collect, args=(process.stderr, self.err)),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def positions(self) -> list[int]:
        """The positions that it has printed, with or without --json."""
        lines = list(self.out)
        return [json.loads(s)["position"] if s[0] == "{" else int(s.split()[0]) for s in lines]

    def reach(self, position: int) -> None:
        """Wait until it has printed an event."""
        wait_until(lambda: self.positions[-1:] == [position], f"position {position}")

    def end(self, number: signal.Signals) -> int:
        """Send it a signal and wait until everything that it printed is there."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Give the exit code."""
        code = self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        return code


def _collect(lines: IO[str], into: list[str]) -> None:
    with lines:
        into.extend(iter(lines.readline, ""))


@contextmanager
def tailing(*args: object) -> Iterator[Tail]:
    """Run `eventstore tail -f`; kill it in the end."""
    process = subprocess.Popen(
        [*COMMAND, "tail", "-f", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment() | {"PYTHONUNBUFFERED": ""},  # what is shown at once is flushed by us
    )
    tail = Tail(process)
    try:
        yield tail
    finally:
        process.kill()
        tail.wait()


@pytest.fixture(params=["--url", "--dsn"])
def where(request: pytest.FixtureRequest, dsn: str) -> Iterator[list[str]]:
    """What names the store: a service on it, or the database itself."""
    if request.param == "--dsn":
        yield ["--dsn", dsn]
        return
    with served(EventStore(dsn)) as (host, port):
        yield ["--url", f"http://{host}:{port}"]


@pytest.mark.parametrize("output", [[], ["--json"]])
def test_what_psql_appends_is_shown_until_ctrl_c(
    where: list[str], output: list[str], psql: Run, sync_store: SyncEventStore
) -> None:
    sync_store.append("a", [EventData("T")] * 12)
    with tailing(*where, *output, "-n", "3") as tail:
        tail.reach(12)
        for position in (13, 14):
            psql("SELECT eventstore.append('order-1', 'Paid', '{\"n\": 1}')")
            tail.reach(position)
        assert tail.end(signal.SIGINT) == 0
    assert tail.positions == [10, 11, 12, 13, 14]
    assert "order-1" in tail.out[-1]
    assert tail.err == []


def test_filters_hold_for_what_comes(where: list[str], sync_store: SyncEventStore) -> None:
    sync_store.append("a-1", [EventData("Common"), EventData("Rare", tags=["x"])])
    filters = ["--category", "a", "--type", "Rare", "--tag", "x"]
    with tailing(*where, *filters, "--from", "start") as tail:
        tail.reach(2)
        sync_store.append("b-1", EventData("Rare", tags=["x"]))
        sync_store.append("a-1", [EventData("Common"), EventData("Rare"), EventData("Rare")])
        sync_store.append("a-2", EventData("Rare", tags=["y", "x"]))
        tail.reach(7)
    assert tail.positions == [2, 7]


def test_from_head_gives_only_what_comes(dsn: str, sync_store: SyncEventStore) -> None:
    sync_store.append("a", EventData("T"))

    def shown() -> bool:
        sync_store.append("a", EventData("T"))
        return bool(tail.out)

    with tailing("--dsn", dsn, "--from", "head") as tail:
        wait_until(shown, "an event that came after it began")
    assert tail.positions[0] > 1


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_of_the_service_is_told_and_costs_nothing(
    dsn: str, sync_store: SyncEventStore, ending: signal.Signals
) -> None:
    with ExitStack() as stack:
        service = stack.enter_context(serving(dsn))
        tail = stack.enter_context(tailing("--url", service.url, "--json"))
        sync_store.append("a", EventData("T"))
        tail.reach(1)
        sync_store.append("a", [EventData("T")] * 2)
        tail.reach(3)  # by the line that is lost now
        service.process.send_signal(ending)
        wait_until(lambda: tail.err, "word of the loss")
        service.process.wait(DEADLINE)
        sync_store.append("a", [EventData("T")] * 3)
        stack.enter_context(serving(dsn, port=int(service.url.rpartition(":")[2])))
        tail.reach(6)
        sync_store.append("a", [EventData("T")] * 3)
        tail.reach(9)
        assert tail.end(signal.SIGINT) == 0
        assert tail.positions == list(range(1, 10))
        lost, back = tail.err
        assert lost.startswith(f"eventstore: lost {service.url} (")
        assert lost.endswith("; reconnecting by itself, to go on after position 3\n")
        assert BACK.fullmatch(back)


async def test_a_lost_database_is_told_and_costs_nothing(dsn: str, store: EventStore) -> None:
    async with new_proxy(dsn) as proxy:
        with tailing("--dsn", proxy.dsn) as tail:

            async def shown(position: int) -> None:
                async def is_there() -> bool:
                    return tail.positions[-1:] == [position]

                await until(is_there, f"position {position}")

            async def told() -> bool:
                return bool(tail.err)

            await store.append("a", EventData("T"))
            await shown(1)
            await store.append("a", [EventData("T")] * 2)
            await shown(3)  # by the line that is lost now
            await proxy.refuse()
            proxy.cut()
            await until(told, "word of the loss")
            await store.append("a", [EventData("T")] * 3)
            await proxy.listen()
            await shown(6)
        assert tail.positions == list(range(1, 7))
        lost, back = tail.err
        assert lost.startswith("eventstore: lost postgresql://")
        assert lost.endswith("; reconnecting by itself, to go on after position 3\n")
        assert BACK.fullmatch(back)


def test_a_log_that_was_rewound_is_told_with_what_to_do(
    where: list[str], sync_store: SyncEventStore, sql: Psql
) -> None:
    sync_store.append("a", EventData("T"))
    with tailing(*where) as tail:
        tail.reach(1)
        sql.execute("SELECT eventstore.begin_epoch()")
        assert tail.wait() == 1
    [told] = tail.err
    assert told.startswith("eventstore: position 1 of epoch 1 is not in this log")
    assert told.endswith("begin anew: eventstore tail -f --from start\n")


def test_it_ends_with_its_reader_without_a_word_and_without_another_event(
    where: list[str], sync_store: SyncEventStore
) -> None:
    sync_store.append("a", EventData("T"))
    with subprocess.Popen(
        [*COMMAND, "tail", "-f", *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(DEADLINE) == 1
        finally:
            process.kill()
        assert process.stderr.read() == b""
