"""What is found after kill -9, of the server or of the service that owned it."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError, readiness
from eventstore.postgres.embedded import server as embedded_server
from eventstore.postgres.embedded.account import choose_account
from eventstore.postgres.embedded.binaries import find_binaries
from eventstore.postgres.embedded.postmaster import live_postmaster, read_postmaster_pid
from eventstore.postgres.embedded.settings import server_command, server_settings
from tests.embedded.conftest import QUICK, Make, query
from tests.embedded.service import Service

SECONDS = 30.0
"""Deadline for everything that is waited for here."""


def kill_server(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL


def test_a_killed_server_is_started_again_on_the_lock_that_is_held(make: Make) -> None:
    server = make()
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill_server(server)
    assert server.poll() == -signal.SIGKILL
    server.restart_after_crash()
    assert server.poll() is None
    assert query(server, "SELECT answer FROM kept") == "42"


def test_a_killed_server_is_started_by_the_next_service(make: Make) -> None:
    server = make()
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill_server(server)
    server.stop()
    assert read_postmaster_pid(server.data_dir / "pgdata")
    with make() as other:
        assert query(other, "SELECT answer FROM kept") == "42"


def test_the_server_ends_with_a_killed_service(make: Make, launch: Callable[..., Service]) -> None:
    server = make()
    service = launch()
    pid = service.ready()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    if not hasattr(os, "pidfd_open"):
        pytest.skip("only Linux ends the server with its service")
    ended = os.pidfd_open(pid)
    service.kill()
    assert select.select([ended], [], [], SECONDS)[0]
    os.close(ended)
    # It shut down by itself, as the absence of its pid file shows.
    assert not (server.data_dir / "pgdata" / "postmaster.pid").exists()
    with server:
        assert query(server, "SELECT answer FROM kept") == "42"


def test_a_service_starts_at_once_after_another_was_killed(
    make: Make, launch: Callable[..., Service]
) -> None:
    server = make()
    service = launch()
    service.ready()
    service.kill()
    with server:
        assert query(server, "SELECT 1") == "1"


def test_the_thread_that_called_start_may_end(make: Make) -> None:
    server = make()
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    # A statement that a shutdown would cut short.
    assert query(server, "SELECT 1 FROM pg_sleep(0.2)") == "1"
    assert server.poll() is None
    assert "received fast shutdown request" not in server.log_path.read_text()


def test_a_server_that_an_earlier_service_left_behind_is_stopped_first(
    make: Make, bin_dir: Path | None
) -> None:
    said: list[str] = []
    server = make(on_progress=said.append)
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    pgdata, run = server.data_dir / "pgdata", server.data_dir / "run"
    account = choose_account(None, pgdata)
    binaries = find_binaries(bin_dir)
    settings = server_settings(binaries.major, run, QUICK)
    # Without the request to die with its parent, as on a system that does not have it.
    leftover = subprocess.Popen(
        server_command(binaries.program("postgres"), pgdata, settings),
        stderr=subprocess.PIPE,
        cwd="/",
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )
    with leftover:
        assert leftover.stderr is not None
        while b"ready to accept connections" not in leftover.stderr.readline():
            assert leftover.poll() is None
        assert live_postmaster(pgdata) == leftover.pid
        server.start()
        leftover.stderr.read()
        assert leftover.wait() == 0
    assert any(f"stopping the server (process {leftover.pid})" in text for text in said)
    assert query(server, "SELECT answer FROM kept") == "42"


def test_a_process_id_that_belongs_to_someone_else_now_is_left_alone(make: Make) -> None:
    server = make()
    server.start()
    kill_server(server)
    server.stop()
    pgdata = server.data_dir / "pgdata"
    account = choose_account(None, pgdata)
    bystander = subprocess.Popen(
        ["sleep", "600"],
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )
    try:
        file = pgdata / "postmaster.pid"
        file.write_text(f"{bystander.pid}\n{file.read_text().partition(chr(10))[2]}")
        socket_lock = server.data_dir / "run" / ".s.PGSQL.5432.lock"
        socket_lock.write_text(f"{bystander.pid}\n{pgdata}\n")
        server.start()
        assert query(server, "SELECT 1") == "1"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("restart", [True, False], ids=["restart", "next service"])
def test_processes_of_a_killed_server_that_hold_its_memory_are_waited_for(
    make: Make, restart: bool
) -> None:
    waiting = threading.Event()
    server = make(on_progress=lambda text: waiting.set() if "killed server" in text else None)
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            kill_server(server)
            if not restart:
                server.stop()
            starter = threading.Thread(
                target=server.restart_after_crash if restart else server.start
            )
            starter.start()
            assert waiting.wait(SECONDS)
        finally:
            os.kill(backend, signal.SIGCONT)
        starter.join(SECONDS)
        assert not starter.is_alive()
    assert query(server, "SELECT 1") == "1"


def test_a_long_recovery_is_waited_for_and_reported(
    make: Make, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: SimpleQueue[str] = SimpleQueue()
    server = make()
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    kill_server(server)
    server.stop()
    # Recovery runs this command for each segment of the log before it replays what is there.
    gate = room / "open"
    (server.data_dir / "pgdata" / "recovery.signal").touch()
    monkeypatch.setattr(readiness, "REPORT_SECONDS", 0.01)
    command = f"until [ -e {gate} ]; do sleep 0.02; done; false"
    slow = make(settings={"restore_command": command}, on_progress=reports.put)
    starter = threading.Thread(target=slow.start)
    starter.start()
    while "starting up (crash recovery can take long); " not in reports.get(timeout=SECONDS):
        assert starter.is_alive()
    gate.touch()
    starter.join(SECONDS)
    assert not starter.is_alive()
    assert query(slow, "SELECT answer FROM kept") == "42"


def test_a_server_that_cannot_recover_shows_its_log_and_can_be_tried_again(make: Make) -> None:
    server = make()
    server.start()
    kill_server(server)
    control = server.data_dir / "pgdata" / "global" / "pg_control"
    damaged = control.read_bytes()
    control.write_bytes(b"\0" * len(damaged))
    with pytest.raises(EmbeddedPostgresError, match=r"did not start.*(?s:.*)(FATAL|PANIC)"):
        server.restart_after_crash()
    # The directory stays ours, so that another try is possible.
    with pytest.raises(EmbeddedPostgresError, match="in use by process"):
        make().start()
    control.write_bytes(damaged)
    server.restart_after_crash()
    assert query(server, "SELECT 1") == "1"


def test_a_server_that_does_not_answer_is_killed_when_its_grace_is_over(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [(signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, SECONDS)]
    monkeypatch.setattr(embedded_server, "STOP_STEPS", steps)
    server = make()
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()
    with server:
        assert query(server, "SELECT answer FROM kept") == "42"
