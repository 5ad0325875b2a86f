"""`eventstore serve`: the service, on an embedded PostgreSQL unless a DSN is given."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore.cli.loops import loop_factory
from eventstore.postgres.schema import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from eventstore.app import App
    from eventstore.local import LocalDatabase
    from eventstore.store import EventStore

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 2113
GRACE = 10
"""Seconds that requests under way are given to end after a stop signal."""


_failed = threading.Event()
"""Set when the private PostgreSQL cannot be kept running."""


class Stopped(BaseException):
    """SIGTERM or SIGINT: end in order."""


def serve(
    app: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Take commands for the deciders of this App, and run its projections as "
            "'eventstore worker' does. With --dsn: the login is a member of <schema>_worker as "
            "well.",
        ),
    ] = None,
    dsn: Annotated[
        str | None,
        typer.Option(
            metavar="DSN",
            help="Your own PostgreSQL (15 to 18), migrated by 'eventstore migrate'. "
            "Without it a private PostgreSQL is started. Env: EVENTSTORE_DSN",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="0: any free one.")
    ] = DEFAULT_PORT,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the private PostgreSQL keeps everything. Env: EVENTSTORE_DATA_DIR. "
            "Default: /var/lib/eventstore as root, else your own data directory",
        ),
    ] = None,
    schema: Annotated[
        str, typer.Option(envvar="EVENTSTORE_SCHEMA", help="One store is one schema.")
    ] = DEFAULT_SCHEMA,
    os_user: Annotated[
        str | None, typer.Option(help="As root: the OS user that the private PostgreSQL runs as.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            envvar="EVENTSTORE_ALLOW_ORIGIN",
            show_envvar=True,
            metavar="URL",
            help="Pages of this origin may read and append (CORS); repeated: of each of them "
            "(in the environment: with spaces between). Default: none.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            envvar="EVENTSTORE_ALLOW_HOST",
            show_envvar=True,
            metavar="NAME",
            help="A name, beside loopback ones, that requests may ask for the service by (Host); "
            "repeated: each of them (in the environment: with spaces between); '*': any. "
            "Default: none on loopback, else any.",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            envvar="EVENTSTORE_INSECURE",
            show_envvar=True,
            help="Listen on an address that others can reach: whatever is in front of it "
            "authenticates them, as the service itself does not.",
        ),
    ] = False,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
) -> None:
    """Serve the store over HTTP.

    \b
    eventstore serve                                 a private PostgreSQL
    eventstore serve --app myapp:app                 your commands, and a worker
    eventstore serve --dsn postgresql://app@db/shop  your own PostgreSQL
    eventstore serve --allow-origin https://app.example

    Ctrl-C or SIGTERM ends everything in order; after a crash just start it again.
    """
    # Imported here to keep --help fast.
    from eventstore.cli.working import load_served  # noqa: PLC0415
    from eventstore.core.errors import EventStoreError, InvalidInput  # noqa: PLC0415
    from eventstore.store import EventStore  # noqa: PLC0415
    from eventstore_api.cors import check_origin  # noqa: PLC0415
    from eventstore_api.guard import check_host  # noqa: PLC0415

    host = host or DEFAULT_HOST
    if dsn is not None and data_dir is not None:
        raise typer.BadParameter("give --dsn (your PostgreSQL) or --data-dir (a private one)")
    if dsn is None and data_dir is None:
        dsn, folder = os.environ.get("EVENTSTORE_DSN"), os.environ.get("EVENTSTORE_DATA_DIR")
        dsn, data_dir = dsn or None, Path(folder) if folder else None
    try:
        origins = [check_origin(origin) for origin in allow_origin or ()]
    except InvalidInput as fault:
        raise typer.BadParameter(f"--allow-origin: {fault}") from None
    try:
        hosts = [check_host(name) for name in allow_host or ()]
    except InvalidInput as fault:
        raise typer.BadParameter(f"--allow-host: {fault}") from None
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        made = None if app is None else load_served(app)
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(_bound(host, port, insecure=insecure))
            address = f"http://{_printable(host)}:{listener.getsockname()[1]}"
            worker_dsn = dsn
            if dsn is None:
                database = stack.enter_context(_embedded(data_dir, schema, os_user, address))
                dsn, worker_dsn = database.service_dsn, database.worker_dsn
            store = EventStore(dsn, schema=schema)
            known = hosts if hosts or _is_loopback(listener.getsockname()[0]) else None
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(
                    _serve(
                        store,
                        listener,
                        address,
                        known,
                        origins,
                        made,
                        worker_dsn or dsn,
                        access_log=access_log,
                    )
                )
    except Stopped:
        logging.getLogger("eventstore").info("stopped")
        if _failed.is_set():  # a supervisor must not take this for a wish
            raise typer.Exit(1) from None
    except EventStoreError as error:
        raise _failure(str(error)) from None


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


def _failure(message: str) -> typer.Exit:
    print(f"eventstore: {message}", file=sys.stderr)  # noqa: T201
    return typer.Exit(1)


@contextlib.contextmanager
def _bound(host: str, port: int, *, insecure: bool) -> Iterator[socket.socket]:
    """Listen before anything is started, so that a taken port costs nothing."""
    try:
        # The very address that is looked at is listened on: a name may have others.
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not insecure and not _is_loopback(str(address[0])):
            raise _failure(
                f"whoever reaches {host} port {port} could read everything and append: the service "
                "does not ask who they are. Leave --host out to listen on loopback, with a proxy "
                "that authenticates in front; if something in front of this address does, say so "
                "with --insecure (or EVENTSTORE_INSECURE=1)"
            )
        listener = socket.create_server(address, family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _failure(f"port {port} on {host} is taken; choose another with --port") from None
        raise _failure(f"cannot listen on {host} port {port}: {error}") from None
    with listener:
        yield listener


@contextlib.contextmanager
def _embedded(
    data_dir: Path | None, schema: str, os_user: str | None, address: str
) -> Iterator[LocalDatabase]:
    from eventstore.local import LocalDatabase  # noqa: PLC0415
    from eventstore.postgres.embedded import (  # noqa: PLC0415
        EmbeddedPostgres,
        EmbeddedPostgresError,
        default_data_dir,
    )

    log = logging.getLogger("eventstore.local")
    data_dir = data_dir or default_data_dir()
    server = EmbeddedPostgres(data_dir, os_user=os_user, on_progress=log.info)
    database = LocalDatabase(server, schema=schema, on_failure=_end_service(log))
    try:
        database.start()
    except EmbeddedPostgresError as error:
        raise _failure(str(error)) from None
    try:
        with _service_file(data_dir / "service.json", database, address):
            log.info("PostgreSQL %s in %s", server.major, data_dir)
            yield database
    finally:
        # A second signal must not leave the server half stopped.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        database.stop()


def _end_service(log: logging.Logger) -> Callable[[str], None]:
    def end(message: str) -> None:
        log.critical("%s; stopping", message)
        _failed.set()
        os.kill(os.getpid(), signal.SIGTERM)

    return end


@contextlib.contextmanager
def _service_file(path: Path, database: LocalDatabase, address: str) -> Iterator[None]:
    """Tell other commands where the service and its server are, while they run."""
    facts = {
        "url": address,
        "dsn": database.admin_dsn,
        "writer_dsn": database.service_dsn,
        "worker_dsn": database.worker_dsn,
        "pid": os.getpid(),
    }
    path.unlink(missing_ok=True)
    with open(path, "x", opener=_private, encoding="utf-8") as file:
        json.dump(facts, file)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _serve(
    store: EventStore,
    listener: socket.socket,
    address: str,
    hosts: list[str] | None,
    origins: list[str],
    app: App | None,
    worker_dsn: str,
    *,
    access_log: bool,
) -> None:
    """Serve until a signal, with the worker of the App's projections beside it."""
    from eventstore.cli.working import working  # noqa: PLC0415
    from eventstore_api import create_app  # noqa: PLC0415
    from eventstore_api.server import Server, server_config, settle_process  # noqa: PLC0415

    # Opened here and not in the lifespan, so that what is wrong is told in one line.
    async with store, contextlib.AsyncExitStack() as stack:
        config = server_config(
            create_app(store, app, manage=False, allow_hosts=hosts, allow_origins=origins),
            lifespan="off",
            log_config=None,
            access_log=access_log,
            timeout_graceful_shutdown=GRACE,
        )
        server = Server(config, end_followers=store.end_followers)
        settle_process()
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        logging.getLogger("eventstore").info(
            "serving %s (store %s, head %s) at %s - API at %s/docs",
            store.schema,
            store.store_id,
            (await store.head()).position,
            address,
            address,
        )
        store.start_following()
        if app is not None and (app.projections or app.reactors):
            # It ends after the requests, which may wait for what it does.
            await stack.enter_async_context(working(store, app, worker_dsn, on_end=server.stop))
        await server.serve(sockets=[listener])


def _printable(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
