"""Processes of a benchmark's own modules: the sides must not share an interpreter."""

from __future__ import annotations

import os
import sys
from typing import Final

PACKAGE: Final = __package__ or "benchmarks"
"""`benchmarks` in the checkout, `eventstore._benchmarks` in the wheel."""


def command(module: str, *arguments: str) -> list[str]:
    """Give the command line that runs a module of this package."""
    return [sys.executable, "-m", f"{PACKAGE}.{module}", *arguments]


def environment() -> dict[str, str]:
    """Give an environment in which it finds what this process finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
