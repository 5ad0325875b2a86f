"""The load process of followers: it appends at fixed times, and follows, on one clock.

It is asked line by line: `[question, argument, ...]` as JSON, each answered by a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import Any, Final, Literal, Self

import asyncpg

from eventstore import EventData, EventStore

from ._arrivals import arrive, times
from ._connections import Requests, SseFollower
from ._data import EVENT_TYPE, STREAMS, json_text, payload, stream_name
from ._meter import PATIENCE, Latency, Meter, Taken
from ._process import command, environment
from ._rounds import run
from ._server import Database

_ABREAST: Final = 100
"""Followers that connect at the same time."""
_CHANNEL: Final = "eventstore_bench"
_LINE: Final = 1 << 24


class Load:
    """A load process. Use as `async with Load() as load`."""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *command("_following"),
            env=environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stdin.close()
        await self._process.wait()

    @property
    def _stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None
        return self._process.stdin

    async def _ask(self, question: str, *arguments: object) -> Any:
        assert self._process.stdout is not None
        self._stdin.write(json.dumps([question, *arguments]).encode() + b"\n")
        async with asyncio.timeout(2 * PATIENCE):
            answer = await self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the load process failed; see above")
        return json.loads(answer)

    async def follow_service(self, port: int, paths: Sequence[str]) -> None:
        """Follow each of these paths over SSE, until caught up and from then on."""
        await self._ask("follow_service", port, list(paths))

    async def follow_library(self, at: Database) -> None:
        """Follow everything that comes by EventStore.follow."""
        await self._ask("follow_library", at.dsn, at.schema)

    async def listen(self, at: Database) -> None:
        """Listen by hand, on a bare connection."""
        await self._ask("listen", at.dsn, at.schema)

    async def append(
        self,
        to: int | Literal["library", "hand"],
        *,
        rate: float | None,
        count: int,
        followers: int = 1,
        streams: int = STREAMS,
    ) -> Taken:
        """Append so many events to so many streams, each to be delivered to so many followers.

        `to` is a service's port, the library's store, or INSERT and NOTIFY by hand. `rate` is in
        events a second, None for all at once.
        """
        sent, acknowledged, *rest = await self._ask("append", to, rate, count, followers, streams)
        return Taken(Latency(*sent), Latency(*acknowledged), *rest)


class _Loaded:
    """What the process answers with."""

    def __init__(self, closing: AsyncExitStack) -> None:
        self._closing = closing
        self._meter: Meter | None = None
        self._number = 0
        self._appends: dict[int, Requests] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def _delivered(self, positions: Sequence[int], now: float) -> None:
        if self._meter is not None:
            self._meter.delivered(positions, now)

    def _failed(self, error: BaseException) -> None:
        if self._meter is not None:
            self._meter.fail(error)

    async def follow_service(self, port: int, paths: list[str]) -> None:
        loop = asyncio.get_running_loop()
        for low in range(0, len(paths), _ABREAST):
            made = await asyncio.gather(
                *[
                    loop.create_connection(
                        partial(SseFollower, path, self._delivered, self._failed),
                        "127.0.0.1",
                        port,
                    )
                    for path in paths[low : low + _ABREAST]
                ]
            )
            for _, follower in made:
                await follower.caught_up

    async def follow_library(self, dsn: str, schema: str) -> None:
        self._store = await self._closing.enter_async_context(EventStore(dsn, schema=schema))
        events = self._store.follow(after=(await self._store.head()).position)
        self._tasks.append(asyncio.create_task(self._follow(events)))

    async def _follow(self, events: AsyncIterator[Any]) -> None:
        try:
            async for event in events:
                self._delivered((event.position,), perf_counter())
        except Exception as error:
            self._failed(error)
            raise

    async def listen(self, dsn: str, schema: str) -> None:
        self._pool = await self._closing.enter_async_context(
            asyncpg.create_pool(dsn, min_size=8, max_size=8)
        )
        await self._pool.execute(
            f"CREATE TABLE IF NOT EXISTS {schema}.bare_notified (position bigint "
            "GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream_name text, data jsonb)"
        )
        self._insert = (
            f"INSERT INTO {schema}.bare_notified (stream_name, data) VALUES ($1, $2)"
            " RETURNING position"
        )
        connection = await self._closing.enter_async_context(_connected(dsn))
        await connection.add_listener(
            _CHANNEL, lambda *heard: self._delivered((int(heard[3]),), perf_counter())
        )

    async def append(
        self, to: int | str, rate: float | None, count: int, followers: int, streams: int
    ) -> Taken:
        self._meter = meter = Meter(count, count * followers)
        send = await self._sender(to)
        first, self._number = self._number, self._number + count

        def arrived(number: int, due: float) -> None:
            meter.due(number, due)
            send((first + number) % streams, lambda position: meter.acknowledged(number, position))

        if rate is None:
            for number in range(count):
                arrived(number, perf_counter())
        else:
            await arrive(times(rate, count), arrived)
        return await meter.taken()

    async def _sender(self, to: int | str) -> Callable[[int, Callable[[int], None]], None]:
        if isinstance(to, int):
            if to not in self._appends:
                self._appends[to] = Requests(self._failed)
                await self._appends[to].open(to)
            return self._appends[to].send
        by = self._by_library if to == "library" else self._by_hand
        under_way: set[asyncio.Task[None]] = set()

        def send(number: int, answered: Callable[[int], None]) -> None:
            task = asyncio.create_task(by(number, answered))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

        return send

    async def _by_library(self, number: int, answered: Callable[[int], None]) -> None:
        event = EventData(EVENT_TYPE, payload(number))
        try:
            answered((await self._store.append(stream_name(number), event)).position)
        except Exception as error:
            self._failed(error)
            raise

    async def _by_hand(self, number: int, answered: Callable[[int], None]) -> None:
        try:
            async with self._pool.acquire() as connection:
                position: int = await connection.fetchval(
                    self._insert, stream_name(number), json_text(payload(number))
                )
                answered(position)
                await connection.fetchval("SELECT pg_notify($1, $2)", _CHANNEL, str(position))
        except Exception as error:
            self._failed(error)
            raise


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _answer() -> None:
    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader(limit=_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    async with AsyncExitStack() as closing:
        loaded = _Loaded(closing)
        while line := await questions.readline():
            question, *arguments = json.loads(line)
            print(json.dumps(await getattr(loaded, question)(*arguments)), flush=True)
            gc.collect()


def main() -> int:
    """Answer until nobody asks any more."""
    gc.disable()  # the load's own pauses are not to be measured
    with contextlib.suppress(KeyboardInterrupt):
        run(_answer())
    return 0


if __name__ == "__main__":
    sys.exit(main())
