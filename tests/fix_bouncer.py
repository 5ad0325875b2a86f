"""A real pgbouncer in front of a server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from eventstore.postgres.embedded.account import choose_account
from tests.fix_server import new_room
from tests.fix_waiting import wait_until

PGBOUNCER: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer")


def keeps_prepared_statements() -> bool:
    """Tell whether it can keep prepared statements in transaction mode: from 1.21 on."""
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    assert found is not None, said.stdout
    return (int(found[1]), int(found[2])) >= (1, 21)


@contextmanager
def new_bouncer(
    dsn: str, *, mode: Literal["transaction", "session"], connections: int = 20
) -> Iterator[str]:
    """Pool at most so many connections to a database; give the DSN of the pool."""
    assert PGBOUNCER is not None
    parts = conninfo_to_dict(dsn)
    server = {name: parts[name] for name in ("host", "port", "user", "password") if name in parts}
    with new_room() as room:
        settings = {
            "unix_socket_dir": room,
            "listen_port": 5432,
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": connections,
        }
        if keeps_prepared_statements():
            settings["max_prepared_statements"] = 100
        lines = [
            "[databases]",
            "* = " + " ".join(f"{name}={value}" for name, value in server.items()),
            "[pgbouncer]",
            *[f"{name} = {value}" for name, value in settings.items()],
        ]
        file = room / "pgbouncer.ini"
        file.write_text("\n".join(lines) + "\n")
        account = choose_account(None, room / "data")  # it refuses to run as root, too
        if account.switch:
            os.chown(room, account.uid, account.gid)
        process = subprocess.Popen(
            [PGBOUNCER, "-q", file],
            stderr=subprocess.DEVNULL,
            user=account.user,
            group=account.group,
            extra_groups=account.extra_groups,
        )
        pooled = urlunsplit(
            urlsplit(dsn)._replace(query=f"host={quote(str(room), safe='')}&port=5432")
        )

        def answers() -> bool:
            assert process.poll() is None, "pgbouncer ended"
            try:
                psycopg.connect(pooled).close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_until(answers, "pgbouncer")
            yield pooled
        finally:
            process.terminate()
            process.wait()
