"""Appends from several connections, all the while, and what came of each of them.

Whatever is not answered is kept and sent again, by `finish`, as the same append. What is known of
each append, whether it was told as stored, told as not stored, or is unknown, is then compared with
the log by `check`.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from eventstore.core.append import Appended
from eventstore.core.backoff import delays
from tests.service.running import DEADLINE

HOT: Final = 3
"""Streams to which everybody appends."""
ANSWERED: Final = (200, 201, 412)
GONE: Final = (httpx.TransportError, AttributeError)
"""What the client raises when the service dies. AttributeError: of a connection that broke in the
very moment in which it was made, and that has no peer any more (anyio)."""


async def ticks(per_second: float) -> AsyncIterator[None]:
    """Tick by the clock; the ticks that were missed come at once."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        yield
        due += 1 / per_second
        await asyncio.sleep(due - loop.time())


@dataclass
class Request:
    """One append: sent, and sent again if need be."""

    path: str
    body: dict[str, Any] | list[dict[str, Any]]
    headers: dict[str, str] = field(default_factory=dict)
    marks: list[int] = field(default_factory=list)
    """Numbers that its events carry, and no others."""

    @property
    def can_be_repeated(self) -> bool:
        """Whether a second time would be the same append."""
        return "idempotency-key" in self.headers or "id" in str(self.body)


