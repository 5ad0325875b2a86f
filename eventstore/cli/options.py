"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from eventstore.cli.target import DEFAULT_URL, Target
from eventstore.cli.where import resolve

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"A running service. Env: EVENTSTORE_URL. Default: of --data-dir, else {DEFAULT_URL}",
        rich_help_panel="Where",
    ),
]
DsnOption = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="DSN",
        help="The database itself: postgresql://user@host/database. Env: EVENTSTORE_DSN",
        rich_help_panel="Where",
    ),
]
SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema",
        metavar="NAME",
        help="With --dsn: the store's schema. Env: EVENTSTORE_SCHEMA. Default: eventstore",
        rich_help_panel="Where",
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The data directory of an 'eventstore serve' that runs here. "
        "Env: EVENTSTORE_DATA_DIR. Default: as serve has it",
        rich_help_panel="Where",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def target_of(
    dsn: str | None, url: str | None, schema: str | None, data_dir: Path | None = None
) -> Target:
    """Give what these options, or else the environment, name."""
    return resolve(dsn, url, schema, data_dir, os.environ)
