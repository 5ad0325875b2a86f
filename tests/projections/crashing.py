"""A worker that ends or stops itself, as by a power failure, at a chosen point of its n-th batch.

`python -m tests.projections.crashing DSN APP --most EVENTS [--at POINT --batch N --sign SIGNAL]`,
optionally with `--version V`; `processes.py` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from eventstore import EventStore
from eventstore.cli.loading import load_app
from eventstore.projections import intake, worker
from eventstore.projections.rows import RowStore
from eventstore.projections.writer import Writer

POINTS = {
    "before the table": (RowStore, "store", "before"),
    "after the table": (RowStore, "store", "after"),
    "before the checkpoint": (Writer, "_checkpoint", "before"),
    "after the checkpoint": (Writer, "_checkpoint", "after"),
    "after the commit": (Writer, "write", "after"),
}
writing: ContextVar[Writer] = ContextVar("writing")


def strike(
    step: type,
    method: str,
    when: str,
    *,
    batch: int,
    sign: signal.Signals,
    version: int | None = None,
) -> None:
    """Let a step of the writer give the process a signal, before or after it does its work.

    It is in the batch of a writer that has stored `batch` - 1: one that is refused does not count.
    With `version`, of a writer of that one: others may be taken over from a worker that was late.
    """
    stored: Counter[Writer] = Counter()
    done = False
    write = Writer.write

    async def counted(self: Writer, *args: Any) -> Any:
        writing.set(self)
        result = await write(self, *args)
        stored[self] += 1
        return result

    setattr(Writer, "write", counted)  # noqa: B010 - a method
    real: Callable[..., Awaitable[Any]] = getattr(step, method)

    async def struck(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal done
        writer = self if isinstance(self, Writer) else writing.get()
        is_meant = version is None or writer.projection.version == version
        here = is_meant and stored[writer] == batch - 1 and not done
        done = done or here
        if here and when == "before":
            os.kill(os.getpid(), sign)
        result = await real(self, *args, **options)
        if here and when == "after":
            os.kill(os.getpid(), sign)
        return result

    setattr(step, method, struck)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("app")
    parser.add_argument("--at", choices=POINTS)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--sign", type=lambda name: signal.Signals[name])
    parser.add_argument("--most", type=int)
    parser.add_argument("--version", type=int)
    given = parser.parse_args()
    if given.at is not None:
        strike(*POINTS[given.at], batch=given.batch, sign=given.sign, version=given.version)
    logging.basicConfig(level=logging.INFO)
    worker.LEASE = 0.5  # type: ignore[misc] # it is taken over soon
    worker.BEAT = 0.1  # type: ignore[misc]
    intake.BATCH = given.most  # type: ignore[misc]
    async with EventStore(given.dsn) as store:
        running = worker.Worker(store, load_app(given.app).projections, dsn=given.dsn)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.stop)
        await running.run()


if __name__ == "__main__":
    asyncio.run(main())
