"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

FIRST_DELAY = 0.05
"""Seconds, on average, before the first retry."""
LONGEST_DELAY = 2.0
"""Seconds, on average, between later ones."""


def delays(uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Give seconds to wait before each retry: doubled each time up to a limit, then the same.

    Each is drawn from half to one and a half times that, so that many clients who lost the same
    service do not come back in step.
    """
    delay = FIRST_DELAY
    while True:
        yield delay * uniform(0.5, 1.5)
        delay = min(2 * delay, LONGEST_DELAY)
