"""`eventstore doctor`: what is well, what is not, and what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import out, write_json
from eventstore.cli.target import hide_passwords
from eventstore.cli.where import resolve_database, schema_of

if TYPE_CHECKING:
    from eventstore.postgres.doctor import Finding

_STYLES = {"ok": "green", "warn": "yellow", "bad": "red"}


def doctor(
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the database (or, with --url, at the service) and say what to do.

    Each row is ok, warn or bad; exit code 1 if one is bad. Without options:
    the database of the 'eventstore serve' that runs on this machine.

    \b
    eventstore doctor
    eventstore doctor --dsn postgresql://postgres@db/shop
    eventstore doctor --url http://events.internal:2113 --json
    """
    findings = _findings(url, dsn, schema, data_dir)
    if as_json:
        write_json([finding._asdict() for finding in findings])
    else:
        _print(findings)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _findings(
    url: str | None, dsn: str | None, schema: str | None, data_dir: Path | None
) -> list[Finding]:
    environ = os.environ
    names_database = dsn or data_dir or environ.get("EVENTSTORE_DSN")
    if url is not None or (environ.get("EVENTSTORE_URL") and not names_database):
        return of_service(str(target_of(dsn, url, schema, data_dir).url))
    from eventstore.postgres.doctor import examine  # noqa: PLC0415 - imports the driver

    database = resolve_database(dsn, schema, data_dir, environ)
    return examine(database.dsn, schema=schema_of(schema, environ))


def of_service(url: str) -> list[Finding]:
    """Look at a service from outside: does it answer, and does it say that it is ready."""
    import httpx  # noqa: PLC0415

    from eventstore.postgres.doctor import Finding, of_latency  # noqa: PLC0415

    try:
        with httpx.Client(base_url=url, timeout=10) as http:
            root = http.get("/")
            started = time.perf_counter()
            ready = http.get("/health/ready")
            took = time.perf_counter() - started
    except (httpx.TransportError, httpx.InvalidURL) as error:
        return [Finding("service", "bad", f"no answer: {error}", "start it: eventstore serve")]
    try:
        facts, health = root.json(), ready.json()
        store = f"{url}: eventstore {facts['version']}, store {facts['store_id']}"
        head = f"position {facts['head']}, epoch {facts['epoch']}"
        status, reasons = health["status"], "; ".join(health["reasons"])
    except (ValueError, KeyError, TypeError):
        return [Finding("service", "bad", f"{url} is not an event store", "check the URL")]
    advice = "look at its database: eventstore doctor --dsn ..."
    return [
        Finding("service", "ok", store),
        Finding("ready", "ok", "yes")
        if status == "ready"
        else Finding("ready", "warn" if ready.is_success else "bad", reasons or status, advice),
        Finding("head", "ok", head),
        of_latency(took),
    ]


def _print(findings: list[Finding]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        state = Text(finding.state, style=_STYLES[finding.state])
        advice = f"\n-> {finding.advice}" if finding.advice else ""
        table.add_row(state, finding.name, Text(hide_passwords(finding.value + advice)))
    out().print(table)