class Load:
    """Everything that was sent and told so far, over any number of rounds."""

    def __init__(self, seed: int, *, first_mark: int = 0) -> None:
        self.told: list[Appended] = []
        self.refused: list[int] = []
        """Marks of events of which a refusal said that they are not stored."""
        self.unknown: list[int] = []
        """Marks of events that were sent once and never answered."""
        self.unanswered: list[Request] = []
        self.seen: list[dict[str, Any]] = []
        """What a reader saw by polling, in the order in which it saw it."""
        self.news = asyncio.Event()
        """Set whenever something was answered."""
        self._ending = False
        self._heads: dict[str, int] = {}
        self._marks = first_mark
        self._random = random.Random(seed)

    def request(self, worker: int) -> Request:
        """Make up an append."""
        kind = self._random.choice(["plain", "key", "key", "ids", "several", "expected", "cold"])
        hot = f"hot-{self._random.randrange(HOT)}"
        key = {"idempotency-key": str(uuid.UUID(int=self._random.getrandbits(128)))}
        if kind == "plain":
            return self.events(hot, {}, 1)
        if kind == "cold":
            return self.events(f"cold-{self._marks}", key | {"if-none-match": "*"}, 2)
        if kind == "expected":
            head = self._heads.get(f"own-{worker}", 0)
            revision = max(0, head + self._random.choice([-1, 0, 0, 1]))
            return self.events(f"own-{worker}", key | {"if-match": f'"{revision}"'}, 1)
        if kind == "ids":
            made = self.events(hot, {}, 3)
            assert isinstance(made.body, list)
            for event in made.body:
                event["id"] = str(uuid.UUID(int=self._random.getrandbits(128)))
            return made
        if kind == "several":
            parts = [self.events(name, {}, 2) for name in (hot, f"own-{worker}")]
            appends = [
                {"stream": name, "events": part.body}
                for name, part in zip((hot, f"own-{worker}"), parts, strict=True)
            ]
            marks = [mark for part in parts for mark in part.marks]
            return Request("/appends", {"appends": appends}, key, marks)
        return self.events(hot, key, self._random.randint(1, 20))

    def events(self, stream: str, headers: dict[str, str], count: int) -> Request:
        """Make up an append of so many events."""
        marks = list(range(self._marks, self._marks + count))
        self._marks += count
        events = [{"type": "Marked", "data": {"mark": mark, "fill": "x" * 50}} for mark in marks]
        return Request(f"/streams/{stream}", events, headers, marks)

    def note(self, request: Request, answer: httpx.Response) -> bool:
        """Note an answer; tell whether it settles what became of the append."""
        assert answer.status_code in (*ANSWERED, 503), answer.text
        body = answer.json()
        if answer.status_code in (200, 201):
            replayed = answer.status_code == 200
            for one in body.get("appends", [body]):
                head = max(one["revision"], self._heads.get(one["stream"], 0))
                self._heads[one["stream"]] = head
                self.told.append(
                    Appended(
                        one["stream"],
                        one["first_revision"],
                        one["revision"],
                        one["position"],
                        tuple(one["event_ids"]),
                        replayed,
                    )
                )
            return True
        if answer.status_code == 412:
            self.refused += request.marks
            return True
        if not request.can_be_repeated and body["type"].endswith(":unavailable"):
            self.refused += request.marks
            return True
        return False

    @asynccontextmanager
    async def running(self, url: str, workers: int) -> AsyncIterator[None]:
        """Append and poll inside; in the end wait for what is under way."""
        self._ending = False
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE) as http:
            tasks = [asyncio.create_task(self._work(http, worker)) for worker in range(workers)]
            polling = asyncio.create_task(self._poll(http))
            try:
                yield
            finally:
                self._ending = True
                await asyncio.gather(*tasks)
                self.news.set()
                await polling

    async def until_told(self, more: int) -> None:
        """Wait until that many more appends are acknowledged."""
        target = len(self.told) + more
        async with asyncio.timeout(DEADLINE):
            while len(self.told) < target:
                self.news.clear()
                await self.news.wait()

    async def _work(self, http: httpx.AsyncClient, worker: int) -> None:
        while not self._ending:
            request = self.request(worker)
            try:
                answer = await self._send(http, request)
            except GONE:
                self._keep(request)
                return
            if not self.note(request, answer):
                self._keep(request)
            self.news.set()

    async def _send(self, http: httpx.AsyncClient, request: Request) -> httpx.Response:
        return await http.post(request.path, json=request.body, headers=request.headers)

    def _keep(self, request: Request) -> None:
        if request.can_be_repeated:
            self.unanswered.append(request)
        else:
            self.unknown += request.marks

    async def finish(self, url: str) -> int:
        """Send what is unanswered again, until each is answered; give how many were stored."""
        before = len(self.told)
        async with httpx.AsyncClient(base_url=url, timeout=DEADLINE) as http:
            while self.unanswered:
                request = self.unanswered.pop()
                answer = await self._send(http, request)
                if not self.note(request, answer):
                    self.unanswered.append(request)
        return len(self.told) - before

    async def write(
        self, http: httpx.AsyncClient, worker: int, per_second: float, over: asyncio.Event
    ) -> None:
        """Append so many times a second until it is over; some appends are sent again."""
        async for _ in ticks(per_second):
            if over.is_set():
                return
            request = self.request(worker)
            stored = await self.settle(http, request)
            if stored and request.can_be_repeated and self._random.random() < 0.2:
                assert await self.settle(http, request), "refused, though it is stored"

    async def settle(self, http: httpx.AsyncClient, request: Request) -> bool:
        """Send an append until it is known what became of it; tell whether it is stored.

        One that cannot be sent again is sent once, and may stay unknown.
        """
        for delay in delays():
            try:
                answer = await self._send(http, request)
            except GONE:
                settled = False
            else:
                settled = self.note(request, answer)
            if settled:
                return answer.is_success
            if not request.can_be_repeated:
                self.unknown += request.marks
                return False
            await asyncio.sleep(delay)
        raise AssertionError("delays never end")

    async def _poll(self, http: httpx.AsyncClient) -> None:
        """Read the log on from where the last poll ended, whenever something was answered."""
        after = self.seen[-1]["position"] if self.seen else 0
        while True:
            is_last = self._ending
            try:
                answer = await http.get("/events", params={"after": after, "limit": 1000})
            except GONE:
                return
            if answer.status_code == 200:
                events = answer.json()["events"]
                self.seen += events
                after = events[-1]["position"] if events else after
            else:
                assert answer.status_code == 503, answer.text
            if is_last:
                return
            await self.news.wait()
