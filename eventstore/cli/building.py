"""Building a version of a projection: run here or by workers, watched, compared, switched to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventstore.cli.asking import there_are
from eventstore.cli.output import counted, err, out
from eventstore.cli.shown import Show, building
from eventstore.cli.target import Store
from eventstore.core.errors import EventStoreError, NotFound

if TYPE_CHECKING:
    from eventstore.app import App
    from eventstore.core.catalog import ProjectionStatus, TableComparison
    from eventstore.core.definition import Definition
    from eventstore.projections.worker import Worker

LOOK: Final = 0.2
"""Seconds between two looks."""
UNRUN: Final = 3.0
"""Seconds without a worker after which none will come by itself: one that takes over does so at
its next heartbeat."""


class Wanted(NamedTuple):
    """What is to be built, and what then. No version: the newest."""

    projection: str
    version: int | None
    restart: bool
    compare: bool
    switch: bool


def definition_of(app: App, projection: str, version: int | None) -> Definition:
    """Give the version that is asked for, else the newest one, as an App defines it."""
    found = [made for made in app.projections if made.name == projection]
    for made in reversed(found):
        if version in (None, made.version):
            return made
    wanted = "" if version is None else f" version {version}"
    has = ", ".join(f"{made.name} version {made.version}" for made in app.projections)
    raise EventStoreError(f"the app has no projection {projection}{wanted}; it has {has or 'none'}")


async def build_by_workers(store: Store, wanted: Wanted) -> None:
    """Watch workers build what is wanted, and tell how it goes."""
    name = wanted.projection
    version = wanted.version or _newest(name, await store.projections.all())
    if wanted.restart:
        await store.projections.rebuild(name, version)
    await _build(store, version, wanted, is_here=False)


async def build_here(dsn: str, schema: str, definition: Definition, wanted: Wanted) -> None:
    """Run a definition until it is there. Started again, it goes on where it was."""
    from eventstore.projections.worker import Worker  # noqa: PLC0415 - imports the driver
    from eventstore.store import EventStore  # noqa: PLC0415

    name, version = definition.name, definition.version
    async with EventStore(dsn, schema=schema) as store:
        await _make_known(definition, dsn, schema)
        if wanted.restart:
            await store.projections.rebuild(name, version)
        worker = Worker(store, [definition], dsn=dsn)
        await _beside(worker, _build(store, version, wanted, is_here=True))
        if (await store.projections.get(name, version=version)).state == "waiting":
            err().print("no worker runs it now: start one with this app to keep it up to date")


def print_switched(projection: str, version: int, before: int) -> None:
    """Say which version serves now."""
    out().print(f"{projection} version {version} serves")
    if before != version:
        out().print(
            f"version {before} goes on beside it while workers run it: 'eventstore projections "
            f"switch {projection} {before}' brings it back, 'drop {projection} {before}' removes it"
        )


async def _make_known(definition: Definition, dsn: str, schema: str) -> None:
    """Refuse a definition that has changed before anything is done with what is there."""
    import asyncpg  # noqa: PLC0415

    from eventstore.projections.registry import register  # noqa: PLC0415

    connection = await asyncpg.connect(dsn, server_settings={"application_name": "eventstore"})
    try:
        await register(connection, definition, schema=schema)
    finally:
        await connection.close(timeout=10)


async def _beside(worker: Worker, work: Coroutine[Any, Any, None]) -> None:
    """Work while a worker runs; end both in order, whichever ends or fails first."""
    running = asyncio.create_task(worker.run())
    working = asyncio.create_task(work)
    try:
        await asyncio.wait((running, working), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        worker.stop()
        await asyncio.wait((running, working))
    running.result()  # its error is the cause if it was the one to fail
    working.result()


async def _build(store: Store, version: int, wanted: Wanted, *, is_here: bool) -> None:
    name = wanted.projection
    with building(f"{name} version {version}") as show:
        there = await _built(store, name, version, show, is_here=is_here)
    out().print(f"{name} version {version} is at position {there.checkpoint:,} of {there.head:,}")
    if there.parked_streams:
        parked = counted(there.parked_streams, "stream")
        err().print(f"{parked} parked in it, and not up to date")
    if wanted.compare:
        compared = await store.projections.compare(name, version)
        _print_compared(version, compared)
        if wanted.switch and not all(one.is_equal for one in compared):
            raise EventStoreError(
                f"{name} version {version} differs, so it does not serve yet; to let it serve as "
                f"it is: eventstore projections switch {name} {version}"
            )
    if wanted.switch:
        print_switched(name, version, await store.projections.switch(name, version))


async def _built(
    store: Store, projection: str, version: int, show: Show, *, is_here: bool
) -> ProjectionStatus:
    """Wait until a version has applied all that there was a look before.

    Raises EventStoreError where that is in vain: it is paused or has stopped, or nobody runs it.
    """
    head: int | None = None
    run_at = time.monotonic()
    while True:
        now = await store.projections.get(projection, version=version)
        show(now)
        if now.checkpoint >= (now.head if head is None else head):
            return now
        how_far = f"at {now.checkpoint:,} of {counted(now.head, 'event')}"
        what = f"{projection} version {version} ({how_far})"
        if now.state in ("paused", "stopped"):
            raise EventStoreError(f"{what} is {now.state}" + (f": {now.reason}" * bool(now.reason)))
        if is_here or now.state != "waiting":
            run_at = time.monotonic()
        elif time.monotonic() - run_at > UNRUN:
            raise EventStoreError(
                f"no worker runs {what}; start one: eventstore worker MODULE:NAME, or let this "
                "command run it: --app MODULE:NAME"
            )
        head = now.head
        await asyncio.sleep(LOOK)


def _newest(projection: str, statuses: Sequence[ProjectionStatus]) -> int:
    known = [status for status in statuses if status.projection == projection]
    if not known:
        raise NotFound(f"there is no projection {projection!r}; {there_are(statuses)}")
    if known[-1].serving:
        raise EventStoreError(
            f"{projection} version {known[-1].version} is the newest, and serves: give the changed "
            "definition a new version, and name your app with --app or start a worker with it"
        )
    return known[-1].version


def _print_compared(version: int, compared: Sequence[TableComparison]) -> None:
    from rich.table import Table  # noqa: PLC0415

    first = compared[0]
    if first.serving_version == version:
        out().print(f"version {version} serves: there is nothing to compare it with")
        return
    old, new = f"version {first.serving_version}", f"version {version}"
    table = Table("table", f"rows, {old}", new, f"checksum, {old}", new, "", box=None)
    for one in compared:
        cells = (one.serving_rows, one.rows, one.serving_checksum, one.checksum)
        shown = [
            "none" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell
            for cell in cells
        ]
        style = "green" if one.is_equal else "yellow"
        table.add_row(one.table, *shown, "same" if one.is_equal else "differs", style=style)
    out().print(table)
    for one in compared:
        columns = ", ".join(one.columns) or "nothing: they share no column"
        out().print(f"{one.table}: compared by {columns}")
    if first.serving_checkpoint == first.checkpoint:
        out().print(f"both at position {first.checkpoint:,}")
    else:
        out().print(
            f"{old} at position {first.serving_checkpoint:,}, {new} at {first.checkpoint:,}: "
            "they may differ by the events in between"
        )
