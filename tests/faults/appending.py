"""A process that appends for ever and says what was acknowledged: to be killed by a test.

Each line on stdout is one acknowledged append as JSON, written before the next is begun. Another
process of the same `run` repeats the last append of each writer first: it may be stored already.
"""

from __future__ import annotations

import asyncio
import json
import sys

from eventstore import Append, EventData, EventStore

WRITERS = 6


async def writer(store: EventStore, run: str, number: int, begin: int) -> None:
    """Append one numbered batch after the other, to a stream of its own and to a shared one."""
    n = begin
    while True:
        for answer in await store.append_many(
            [
                Append(f"own-{number}", [EventData("T", n)] * (n % 3 + 1)),
                Append("shared", [EventData("T", [number, n])]),
            ],
            idempotency_key=f"{run} {number} {n}",
        ):
            print(json.dumps([number, n, answer]), flush=True)
        n += 1


async def main(dsn: str, run: str, begins: list[int]) -> None:
    """Start the writers, each where it was."""
    async with EventStore(dsn) as store:
        await asyncio.gather(*[writer(store, run, n, begins[n]) for n in range(WRITERS)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
