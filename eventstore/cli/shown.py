"""How far a version of a projection is: a bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from eventstore.cli.output import counted, err

if TYPE_CHECKING:
    from eventstore.core.catalog import ProjectionStatus

LINE: Final = 5.0
"""Seconds between two lines where there is no terminal."""

Show = Callable[["ProjectionStatus"], None]


@contextmanager
def building(title: str) -> Iterator[Show]:
    """Show on standard error how far it is, at which rate, and how long it still takes."""
    console = err()
    began = time.monotonic()
    first: ProjectionStatus | None = None
    if console.is_terminal:
        from rich.progress import (  # noqa: PLC0415 - only where it is needed
            BarColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=console,
        )
        with bar:
            task = bar.add_task(title, total=0, rate=0.0)

            def draw(now: ProjectionStatus) -> None:
                nonlocal first
                first = first or now
                rate = _rate(first, now, time.monotonic() - began)
                bar.update(task, completed=now.checkpoint, total=now.head, rate=rate)

            yield draw
        return
    told_at = began - LINE
    told = ""

    def tell(now: ProjectionStatus) -> None:
        nonlocal first, told_at, told
        first = first or now
        is_there = now.checkpoint >= now.head
        if is_there or time.monotonic() - told_at >= LINE:
            line = progress_line(title, now, _rate(first, now, time.monotonic() - began))
            if line != told:
                console.print(line)
            told_at, told = time.monotonic(), line

    yield tell


def progress_line(title: str, now: ProjectionStatus, rate: float) -> str:
    """Say how far it is, at which rate (events a second), and how long it still takes."""
    share = 100 * now.checkpoint // now.head if now.head else 100
    line = f"{title}: {now.checkpoint:,} of {counted(now.head, 'event')}, {share} %"
    if rate > 0:
        line += f", {rate:,.0f}/s"
        if now.lag_events:
            line += f", {now.lag_events / rate:,.0f} s left"
    return line


def _rate(first: ProjectionStatus, now: ProjectionStatus, seconds: float) -> float:
    return (now.checkpoint - first.checkpoint) / seconds if seconds > 0 else 0.0
