"""The event loop of processes that serve and work."""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable


def loop_factory() -> Callable[[], AbstractEventLoop] | None:
    """Give what makes the fastest loop that there is; None: asyncio's own."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop
