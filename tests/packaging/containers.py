"""docker/compose.yaml without an engine: its services as processes, as unprivileged as containers.

`python -m tests.packaging.containers ROOT`, where tests.packaging.image has gone through the steps
of the Dockerfile. The database is a server of its own that asks for passwords; each program runs
with the command, the environment, the user and the health check that the files say. What only an
engine does (its network, read-only file systems) is not tried.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import psycopg

from eventstore.postgres.embedded import EmbeddedPostgres
from tests.fix_server import QUICK, new_room
from tests.fix_waiting import wait_until
from tests.packaging import compose
from tests.packaging.image import Image, image
from tests.service.installation import free_port

SERVICES: Final[dict[str, Any]] = compose.model()["services"]
HBA: Final = "local all postgres trust\nlocal all all scram-sha-256\n"
PORT: Final = "2113"
_LOGINS: Final = """
SELECT l.rolname, array_agg(g.rolname::text),
       bool_or(l.rolsuper OR l.rolcreaterole OR l.rolcreatedb OR l.rolbypassrls OR l.rolreplication)
  FROM pg_roles AS l JOIN pg_auth_members AS m ON m.member = l.oid
  JOIN pg_roles AS g ON g.oid = m.roleid
 WHERE l.rolcanlogin AND NOT l.rolname = 'postgres' GROUP BY 1 ORDER BY 1
"""
_SEEN: Final = """
SELECT count(DISTINCT owner) FROM eventstore.projection_workers WHERE owner LIKE ANY (%s)
"""


class Engine:
    """Runs services of the compose file on a database server, below an image's root."""

    def __init__(self, made: Image, run_dir: Path) -> None:
        self._image = made
        self._db = f"@/eventstore?host={quote(str(run_dir), safe='')}&port=5432"
        self.port = str(free_port())
        self.passwords = {
            name: secrets.token_hex(8)
            for name in compose.VARIABLE.findall(compose.FILE.read_text(encoding="utf-8"))
        }

    def filled(self, text: str) -> str:
        """Give a text of the compose file with what is true here."""
        text = self._image.inside(text.replace(PORT, self.port))
        return compose.filled(text.replace("@db/eventstore", self._db), self.passwords)

    def environment(self, service: str) -> dict[str, str]:
        """Give the environment of a service: what the files say, and nothing else."""
        env = {**self._image.env, **SERVICES[service].get("environment", {})}
        return {name: self.filled(value) for name, value in env.items()}

    def start(self, service: str, command: list[str], **options: Any) -> subprocess.Popen[str]:
        """Run a command as a container of a service would."""
        volumes = dict(v.split(":")[:2] for v in SERVICES[service].get("volumes", []))
        where = SERVICES[service].get("working_dir", self._image.workdir)
        mounted = [source for source, target in volumes.items() if target == where]
        cwd = compose.FILE.parent / mounted[0] if mounted else Path(self._image.inside(where))
        return subprocess.Popen(
            [*_as_user(self._image.user), *map(self.filled, command)],
            cwd=cwd,
            env=self.environment(service),
            text=True,
            **options,
        )

    @contextlib.contextmanager
    def running(self, service: str) -> Iterator[subprocess.Popen[str]]:
        """Run a service from when it is healthy; kill it in the end, if it has not ended."""
        command = SERVICES[service].get("command", self._image.cmd)
        with self.start(service, [*self._image.entrypoint, *command]) as process:
            try:
                wait_until(partial(self._is_healthy, service, process), f"{service} to be healthy")
                self._check(process)
                yield process
            finally:
                process.kill()

    def is_healthy(self, service: str) -> bool:
        """Run the health check of a service."""
        how, *command = SERVICES[service]["healthcheck"]["test"]
        assert how == "CMD"
        return self.start(service, command, stderr=subprocess.DEVNULL).wait(30) == 0

    def _is_healthy(self, service: str, process: subprocess.Popen[str]) -> bool:
        assert process.poll() is None, f"{service} ended with {process.returncode}"
        return self.is_healthy(service)

    def _check(self, process: subprocess.Popen[str]) -> None:
        """See that it is the image's user, and that its command line has no password in it."""
        proc = Path(f"/proc/{process.pid}")
        if os.geteuid() == 0:
            user = self._image.user.partition(":")[0]
            assert f"\nUid:\t{user}\t{user}\t{user}\t{user}\n" in (proc / "status").read_text()
        line = (proc / "cmdline").read_text()
        assert not any(password in line for password in self.passwords.values()), line


