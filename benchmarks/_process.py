"""Processes of a benchmark's own modules: the sides must not share an interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

PACKAGE: Final = __package__ or "benchmarks"
"""`benchmarks` in the checkout, `eventstore._benchmarks` in the wheel."""


def command(module: str, *arguments: str) -> list[str]:
    """Give the command line that runs a module of this package."""
    return [sys.executable, "-m", f"{PACKAGE}.{module}", *arguments]


def environment() -> dict[str, str]:
    """Give an environment in which it finds what this process finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}


def memory(pid: int) -> float:
    """Give the KiB of memory that a process has (its resident set). Linux only."""
    [line] = [
        line
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmRSS:")
    ]
    return float(line.split()[1])


def processor_time(pid: int) -> float:
    """Give the seconds that a process has had a processor, in hundredths. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
