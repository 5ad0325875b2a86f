"""New event ids: UUIDv7 (RFC 9562), so that the unique index grows at its end."""

from __future__ import annotations

import os
import time


def new_event_ids(count: int) -> list[str]:
    """Give `count` new UUIDv7 as text: 48 bits of milliseconds, then 72 random bits."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    prefix = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    random = os.urandom(9 * count).hex()
    # The variant's two bits are 10 and the next two 0, so that its digit is always 8.
    return [
        f"{prefix}{random[i : i + 3]}-8{random[i + 3 : i + 6]}-{random[i + 6 : i + 18]}"
        for i in range(0, 18 * count, 18)
    ]