def _as_user(user: str) -> list[str]:
    """Give up every right but to read: Python itself may be installed in root's own home."""
    if os.geteuid() != 0:
        return []
    uid, _, gid = user.partition(":")
    sets = [f"--{name}=-all,+dac_read_search" for name in ("inh-caps", "ambient-caps")]
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *sets]


def end(process: subprocess.Popen[str], service: str) -> None:
    """Ask a service to end as an engine does; it has to, in order and within its grace period."""
    process.send_signal(signal.SIGTERM)
    grace = SERVICES[service]["stop_grace_period"]
    assert process.wait(int(grace.removesuffix("s"))) == 0, service


def run(made: Image) -> None:
    """Start everything in the order of the compose file, use it, and end it."""
    with new_room() as room:
        (room / "hba").write_text(HBA, encoding="ascii")
        settings = {"hba_file": str(room / "hba"), "unix_socket_permissions": "0777"}
        with EmbeddedPostgres(room / "data", settings=QUICK | settings) as postgres:
            engine = Engine(made, room / "data" / "run")
            _make_database(engine, postgres)
            with psycopg.connect(postgres.dsn(dbname="eventstore"), autocommit=True) as sql:
                _migrate(engine, sql)
                _use(engine, sql)


def _make_database(engine: Engine, postgres: EmbeddedPostgres) -> None:
    """Do what the image of PostgreSQL does at its first start."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as sql:
        sql.execute("CREATE DATABASE eventstore")
    [script] = [v.split(":")[0] for v in SERVICES["db"]["volumes"] if v.endswith(".sql:ro")]
    command = [postgres.psql(), "-Xq", "-f", compose.FILE.parent / script]
    env = {**os.environ, **engine.passwords}
    subprocess.run([*command, postgres.dsn(dbname="eventstore")], env=env, check=True)


def _migrate(engine: Engine, sql: psycopg.Connection[Any]) -> None:
    for _ in range(2):  # it runs again at each start of the whole
        done = engine.start("migrate", ["eventstore", *SERVICES["migrate"]["command"]])
        assert done.wait(60) == 0, "migrate"
    assert sql.execute(_LOGINS).fetchall() == [
        ("eventstore_api_login", ["eventstore_writer"], False),
        ("eventstore_migrate_login", ["eventstore_owner"], False),
        ("eventstore_worker_login", ["eventstore_worker"], False),
    ]
    with contextlib.suppress(psycopg.OperationalError):
        dsn = engine.environment("api")["EVENTSTORE_DSN"]
        psycopg.connect(dsn, password="wrong").close()
        raise AssertionError("the database asks for no password")


def _use(engine: Engine, sql: psycopg.Connection[Any]) -> None:
    assert not engine.is_healthy("api"), "healthy without a service"
    assert not engine.is_healthy("worker"), "healthy without a worker"
    with contextlib.ExitStack() as started:
        api = started.enter_context(engine.running("api"))
        replicas = SERVICES["worker"]["deploy"]["replicas"]
        workers = [started.enter_context(engine.running("worker")) for _ in range(replicas)]
        # The health check knows a worker by its host, and here both have the same.
        owners = [f"%:{worker.pid}:%" for worker in workers]
        wait_until(lambda: sql.execute(_SEEN, [owners]).fetchone() == (replicas,), "every worker")
        http = started.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{engine.port}"))
        person = {"type": "CustomerRegistered", "data": {"name": "Ada", "email": "a@example.org"}}
        while workers:  # whichever is left does the work
            stream = f"customer-{len(workers)}"
            assert http.post(f"/streams/{stream}", json=person).status_code == 201
            reached = http.get(
                f"/projections/contacts/streams/{stream}?revision=0",
                headers={"prefer": "wait=20"},
                timeout=30,
            )
            assert reached.json()["reached"], reached.text
            end(workers.pop(), "worker")
        end(api, "api")
    rows = sql.execute("SELECT customer FROM eventstore_read.contacts ORDER BY 1").fetchall()
    assert rows == [(str(number),) for number in range(1, replicas + 1)]


if __name__ == "__main__":
    run(image(Path(sys.argv[1]).absolute()))
    print("the services of compose.yaml ran as unprivileged users, worked, and ended in order")
