"""What commands print: consoles, progress, and events for people."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, Literal

from eventstore.core.events import RecordedEvent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

COLOURS: Final = tuple(f"color({number})" for number in (27, 28, 31, 64, 99, 130, 133, 161))
"""Colours of event types: as readable on black as on white."""
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters and line ends, and what changes the direction of the text around it."""
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

    def __init__(self, *, local_time: bool = False) -> None:
        """Times are in UTC and whole, or the computer's own without the year."""
        self._local_time = local_time
        self._stream_width = 16
        self._type_width = 16

    def line(self, event: RecordedEvent, *, most: int | None = None) -> Text:
        """Give one event: position, time, stream and revision, type, tags, data.

        No more than `most` characters of the data are looked at (None: all).
        """
        from rich.text import Text  # noqa: PLC0415

        where = harmless(f"{event.stream_name}@{event.revision}")
        event_type = harmless(event.event_type)
        self._stream_width = max(self._stream_width, min(len(where), _WIDEST))
        self._type_width = max(self._type_width, min(len(event_type), _WIDEST))
        line = Text()
        line.append(f"{event.position:>8}  ", style="bold")
        line.append(f"{self._time(event)}  ", style="dim")
        line.append(f"{where:<{self._stream_width}}  ")
        line.append(f"{event_type:<{self._type_width}}  ", style=colour(event.event_type))
        if event.tags:
            tags = " ".join(f"#{tag}" for tag in event.tags)
            line.append(f"{harmless(tags)}  ", style="dim cyan")
        line.append(harmless(event.data_json[:most]), style="dim")
        return line

    def _time(self, event: RecordedEvent) -> str:
        if self._local_time:
            return event.recorded_at.astimezone().strftime("%m-%d %H:%M:%S")
        return event.recorded_at.astimezone(UTC).isoformat(" ", "milliseconds")[:23] + "Z"


def event_printer(*, as_json: bool, live: bool = False) -> Callable[[RecordedEvent], None]:
    """Give what prints an event on standard output, for people or as a line of JSON.

    `live` is for who watches: each event is handed over at once, with local time.
    """
    if as_json:
        from eventstore.client.wire import encode_event  # noqa: PLC0415

        def write(event: RecordedEvent) -> None:
            write_line(encode_event(event))
            if live:
                sys.stdout.buffer.flush()

        return write
    console = out()
    lines = EventLines(local_time=live)
    cut = console.is_terminal
    overflow: Literal["ellipsis", "ignore"] = "ellipsis" if cut else "ignore"

    def show(event: RecordedEvent) -> None:
        line = lines.line(event, most=console.width if cut else None)
        console.print(line, no_wrap=True, overflow=overflow, crop=cut)

    return show


@contextmanager
def ending_with_the_reader() -> Iterator[None]:
    """End the block with BrokenPipeError as soon as nobody reads standard output any more.

    A write would tell, but it may be long until there is something to write.
    """
    pipe = sys.stdout.fileno()
    task = asyncio.current_task()
    if task is None or not stat.S_ISFIFO(os.fstat(pipe).st_mode):
        yield
        return
    loop = asyncio.get_running_loop()
    gone = False

    def end() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(pipe)
        task.cancel()

    loop.add_reader(pipe, end)  # the end that is written to becomes readable when it is broken
    try:
        yield
    except asyncio.CancelledError:
        if gone:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
        raise
    finally:
        loop.remove_reader(pipe)


def colour(event_type: str) -> str:
    """Give a type its colour: the same one every time."""
    return COLOURS[zlib.crc32(event_type.encode()) % len(COLOURS)]


def harmless(text: str) -> str:
    """Escape what a terminal would obey instead of show, as JSON does."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def counted(count: int, noun: str) -> str:
    """Give a number and what it counts: 1 event, 2,000 events."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def one_line(text: str) -> str:
    """Give a text of several lines as one, harmless."""
    return harmless(" ".join(text.split()))


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
        TextColumn("{task.fields[events]}, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn() if total else TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=total, events=counted(0, "event"), rate=0.0)

        def advance(done: int, events: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0
            rate = events / elapsed if elapsed > 0 else 0.0
            bar.update(task, completed=done, events=counted(events, "event"), rate=rate)

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
