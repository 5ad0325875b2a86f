"""`eventstore worker`: runs the projections and reactors of an App."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore.cli.loops import loop_factory
from eventstore.cli.options import DataDirOption
from eventstore.cli.where import resolve_database
from eventstore.cli.working import load_run
from eventstore.memory import settle_memory
from eventstore.postgres.schema import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from eventstore.app import App


def worker(
    app: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="Your App, as in myapp:app.")],
    dsn: Annotated[
        str | None,
        typer.Option(
            metavar="DSN",
            help="The database, as a member of <schema>_worker: postgresql://worker@host/database. "
            "Env: EVENTSTORE_DSN. Default: that of the running 'eventstore serve'",
        ),
    ] = None,
    schema: Annotated[
        str, typer.Option(envvar="EVENTSTORE_SCHEMA", help="One store is one schema.")
    ] = DEFAULT_SCHEMA,
    data_dir: DataDirOption = None,
) -> None:
    """Run an app: keep its read tables up to date, and handle events in its reactors.

    \b
    eventstore worker myapp:app
    eventstore worker myapp:app --dsn postgresql://worker@db/shop

    Start as many as you like, on any number of machines: they share the work,
    and take over from one that dies within 10 s. Ctrl-C or SIGTERM ends after
    the batch and the handlers that are under way. Read tables are in schema
    <schema>_read; 'eventstore projections list' tells how far they are, and
    'eventstore consumers list' how far reactors are.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    database = resolve_database(dsn, schema, data_dir, os.environ, role="worker")
    logging.getLogger("eventstore").info(
        "a worker of %s (store %s at %s)", app, schema, database.title
    )
    made = load_run(app)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(made, database.dsn, schema))


async def _work(app: App, dsn: str, schema: str) -> None:
    from eventstore.store import EventStore  # noqa: PLC0415 - imports the driver
    from eventstore.worker import Worker  # noqa: PLC0415

    async with EventStore(dsn, schema=schema) as store:
        running = Worker(store, app, dsn=dsn)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        settle_memory()
        await running.run()
    logging.getLogger("eventstore").info("stopped")
