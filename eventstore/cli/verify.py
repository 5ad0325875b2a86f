"""`eventstore verify`: whether the log is what it promises to be."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import counted, every, out, progress, write_json
from eventstore.cli.target import Target, opened
from eventstore.core.history import EVENT_IDS, KEPT_VIOLATIONS, LOG_CHECKS, History

NEWEST_IDS: Final = 100_000
"""Event ids that are remembered where there is no database to ask: some 20 MB."""


class Check(NamedTuple):
    """One check: what must hold, how often it does not, and the first few cases."""

    check: str
    violations: int
    examples: list[str]


def verify(
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the whole log and check its promises; exit code 1 if one is broken.

    Positions dense from 1, revisions dense in each stream, event ids unique,
    times there, tags in order. With --dsn also what only the database knows:
    the tag index, the triggers that refuse changes, indexes, and who may write.
    Through a service, ids are compared with the last 100,000 only.
    Memory: one number a stream.

    \b
    eventstore verify
    eventstore verify --dsn postgresql://postgres@db/shop --json
    """
    target = target_of(dsn, url, schema, data_dir)
    history = asyncio.run(_history(target))
    checks = [
        Check(
            name,
            history.counts[name],
            [problem for check, problem in history.violations if check == name],
        )
        for name in LOG_CHECKS
        if target.dsn is None or name != EVENT_IDS
    ]
    if target.dsn is not None:
        from eventstore.postgres.integrity import examine  # noqa: PLC0415 - imports the driver

        checks += [Check(*found) for found in examine(target.dsn, schema=target.schema)]
    _print(history, checks, as_json=as_json)
    if any(check.violations for check in checks):
        raise typer.Exit(1)


async def _history(target: Target) -> History:
    history = History(newest_ids=NEWEST_IDS if target.dsn is None else 0)
    async with opened(target) as store:
        head = (await store.head()).position
        with progress("verifying", head or 1) as advance:
            async for event in store.read(before=head + 1):
                history.feed(event)
                if every(history.events):
                    advance(history.events, history.events)
        history.end(head)
    return history


def _print(history: History, checks: list[Check], *, as_json: bool) -> None:
    broken = sum(check.violations for check in checks)
    if as_json:
        write_json(
            {
                "ok": not broken,
                "events": history.events,
                "streams": history.streams,
                "checks": [check._asdict() for check in checks],
            }
        )
        return
    from rich.table import Table  # noqa: PLC0415

    console = out()
    table = Table("check", "violations", box=None, pad_edge=False)
    for check in checks:
        style = "red" if check.violations else "green"
        table.add_row(check.check, f"{check.violations:,}", style=style)
    console.print(table)
    for check in checks:
        for problem in check.examples:
            console.print(f"{check.check}: {problem}", style="red", soft_wrap=True)
        if check.violations > len(check.examples) >= KEPT_VIOLATIONS:
            console.print(f"{check.check}: and {check.violations - len(check.examples):,} more")
    verdict = counted(broken, "violation") if broken else "all well"
    seen = f"{counted(history.events, 'event')}, {counted(history.streams, 'stream')}"
    console.print(f"{seen}: {verdict}")
