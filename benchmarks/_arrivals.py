"""Arrivals at times that are fixed beforehand, whether or not what came before is answered.

So a side that stalls is charged for all that came in the meantime. The times are random, as those
of independent callers are, and the same in every run: arrivals in step would meet the store's own
intervals always at the same phase.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from time import perf_counter


def times(rate: float, count: int) -> list[float]:
    """Give `count` arrivals, in seconds from the start, on average `rate` a second."""
    draw = random.Random(count)
    return list(accumulate(draw.expovariate(rate) for _ in range(count)))


async def arrive(at: Sequence[float], arrived: Callable[[int, float], None]) -> None:
    """Call `arrived(number, due)` for each of these times; return after the last.

    A thread keeps the times: timers of the event loop are milliseconds late. `due` is when it
    should have been called.
    """
    loop = asyncio.get_running_loop()
    last: asyncio.Future[None] = loop.create_future()
    tick, ticked = os.pipe()
    start = perf_counter()
    number = 0

    def on_ticks() -> None:
        nonlocal number
        for _ in os.read(tick, 65_536):
            arrived(number, start + at[number])
            number += 1
        if number == len(at):
            last.set_result(None)

    def keep_time() -> None:
        for seconds in at:
            if (left := start + seconds - perf_counter()) > 0:
                time.sleep(left)
            os.write(ticked, b".")

    thread = threading.Thread(target=keep_time, daemon=True)
    loop.add_reader(tick, on_ticks)
    thread.start()
    try:
        await last
    finally:
        loop.remove_reader(tick)
    thread.join()
    os.close(tick)
    os.close(ticked)
