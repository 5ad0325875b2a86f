"""What commands print: consoles, progress, and events for people."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from eventstore.core.events import RecordedEvent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_COLOURS: Final = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_green")
_WIDEST: Final = 40
_PIPE_WIDTH: Final = 1_000
_PROGRESS_EVERY: Final = 200
"""Events between two updates of a progress bar."""


def out() -> Console:
    """Give standard output. Lines are cut to a terminal's width, and left whole in a pipe."""
    from rich.console import Console  # noqa: PLC0415 - keeps --json and --help fast

    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def err() -> Console:
    """Give standard error."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False, emoji=False, markup=False, soft_wrap=True)


class EventLines:
    """Events as aligned lines; a column widens when something longer comes."""

    def __init__(self) -> None:
        self._stream_width = 16
        self._type_width = 16

    def line(self, event: RecordedEvent) -> Text:
        """Give one event: position, time (UTC), stream and revision, type, tags, data."""
        from rich.text import Text  # noqa: PLC0415

        where = f"{event.stream_name}@{event.revision}"
        self._stream_width = max(self._stream_width, min(len(where), _WIDEST))
        self._type_width = max(self._type_width, min(len(event.event_type), _WIDEST))
        time = event.recorded_at.astimezone(UTC).isoformat(" ", "milliseconds")[:23]
        line = Text(no_wrap=True)
        line.append(f"{event.position:>8}  ", style="bold")
        line.append(f"{time}Z  ", style="dim")
        line.append(f"{where:<{self._stream_width}}  ")
        line.append(f"{event.event_type:<{self._type_width}}  ", style=colour(event.event_type))
        if event.tags:
            line.append(" ".join(f"#{tag}" for tag in event.tags) + "  ", style="dim cyan")
        line.append(event.data_json, style="dim")
        return line


def colour(event_type: str) -> str:
    """Give a type its colour: the same one every time."""
    return _COLOURS[zlib.crc32(event_type.encode()) % len(_COLOURS)]


Advance = Callable[[int, int], None]
"""Tell a progress bar what is done (in its total's unit), and how many events that is."""


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """Show a bar with rate and time left on standard error, if that is a terminal."""
    console = err()
    if not console.is_terminal:
        yield lambda _done, _events: None
        return
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %" if total else ""),
        TextColumn("{task.fields[events]:,} events, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn() if total else TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=total, events=0, rate=0.0)

        def advance(done: int, events: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0
            rate = events / elapsed if elapsed > 0 else 0.0
            bar.update(task, completed=done, events=events, rate=rate)

        yield advance


def every(events: int) -> bool:
    """Tell whether a progress bar is due an update after so many events."""
    return events % _PROGRESS_EVERY == 0


def write_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    write_line(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def write_line(text: str) -> None:
    """Print a line in UTF-8, as JSON is, whatever the terminal's encoding."""
    sys.stdout.buffer.write(f"{text}\n".encode())
