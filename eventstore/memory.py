"""Garbage collection of processes that handle many events at once."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER: Final = 50_000
"""Objects made and kept before the garbage collector looks for cycles. By default it is 700: an
event that wakes 2,000 followers, or a batch of 5,000 events, makes many times that, and what they
keep is gone through again and again."""


def settle_memory() -> None:
    """Prepare a process that is to do nothing but serve or work: call when everything is made.

    What is alive now stays, so the garbage collector need not look at it again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
