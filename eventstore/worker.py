"""A worker: runs an App in this process, beside any number of other workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from typing import Final

from eventstore.app import App
from eventstore.core.errors import EventStoreError, HistoryRewound
from eventstore.core.reactor import Reactor
from eventstore.projections.worker import Worker as ProjectionWorker
from eventstore.reactors import ReactorRunner
from eventstore.store import EventStore

logger: Final = logging.getLogger("eventstore.worker")

PAUSE: Final = 5.0
"""Seconds until a reactor that has ended begins again."""


class Worker:
    """Runs projections and reactors until `stop`: `await Worker(store, app, dsn=dsn).run()`.

    `store` is open; `dsn` is of a login that is a member of `<schema>_worker`. Each partition of a
    projection has one runner at a time, among all workers; each reactor runs in all of them.
    """

    def __init__(self, store: EventStore, app: App, *, dsn: str) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._store = store
        self._reactors = app.reactors
        self._projections = ProjectionWorker(store, app.projections, dsn=dsn, name=self.name)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after what is under way, and give the leases back."""
        self._stopping.set()
        self._projections.stop()

    async def run(self) -> None:
        """Register projections and reactors, and run them.

        Raises DefinitionChanged, ConsumerRefused, InvalidInput, AccessDenied or Unavailable before
        what it is about has begun; later on it waits for a database that has gone away.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._projections.run(), name="projections")
                await self._projections.registered.wait()  # a reactor may come after one of them
                for reactor in self._reactors:
                    await self._runner(reactor).register()
                for reactor in self._reactors:
                    tasks.create_task(self._react(reactor), name=f"reactor {reactor.name}")
                    logger.info("worker %s now runs reactor %s", self.name, reactor.name)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _react(self, reactor: Reactor) -> None:
        """Run a reactor; anew after what does not pass by waiting, which an operator has to see."""
        runner = self._runner(reactor)
        while not self._stopping.is_set():
            try:
                await runner.run(self._stopping)
            except ExceptionGroup as failed:
                ours, others = failed.split(EventStoreError)
                told = "; ".join(sorted({str(error) for error in ours.exceptions} if ours else ()))
                logger.error("%r has ended, and begins again: %s", reactor, told, exc_info=others)
                # In a log that was rewound no position is what it was.
                was = None if failed.subgroup(HistoryRewound) else runner.start
                runner = self._runner(reactor, None if was == "head" else was)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE):
                        await self._stopping.wait()

    def _runner(self, reactor: Reactor, start: int | None = None) -> ReactorRunner:
        return ReactorRunner(self._store, reactor, member=self.name, start=start)
