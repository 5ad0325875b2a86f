"""What a process holds, second by second, and whether it grows."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.service.load import ticks
from tests.service.running import resident_bytes

MORE_FILES: Final = 8
"""Descriptors: connections to the database and from clients come and go."""
MORE_BYTES: Final = 8 << 20
"""What allocators keep, and a tail that is not full yet in a short run."""


class Vitals(NamedTuple):
    """What a process holds at a moment."""

    resident: int
    """Bytes of memory."""
    files: int
    """File descriptors."""

    def __str__(self) -> str:
        return f"{self.resident / (1 << 20):.0f} MiB, {self.files} files"


def vitals(pid: int) -> Vitals:
    """Look at a process."""
    return Vitals(resident_bytes(pid), len([*Path(f"/proc/{pid}/fd").iterdir()]))


async def watch(pid: int, samples: list[Vitals]) -> None:
    """Look at a process every second, for ever."""
    async for _ in ticks(1):
        samples.append(vitals(pid))  # noqa: PERF401 - it never ends


def growth(samples: list[Vitals]) -> list[str]:
    """Tell what a process holds more and more of; nothing if it stays as it is.

    Descriptors in the last third against the first one. Memory in the last third against the
    middle one: before that the caches fill. Medians, so that one peak is no growth.
    """
    third = len(samples) // 3
    assert third, "too short to tell"
    first, middle, last = samples[:third], samples[third:-third], samples[-third:]
    found = []
    files = median(s.files for s in last) - median(s.files for s in first)
    if files > MORE_FILES:
        found.append(f"{files:.0f} file descriptors more at the end than at the beginning")
    resident = median(s.resident for s in last) - median(s.resident for s in middle)
    if resident > MORE_BYTES:
        found.append(f"{resident / (1 << 20):.0f} MiB more at the end than in the middle")
    return found
