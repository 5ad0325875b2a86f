"""`eventstore demo`: a shop on a store of its own, shown step by step."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

import eventstore
from eventstore.cli.local import SERVICE_FILE
from eventstore.cli.output import out
from eventstore.cli.programs import Program
from eventstore.core.errors import EventStoreError


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

    It runs a service with a worker, a private PostgreSQL and a small mail
    server, in a temporary folder that is removed in the end; nothing else on
    this machine is touched. The exit code is 0 if everything was as it says.
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
    data = folder / "data"
    home = _shop()
    sys.path.insert(0, str(home))
    from eventstore.cli.tour import Tour  # noqa: PLC0415 - imports the drivers
    from shop.mail_server import MailServer  # noqa: PLC0415

    with ExitStack() as programs:
        out().print(
            "A service with a PostgreSQL of its own and a mail server are being started ..."
        )
        mail_server = programs.enter_context(MailServer())
        options = ("--app", "shop:app", "--data-dir", str(data), "--port", str(port))
        service = programs.enter_context(
            Program(
                *("serve", *options),
                ready=" now runs reactor letters",  # the last of what it runs
                log=folder / "serve.log",
                cwd=home,
                env={"SHOP_MAIL_URL": mail_server.url},
            )
        )
        url = json.loads((data / SERVICE_FILE).read_text(encoding="utf-8"))["url"]
        with Tour(url, data, mail_server.url) as tour:
            tour.show()
            tour.end(time.monotonic() - began)
            if keep:
                with suppress(KeyboardInterrupt):
                    tour.look_around(home / "shop")
                    service.wait()
                typer.echo("\nEverything is being ended, and the folder removed.")


def _shop() -> Path:
    """Find the folder that the example is in: in the wheel, else in the checkout."""
    package = Path(eventstore.__file__).parent
    for folder in (package / "_examples", package.parent / "examples" / "shop"):
        if (folder / "shop").is_dir():
            return folder
    raise EventStoreError(f"the shop is not in {folder}: install eventstore again")
