"""The service starts on nothing, stops in order, and leaves nothing behind but the data."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.service.conftest import needs_proc
from tests.service.running import Service, facts, postmaster, processes_in, run, serving, until

STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]


def append(url: str, stream: str = "order-1") -> int:
    """Append an event; give its position."""
    answer = httpx.post(f"{url}/streams/{stream}", json={"type": "Placed"}, timeout=60)
    assert answer.status_code == 201, answer.text
    position: int = answer.json()["position"]
    return position


@needs_proc
def test_a_service_starts_in_an_empty_directory_and_keeps_its_data(room: Path) -> None:
    data_dir = room / "new" / "data with spaces"
    with serving("--data-dir", data_dir) as service:
        assert append(service.url) == 1
        store = httpx.get(service.url).json()["store_id"]
        found = facts(data_dir)
        assert found["url"] == service.url
        assert found["pid"] == service.process.pid
        assert (data_dir / "service.json").stat().st_mode & 0o077 == 0
        assert service.stop() == 0
    assert processes_in(room) == set()
    with serving(EVENTSTORE_DATA_DIR=str(data_dir)) as service:
        assert httpx.get(service.url).json()["store_id"] == store
        assert append(service.url) == 2


@needs_proc
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_ends_everything_in_order(
    service: Service, data_dir: Path, number: signal.Signals
) -> None:
    append(service.url)
    assert len(processes_in(data_dir)) > 1
    assert service.stop(number) == 0

    assert processes_in(data_dir) == set()
    assert not (data_dir / "service.json").exists()
    assert not list(data_dir.rglob("postmaster.pid"))
    assert service.lines[-1].endswith("stopped\n")
    assert "Traceback" not in service.output
    assert "POST" not in service.output
    log = "".join(file.read_text() for file in data_dir.rglob("postgresql.log"))
    assert log.rstrip().endswith("database system is shut down")


@needs_proc
def test_a_stop_ends_who_follows_and_tells_them(service: Service, data_dir: Path) -> None:
    append(service.url)
    with httpx.stream(
        "GET", f"{service.url}/events", headers={"accept": "text/event-stream"}, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        assert "event: caught-up" in lines
        service.process.send_signal(signal.SIGTERM)
        assert list(lines) == ['data: {"head":1}', "", "event: shutdown", 'data: {"head":1}', ""]
    assert service.wait() == 0, service.output
    assert processes_in(data_dir) == set()
    assert "Traceback" not in service.output


@needs_proc
def test_an_impatient_stop_is_in_order_too(service: Service, data_dir: Path) -> None:
    append(service.url)
    with contextlib.suppress(ProcessLookupError):
        for _ in range(5):
            service.process.send_signal(signal.SIGINT)
    assert service.wait() == 0
    assert processes_in(data_dir) == set()
    assert "Traceback" not in service.output


@needs_proc
@pytest.mark.parametrize("when", ["at once", "with PostgreSQL"])
def test_a_stop_while_it_starts_is_in_order_too(data_dir: Path, when: str) -> None:
    with Service("--data-dir", data_dir) as starting:
        if when == "with PostgreSQL":
            until(lambda: list(data_dir.rglob("postmaster.pid")), "PostgreSQL starts")
        else:
            # Earlier the interpreter itself has not started.
            until(lambda: has_handler(starting.process.pid), "it listens to signals")
        starting.process.send_signal(signal.SIGTERM)
        assert starting.wait() == 0, starting.output
        assert "Traceback" not in starting.output
    assert processes_in(data_dir) == set()


def has_handler(pid: int) -> bool:
    """Tell whether a process has a handler for SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [caught] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_appends_under_way_are_answered_before_it_stops(
    service: Service, data_dir: Path, number: signal.Signals
) -> None:
    appends = 20
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
        with psycopg.connect(facts(data_dir)["dsn"]) as admin:
            admin.execute("SELECT FROM eventstore.log FOR UPDATE")
            sending = [
                asyncio.create_task(http.post(f"/streams/s-{n}", json={"type": "A"}))
                for n in range(appends)
            ]
            await all_received(service, appends)
            service.process.send_signal(number)
            await asyncio.to_thread(until, lambda: not listens(service.port), "it stops listening")
            assert not any(task.done() for task in sending)
        answers = await asyncio.gather(*sending)
    assert await asyncio.to_thread(service.wait) == 0

    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["position"] for answer in answers) == list(range(1, appends + 1))
    with serving("--data-dir", data_dir) as again:
        async with httpx.AsyncClient() as http:
            assert (await http.get(again.url)).json()["head"] == appends


async def all_received(service: Service, appends: int) -> None:
    """Wait until the service has read that many requests and none lies in a socket."""
    # Each connection is answered only when all appends are; a request behind them on a connection
    # of its own is answered when the service has read what came before it.
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as probe:
        established = 0
        while established < appends:
            established = connections(service.port)
            await probe.get("/health/live")


def connections(port: int) -> int:
    """Count the connections to a port that have no unread bytes at the service."""
    count = 0
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) == port and state == "01":
            count += queues.partition(":")[2] == "00000000"
    return count


def listens(port: int) -> bool:
    """Tell whether a port takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_service_on_a_database_of_your_own_leaves_it_running(
    service: Service, data_dir: Path
) -> None:
    dsn = facts(data_dir)["dsn"]
    with serving(EVENTSTORE_DSN=dsn) as second:
        assert append(second.url) == 1
        assert append(service.url) == 2
        assert second.stop() == 0
    assert append(service.url) == 3
    assert postmaster(data_dir)


def test_help_names_every_option() -> None:
    done = run("serve", "--help")
    assert done.returncode == 0
    for option in ("--dsn", "--host", "--port", "--data-dir", "--schema", "--os-user"):
        assert option in done.stdout
