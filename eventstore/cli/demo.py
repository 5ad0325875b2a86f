"""`eventstore demo`: a shop on a store of its own, shown step by step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

import eventstore
from eventstore.cli.local import SERVICE_FILE
from eventstore.cli.output import out
from eventstore.cli.programs import Program
from eventstore.core.errors import EventStoreError

_FIXED: Final = '.replace(",", ".")'
"""What the shop's first release lacks: a comma in an amount is an error to it."""


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running until Ctrl-C, to look around in.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
) -> None:
    """Show a shop on an event store, step by step, in less than a minute.

    \b
    eventstore demo
    eventstore demo --keep      then look around with curl, psql and tail

    It runs a service, a private PostgreSQL and a worker in a temporary folder
    that is removed in the end; nothing else on this machine is touched. The
    exit code is 0 if everything was as it says.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with _folder() as folder:
        _show(folder, port, keep=keep)


def _interrupt(_number: int, _frame: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # what runs is ended in order, however often one asks
    raise KeyboardInterrupt


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder, which as root the private server's OS user may enter; remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="eventstore-demo-") as name:
        folder = Path(name).resolve()
        if os.geteuid() == 0:
            folder.chmod(0o711)
        yield folder


def _show(folder: Path, port: int, *, keep: bool) -> None:
    began = time.monotonic()
    app, data = folder / "app", folder / "data"
    shutil.copytree(_shop(), app / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    money = app / "shop" / "money.py"
    release = money.read_text(encoding="utf-8")
    if release.count(_FIXED) != 1:
        raise EventStoreError(f"the demo and {money.name} of the shop do not fit together")
    money.write_text(release.replace(_FIXED, ""), encoding="utf-8")
    sys.path.insert(0, str(app))
    from eventstore.cli.tour import Tour  # noqa: PLC0415 - imports the shop, and the drivers

    with ExitStack() as programs:
        out().print("A service, a PostgreSQL of its own and a worker are being started ...")
        options = ("--data-dir", str(data), "--port", str(port))
        service = programs.enter_context(
            Program("serve", *options, ready=" at http://", log=folder / "serve.log", cwd=folder)
        )

        def worker() -> Program:
            return Program(
                *("worker", "shop:app", "--data-dir", str(data)),
                ready=" now runs ",
                log=folder / "worker.log",
                cwd=app,
            )

        facts = json.loads((data / SERVICE_FILE).read_text(encoding="utf-8"))
        with Tour(facts["url"], facts["dsn"], data) as tour:
            with worker():
                tour.first_release()
            tour.fix(release, money)
            programs.enter_context(worker())
            tour.second_release()
            tour.end(time.monotonic() - began)
        if keep:
            with suppress(KeyboardInterrupt):
                tour.look_around(app)
                service.wait()
            typer.echo("\nEverything is being ended, and the folder removed.")


def _shop() -> Path:
    """Find the example: in the wheel, else in the checkout."""
    package = Path(eventstore.__file__).parent
    for folder in (package / "_examples" / "shop", package.parent / "examples" / "shop" / "shop"):
        if folder.is_dir():
            return folder
    raise EventStoreError(f"the shop is not at {folder}: install eventstore again")
