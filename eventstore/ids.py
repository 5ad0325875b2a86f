"""New event ids: UUIDv7 (RFC 9562), so that the unique index grows at its end."""

from __future__ import annotations

import os
import time
from typing import Final

_REFILL: Final = 256
_random: Final[list[str]] = []
"""Random ends of ids, made many at a time; each is used once. `list.pop` is atomic."""


def new_event_ids(count: int) -> list[str]:
    """Give `count` new UUIDv7 as text: 48 bits of milliseconds, then 72 random bits."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    prefix = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    if count == 1:
        try:
            return [prefix + _random.pop()]
        except IndexError:
            _random.extend(_ends(_REFILL))
    return [prefix + end for end in _ends(count)]


def _ends(count: int) -> list[str]:
    random = os.urandom(9 * count).hex()
    # The variant's two bits are 10 and the next two 0, so that its digit is always 8.
    return [
        f"{random[i : i + 3]}-8{random[i + 3 : i + 6]}-{random[i + 6 : i + 18]}"
        for i in range(0, 18 * count, 18)
    ]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.clear)  # else both processes would use them
