"""A worker that ends itself, as a power failure would, at a chosen point of its n-th batch.

`python -m tests.projections.crashing POINT BATCH DSN`; point `never` does not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from eventstore import EventStore
from eventstore.projections import worker
from eventstore.projections.rows import RowStore
from eventstore.projections.writer import Writer
from tests.projections.orders import Orders

POINTS = {
    "before the table": (RowStore, "store", "before"),
    "after the table": (RowStore, "store", "after"),
    "before the checkpoint": (Writer, "_checkpoint", "before"),
    "after the checkpoint": (Writer, "_checkpoint", "after"),
    "after the commit": (Writer, "write", "after"),
}


def crash_at(step: type, method: str, when: str, batch: int) -> None:
    """Let a step of the writer kill the process, before or after it does its work."""
    real: Callable[..., Awaitable[Any]] = getattr(step, method)
    calls = 0

    async def crashing(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == batch and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await real(*args, **options)
        if calls == batch and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(step, method, crashing)


async def main() -> None:
    point, batch, dsn = sys.argv[1:]
    if point in POINTS:
        crash_at(*POINTS[point], int(batch))
    worker.LEASE = 0.5  # type: ignore[misc] # it is taken over soon
    worker.BEAT = 0.1  # type: ignore[misc]
    async with EventStore(dsn) as store:
        running = worker.Worker(store, [Orders().projection], dsn=dsn)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.stop)
        await running.run()


if __name__ == "__main__":
    asyncio.run(main())
