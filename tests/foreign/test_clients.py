"""Clients and proxies that others made, as people have them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import httpx
import pytest

from eventstore import EventData, EventStore
from eventstore.client import SyncEventStoreClient
from eventstore.sync import SyncEventStore
from tests.fix_service import served
from tests.fix_waiting import DEADLINE, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.one_postgres]

HERE = Path(__file__).parent
JSON = {"content-type": "application/json"}


@pytest.fixture
def address(dsn: str) -> Iterator[str]:
    """Where a service listens, `host:port`."""
    with served(EventStore(dsn)) as (host, port):
        yield f"{host}:{port}"


def program(name: str) -> str:
    """Find a program, or skip the test."""
    for folder in (None, "/usr/sbin"):
        if found := shutil.which(name, path=folder):
            return found
    pytest.skip(f"there is no {name} here")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_javas_http_client_appends_reads_and_makes_a_group(
    address: str, sync_store: SyncEventStore
) -> None:
    said = run(program("java"), str(HERE / "Append.java"), f"http://{address}").splitlines()
    assert [line[:3] for line in said] == ["201", "201", "201", "200"]
    assert [event.event_type for event in sync_store.read()] == ["Placed", "Paid"]
    group = sync_store.consumers.get("mails")
    assert (group.query.to_json(), group.lease) == ('{"any_of":[{"types":["Paid"]}]}', 120)


def test_curl_that_offers_http_2_is_served_with_its_body(
    address: str, sync_store: SyncEventStore
) -> None:
    curl = [program("curl"), "-sS", "--http2", "-H", "Content-Type: application/json"]
    appended = json.loads(run(*curl, "-d", '{"type": "T"}', f"http://{address}/streams/a"))
    assert appended["position"] == 1
    query = '{"query": {"any_of": [{"types": ["Paid"]}]}, "lease": 120}'
    group = json.loads(run(*curl, "-X", "PUT", "-d", query, f"http://{address}/consumers/g"))
    assert (group["query"], group["lease"]) == ({"any_of": [{"types": ["Paid"]}]}, 120)
    assert sync_store.head().position == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def proxy(name: str, folder: Path, config: str, *options: str) -> Iterator[int]:
    """Run a proxy with a configuration in which PORT stands for where it is to listen."""
    port = free_port()
    file = folder / f"{name}.conf"
    file.write_text(config.replace("PORT", str(port)).replace("FOLDER", str(folder)))
    command = [program(name), *options, str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:

        def listens() -> bool:
            assert process.poll() is None, process.stderr and process.stderr.read()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            wait_until(listens, f"{name} to listen")
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE)


NGINX = """
user USER; daemon off; pid FOLDER/nginx.pid; error_log FOLDER/error.log; worker_processes 1;
events {}
http {
    access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi; uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:PORT;
        location /store/ { proxy_pass http://ADDRESS/; }
        location / {
            limit_except GET HEAD { deny all; }
            proxy_pass http://ADDRESS;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
}
"""


def test_nginx_lets_through_what_it_is_told_to_and_nothing_in_a_body(
    address: str, tmp_path: Path, sync_store: SyncEventStore
) -> None:
    tmp_path.chmod(0o777)
    smuggled = (
        b"POST /streams/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 14\r\n\r\n{"type": "T" }'
    )
    body = b"\r\n" * 250_000 + smuggled
    with proxy(
        "nginx", tmp_path, NGINX.replace("ADDRESS", address).replace("USER", getuser()), "-c"
    ) as port:
        url = f"http://127.0.0.1:{port}"
        assert httpx.post(f"{url}/streams/a", json={"type": "T"}).status_code == 403
        upgrade = {"upgrade": "h2c", "connection": "upgrade"}
        answer = httpx.request("GET", f"{url}/health/live", headers=upgrade, content=body)
        assert answer.status_code == 200
        assert sync_store.head().position == 0
        # By default nginx speaks HTTP/1.0 to what is behind it.
        with SyncEventStoreClient(f"{url}/store") as store:
            store.append("order-1", [EventData("T", n) for n in range(1_500)])
            assert [event.data for event in store.read_stream("order-1")] == [*range(1_500)]
            assert len(list(store.read())) == 1_500
        page = httpx.get(f"{url}/store/streams/order-1?limit=2")
        following = page.url.join(page.links["next"]["url"])
        assert httpx.get(following).json()["events"][0]["revision"] == 2


HAPROXY = """
global
    stats socket FOLDER/stats
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend f
    bind 127.0.0.1:PORT
    default_backend b
backend b
    option httpchk HEAD /health/ready
    server one ADDRESS check inter 100ms
"""


def test_haproxy_finds_the_service_ready_by_its_head(
    address: str, tmp_path: Path, sync_store: SyncEventStore
) -> None:
    with proxy("haproxy", tmp_path, HAPROXY.replace("ADDRESS", address), "-f") as port:

        def checked() -> str:
            with socket.socket(socket.AF_UNIX) as stats:
                stats.connect(str(tmp_path / "stats"))
                stats.sendall(b"show stat\n")
                text = b"".join(iter(lambda: stats.recv(1 << 16), b"")).decode()
            names, *rows = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
            [row] = [dict(zip(names, row, strict=False)) for row in rows if row[1] == "one"]
            return row["check_status"]

        wait_until(lambda: checked().startswith("L"), "a health check")
        assert checked() == "L7OK"
        answer = httpx.post(f"http://127.0.0.1:{port}/streams/a", json={"type": "T"})
        assert answer.status_code == 201
        lines = httpx.get(
            f"http://127.0.0.1:{port}/events", headers={"accept": "application/x-ndjson"}
        )
        assert json.loads(lines.text)["type"] == "T"
    assert sync_store.head().position == 1
