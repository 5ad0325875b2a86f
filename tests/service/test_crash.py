"""kill -9 of the database server or of the service: back without anybody doing anything."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.service.checker import Checker
from tests.service.conftest import needs_proc
from tests.service.load import Load
from tests.service.running import (
    Service,
    facts,
    postmaster,
    processes_in,
    serving,
    until,
    until_ready,
)

pytestmark = needs_proc


@pytest.mark.parametrize("victim", ["postmaster", "backend"])
async def test_the_service_outlives_its_database_server(
    service: Service, data_dir: Path, victim: str
) -> None:
    load = Load(seed=1)
    async with load.running(service.url, workers=8):
        await load.until_told(50)
        os.kill(postmaster(data_dir) if victim == "postmaster" else appender(data_dir), 9)
        await load.until_told(50)
    await load.finish(service.url)
    await asyncio.to_thread(Checker().check, load, facts(data_dir)["dsn"])

    assert service.process.poll() is None
    if victim == "postmaster":
        assert "PostgreSQL has ended by itself" in service.output
        assert "PostgreSQL is back" in service.output
    assert "Traceback" not in service.output
    assert await asyncio.to_thread(service.stop) == 0
    assert processes_in(data_dir) == set()


def appender(data_dir: Path) -> int:
    """Give the process id of a server process that carries the service's appends."""
    with psycopg.connect(facts(data_dir)["dsn"]) as admin:
        found = admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'eventstore appender%'"
        ).fetchone()
    assert found is not None
    pid: int = found[0]
    return pid


async def test_readers_are_told_to_try_again_while_the_server_is_down(
    service: Service, data_dir: Path
) -> None:
    statuses = set()
    async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
        assert (await http.post("/streams/order-1", json={"type": "A"})).status_code == 201
        server = postmaster(data_dir)
        os.kill(server, signal.SIGKILL)
        while "PostgreSQL is back" not in service.output:
            answer = await http.get("/events")
            statuses.add(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"]
        await asyncio.to_thread(until_ready, service.url)
        assert (await http.get("/events")).json()["head"] == 1
    assert statuses <= {200, 503}
    assert postmaster(data_dir) != server


def test_the_server_does_not_outlive_the_service(service: Service, data_dir: Path) -> None:
    assert httpx.post(f"{service.url}/streams/order-1", json={"type": "A"}).status_code == 201
    service.kill()
    until(lambda: not processes_in(data_dir), "the server ends with the service")
    assert (data_dir / "service.json").exists()
    with serving("--data-dir", data_dir) as again:
        assert httpx.get(again.url).json()["head"] == 1
        assert facts(data_dir)["pid"] == again.process.pid


def test_a_start_right_after_kill_9_works(service: Service, data_dir: Path) -> None:
    assert httpx.post(f"{service.url}/streams/order-1", json={"type": "A"}).status_code == 201
    service.process.kill()  # and no waiting for anything
    with serving("--data-dir", data_dir) as again:
        assert httpx.get(again.url).json()["head"] == 1


def test_a_kill_while_it_starts_is_recovered_too(data_dir: Path) -> None:
    with Service("--data-dir", data_dir) as starting:
        until(lambda: list(data_dir.rglob("postmaster.pid")), "PostgreSQL starts")
        starting.kill()
    with serving("--data-dir", data_dir) as again:
        assert httpx.get(again.url).json()["head"] == 0
