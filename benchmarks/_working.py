"""A worker in a process of its own: `_working DSN SCHEMA NAME` runs the benchmarks' projection."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from eventstore import EventStore
from eventstore.memory import settle_memory
from eventstore.projections.worker import Worker

from ._folding import folding
from ._process import command, environment
from ._rounds import run
from ._server import Database


@contextmanager
def worker(at: Database, name: str) -> Iterator[None]:
    """Run it."""
    process = subprocess.Popen(
        command("_working", at.dsn, at.schema, name), env=environment(), stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


async def _work(dsn: str, schema: str, name: str) -> None:
    async with EventStore(dsn, schema=schema) as store:
        running = Worker(store, [folding(name)], dsn=dsn)
        # Ends with whoever started this.
        asyncio.get_running_loop().add_reader(sys.stdin, running.stop)
        settle_memory()  # as `eventstore worker` does
        await running.run()


if __name__ == "__main__":
    run(_work(*sys.argv[1:]))
