"""A worker: runs projections in this process, shared out among all workers of the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

import asyncpg

from eventstore.core.definition import Definition
from eventstore.core.projection import Projection
from eventstore.core.streams import partition_of
from eventstore.postgres.connection import IN_UTC, Connection, leave_as_it_is
from eventstore.postgres.errors import keeping_cancellation, refused_connection
from eventstore.postgres.notifier import Notifier
from eventstore.postgres.statements import statements
from eventstore.progress import progress_channel
from eventstore.projections.connection import FAILURES, read_json_as_values
from eventstore.projections.fingerprint import fingerprint
from eventstore.projections.registry import register
from eventstore.projections.runner import Runner
from eventstore.projections.writer import Place, Writer
from eventstore.store import EventStore

logger: Final = logging.getLogger("eventstore.projections")

BEAT: Final = 1.0
"""Seconds between heartbeats: until a pause or a retry is noticed."""
LEASE: Final = 10.0
"""Seconds without a heartbeat after which another worker takes over."""


class Worker:
    """Runs projections until `stop`: `await Worker(store, [orders], dsn=dsn).run()`.

    `store` is open; `dsn` is of a login that is a member of `<schema>_worker`. Any number of
    workers may run the same projections: each partition has one runner at a time.
    """

    def __init__(
        self, store: EventStore, projections: Iterable[Definition], *, dsn: str, name: str = ""
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._store = store
        self._dsn = dsn
        self._projections = list(projections)
        self._stopping = asyncio.Event()
        self.registered = asyncio.Event()
        """Set when the projections are known to the store."""

    def stop(self) -> None:
        """End after the batches that are under way, and give the leases back."""
        self._stopping.set()

    async def run(self) -> None:
        """Register the projections and run them.

        Raises DefinitionChanged, InvalidInput, AccessDenied or Unavailable before any of them is
        known or has begun; later on it waits for a database that has gone away.
        """
        async with await self._pool() as pool:
            await self._register(pool)
            self.registered.set()
            for made in self._projections:
                logger.info("worker %s now runs %s version %d", self.name, made.name, made.version)
            notify = statements(self._store.schema)["notify"]
            channel = progress_channel(self._store.schema)

            async def tell(payload: str) -> None:
                with keeping_cancellation():
                    await pool.fetch(notify, channel, payload)

            notifier = Notifier(tell)
            notifier.start()
            shares = [
                Share(self._store, pool, projection, owner=self.name, on_moved=notifier.stored)
                for projection in self._projections
            ]
            try:
                async with asyncio.TaskGroup() as tasks:
                    for share in shares:
                        tasks.create_task(share.run(self._stopping), name=f"share of {share}")
            finally:
                await notifier.close()

    async def _pool(self) -> asyncpg.Pool[asyncpg.Record]:
        # Handlers that are given a connection may leave settings on it.
        executing = any(isinstance(p, Projection) and p.is_executed for p in self._projections)
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=sum(projection.partitions for projection in self._projections) + 2,
            connection_class=Connection,
            init=read_json_as_values,
            reset=None if executing else leave_as_it_is,
            server_settings={
                "application_name": "eventstore worker",
                **IN_UTC,
                # Where no other worker is there to end a batch that stands still.
                "idle_in_transaction_session_timeout": "60s",
                "tcp_keepalives_idle": "10",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
            },
        )

    async def _register(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        try:
            with keeping_cancellation():
                async with pool.acquire() as connection, connection.transaction():
                    for projection in self._projections:
                        await register(connection, projection, schema=self._store.schema)
        except FAILURES as error:
            raise refused_connection(error) from None


class Share:
    """This worker's share of one projection: the runners of the partitions that it holds."""

    def __init__(
        self,
        store: EventStore,
        pool: asyncpg.Pool[asyncpg.Record],
        projection: Definition,
        *,
        owner: str,
        on_moved: Callable[[int], None],
    ) -> None:
        self._store = store
        self._pool = pool
        self._projection = projection
        self._fingerprint = fingerprint(projection)
        self._owner = owner
        self._on_moved = on_moved
        self._sql = statements(store.schema)
        self._running: dict[int, tuple[Runner, asyncio.Task[None]]] = {}
        self._holds = False

    def __str__(self) -> str:
        return f"{self._projection.name} version {self._projection.version}"

    async def run(self, stopping: asyncio.Event) -> None:
        """Hold a share until told to stop, or until it is defined otherwise; then end in order."""
        try:
            while not stopping.is_set():
                try:
                    await self._beat()
                except FAILURES as error:
                    if getattr(error, "sqlstate", None) == "ST007":
                        logger.error(
                            "%s has another definition now: start this worker anew with that; it "
                            "leaves it alone until then",
                            self,
                        )
                        break
                    logger.warning("%s: no heartbeat: %s", self, error or type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT):
                        await stopping.wait()
            for runner, _ in self._running.values():
                runner.stop()
            if tasks := [task for _, task in self._running.values()]:
                await asyncio.wait(tasks)
            await self._release(None)
        finally:
            for _, task in self._running.values():
                task.cancel()
            await asyncio.gather(
                *(task for _, task in self._running.values()), return_exceptions=True
            )

    async def _beat(self) -> None:
        self._forget_ended()
        rows = await self._fetch("projection_lease", self._owner, LEASE, self._fingerprint)
        held = {row["partition"]: row for row in rows}
        for partition, (runner, _) in self._running.items():
            row = held.get(partition)
            if row is None or row["lease"] != runner.place.lease or row["surplus"]:
                runner.stop()  # its batch goes on, and nobody waits for it here
        for partition, row in held.items():
            if partition in self._running:
                continue
            if row["surplus"]:
                await self._release(partition)
            else:
                self._start(row)
        if self._holds and not held and not self._running:
            await self._release(None)  # paused: that is no crash
        self._holds = bool(held or self._running)
        await self._retry()

    def _start(self, row: Any) -> None:
        place = Place(row["partition"], row["lease"])
        runner = Runner(
            self._store,
            self._pool,
            Writer(self._projection, schema=self._store.schema, place=place),
            checkpoint=row["checkpoint"],
            epoch=row["epoch"],
            crashes=row["crashes"],
            on_moved=self._on_moved,
        )
        task = asyncio.create_task(runner.run(), name=f"{self} partition {place.partition}")
        self._running[place.partition] = runner, task
        logger.info("%s: partition %d goes on after %d", self, place.partition, row["checkpoint"])

    def _forget_ended(self) -> None:
        for partition, (_, task) in list(self._running.items()):
            if not task.done():
                continue
            del self._running[partition]
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("%s: runner ended: %r", self, error, exc_info=error)

    async def _retry(self) -> None:
        for row in await self._fetch("projection_retrying"):
            stream_name, position = row["stream_name"], row["position"]
            running = self._running.get(partition_of(stream_name, self._projection.partitions))
            if running is not None:
                running[0].retry(stream_name, position)

    async def _release(self, partition: int | None) -> None:
        try:
            await self._fetch("projection_release", self._owner, partition)
        except FAILURES as error:
            logger.warning("%s: leases run out instead of being given back: %s", self, error)

    async def _fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        with keeping_cancellation():
            return await self._pool.fetch(
                self._sql[name],
                self._projection.name,
                self._projection.version,
                *args,
                timeout=LEASE / 2,  # TimeoutError, which is an OSError
            )
