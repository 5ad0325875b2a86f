"""A process that appends with the library, next to a service, until its standard input ends.

The first line on stdout says that it is ready; each other is one answer as JSON: `{"told": ...}`,
or `{"refused": mark}` for an event that is not stored. Nothing is given up before it is known.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from eventstore import (
    NO_STREAM,
    Append,
    AppendCondition,
    Appended,
    ConditionFailed,
    EventData,
    EventQuery,
    EventStore,
    OutcomeUnknown,
    RevisionConflict,
    Unavailable,
)
from eventstore.core.backoff import delays
from tests.service.load import HOT, Load, ticks
from tests.service.running import environment

WRITERS = 4
NAMES = 2_000
"""Names that only one event may take, so that in a long run most are taken."""

Call = Callable[[], Awaitable[Appended]]


class Writer:
    """Appends of every kind, in a stream of its own and in those of everybody."""

    def __init__(self, store: EventStore, number: int, seed: int, first_mark: int) -> None:
        self._store = store
        self._own = f"library-{number}"
        self._head = -1
        self._marks = count(first_mark)
        self._choices = random.Random(seed)

    async def step(self) -> None:
        """Append once, and sometimes the same again."""
        mark = next(self._marks)
        call = self._choices.choice([self._ids, self._key, self._expected, self._condition])(mark)
        told = await settled(call)
        if told is None:
            print(json.dumps({"refused": mark}), flush=True)
            return
        print(json.dumps({"told": told}), flush=True)
        if self._choices.random() < 0.2:
            again = await settled(call)
            assert again is not None, "refused, though it is stored"
            print(json.dumps({"told": again}), flush=True)

    def _event(self, mark: int, *tags: str) -> EventData:
        return EventData("Marked", {"mark": mark}, event_id=uuid.uuid4(), tags=tags)

    def _ids(self, mark: int) -> Call:
        event = self._event(mark)
        return lambda: self._store.append(f"hot-{mark % HOT}", event)

    def _key(self, mark: int) -> Call:
        event = EventData("Marked", {"mark": mark})
        key = str(uuid.uuid4())
        return lambda: self._store.append(f"hot-{mark % HOT}", event, idempotency_key=key)

    def _expected(self, mark: int) -> Call:
        event = self._event(mark)
        head = self._head + self._choices.choice([0, 0, 1])
        expected = head if head >= 0 else NO_STREAM

        async def call() -> Appended:
            told = await self._store.append(self._own, event, expected_revision=expected)
            self._head = max(self._head, told.revision)
            return told

        return call

    def _condition(self, mark: int) -> Call:
        name = f"name:{self._choices.randrange(NAMES)}"
        append = Append(f"hot-{mark % HOT}", [self._event(mark, name)])
        condition = AppendCondition(EventQuery(tags=[name]))

        async def call() -> Appended:
            [told] = await self._store.append_many([append], condition=condition)
            return told

        return call


async def settled(call: Call) -> Appended | None:
    """Append until it is known what became of it; None if it is refused."""
    for delay in delays():
        try:
            return await call()
        except (RevisionConflict, ConditionFailed):
            return None
        except (Unavailable, OutcomeUnknown):
            await asyncio.sleep(delay)
    raise AssertionError("delays never end")


async def main(dsn: str, seed: int, first_mark: int, per_second: float) -> None:
    """Let the writers write."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)

    async def write(writer: Writer) -> None:
        async for _ in ticks(per_second / WRITERS):
            if over.is_set():
                return
            await writer.step()

    async with EventStore(dsn) as store:
        print("ready", flush=True)
        writers = [Writer(store, n, seed + n, first_mark + n * 10_000_000) for n in range(WRITERS)]
        await asyncio.gather(*map(write, writers))


@asynccontextmanager
async def library_writing(
    load: Load, dsn: str, *, seed: int, first_mark: int, per_second: float
) -> AsyncIterator[None]:
    """Run such a process, and note its answers with the load's."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.service.library_writer"),
        *(dsn, str(seed), str(first_mark), str(per_second)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    noting = asyncio.create_task(note(process.stdout, load))
    try:
        yield
        process.stdin.close()
        await noting
        assert await process.wait() == 0
    finally:
        noting.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def note(lines: asyncio.StreamReader, load: Load) -> None:
    """Note answers until there are no more."""
    async for line in lines:
        answer = json.loads(line)
        if "told" in answer:
            appended = Appended._make(answer["told"])
            load.told.append(appended._replace(event_ids=tuple(appended.event_ids)))
        else:
            load.refused.append(answer["refused"])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
