"""Whether a container works, as its exit code: `health.py URL` of an API, or `health.py worker`.

A worker is healthy while its heartbeats are in the database. It has none while every projection is
paused or stopped, and then there is nothing to heal.
"""

from __future__ import annotations

import os
import socket
import sys
import urllib.request

SEEN = """
SELECT EXISTS (SELECT FROM eventstore.projection_workers
                WHERE starts_with(owner, %s) AND seen_until > clock_timestamp())
    OR EXISTS (SELECT FROM eventstore.projection_versions)
       AND NOT EXISTS (SELECT FROM eventstore.projection_versions WHERE state = 'running')
"""


def answers(url: str) -> bool:
    """Ask a service whether it is ready. Raises if it is not, or is not there."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the container's own
        return bool(answer.status == 200)


def is_seen() -> bool:
    """Look for the heartbeat of this container's worker."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(os.environ["EVENTSTORE_DSN"], connect_timeout=5) as connection:
        return connection.execute(SEEN, [f"{socket.gethostname()}:"]).fetchone() == (True,)


if __name__ == "__main__":
    what = sys.argv[1]
    sys.exit(not (is_seen() if what == "worker" else answers(what)))
