"""A worker in a process: `eventstore worker` alone, `eventstore serve --app` beside the service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from eventstore.cli.loading import load_app
from eventstore.core.errors import EventStoreError

if TYPE_CHECKING:
    from eventstore.app import App
    from eventstore.store import EventStore


def load_run(reference: str) -> App:
    """Load the App that `module:name` names. Raises EventStoreError if it has nothing to run."""
    app = load_app(reference)
    if not (app.projections or app.reactors):
        raise EventStoreError(
            f"{reference} has no projections and no reactors: there is nothing to run"
        )
    return app


def load_served(reference: str) -> App:
    """Load the App of a service. Raises EventStoreError if it has nothing to run or to decide."""
    app = load_app(reference)
    if not (app.projections or app.reactors or app.deciders):
        raise EventStoreError(
            f"{reference} has no projections, reactors or deciders: there is nothing to run"
        )
    return app


@asynccontextmanager
async def working(
    store: EventStore, app: App, dsn: str, *, on_end: Callable[[], None]
) -> AsyncIterator[None]:
    """Run a worker beside the block, and stop it in order behind it.

    A worker that ends by itself calls `on_end`, and the block's end raises what ended it.
    """
    from eventstore.worker import Worker  # noqa: PLC0415 - imports the driver

    worker = Worker(store, app, dsn=dsn)
    task = asyncio.create_task(worker.run(), name="worker")
    task.add_done_callback(lambda _: on_end())
    try:
        yield
    finally:
        worker.stop()
        await asyncio.wait([task])
    try:
        task.result()
    except EventStoreError:
        raise
    except Exception as error:  # whatever it is: the service does not go on without its worker
        logging.getLogger("eventstore").exception("the worker has failed")
        raise EventStoreError(f"the worker has failed: {error!r}") from error
