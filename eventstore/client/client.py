"""EventStoreClient: the store over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import httpx

from eventstore.applied import with_applied
from eventstore.catalog import ProjectionCatalog
from eventstore.client import calls
from eventstore.client.calls import PAGE, Call
from eventstore.client.commands import CommandAnswer, CommandBody
from eventstore.client.following import Following
from eventstore.client.retry import NOT_AN_ANSWER, Attempts
from eventstore.client.transport import (
    checked_headers,
    checked_url,
    for_calls,
    for_following,
    without_login,
)
from eventstore.client.wire import CUT_SHORT, EventLines, stream_path
from eventstore.consumers import BATCH, ConsumerCatalog
from eventstore.core.append import Append, Appended, AppendRequest, EncodedAppend
from eventstore.core.catalog import Question
from eventstore.core.delivery import Delivery
from eventstore.core.errors import NotFound, ProjectionBehind, Unavailable
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.limits import NO_LIMITS
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.reads import Direction, LogHead, NameCount, StreamHead, log_scan, stream_scan
from eventstore.core.readtables import TablePage, TableQuery
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.member import Member
from eventstore.requests import request_encoded, request_many, request_one

T = TypeVar("T")


class EventStoreClient:
    """A store that a service at `url` serves. Use as `async with EventStoreClient(url) as store`.

    Same verbs, arguments, answers and errors as EventStore. Safe to share between tasks.

    What fails in passing (no connection, a broken one, a service that is overloaded or starts
    again) is tried again for `retry_for` seconds, 0 for never, each time with a warning of the
    logger `eventstore.client`. Every append carries its event ids, made here unless given, so that
    a retry is the same append and stores nothing twice.
    `headers` go with every request, e.g. `{"Authorization": "Bearer ..."}` for what is in front of
    the service. `transport` is httpx's, for tests and unusual networks.
    """

    def __init__(
        self,
        url: str,
        *,
        retry_for: float = 15.0,
        headers: Mapping[str, str] = MappingProxyType({}),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = checked_url(url)
        self._shown = without_login(self.url)
        own = checked_headers(headers)
        self.limits = NO_LIMITS  # how much is too much is the service's to say
        self._retry_for = retry_for
        self._http = httpx.AsyncClient(**for_calls(self.url, own), transport=transport)
        self._following = httpx.AsyncClient(**for_following(self.url, own), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Safe to call again."""
        await self._http.aclose()
        await self._following.aclose()

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> Appended:
        """Append one event or several to a stream, all or nothing; return when they are on disk.

        A retry with the same event ids or the same `idempotency_key` stores nothing and gives the
        first answer, whatever it expects.

        With `wait_for`, a projection, it then waits until that has applied it, at most `timeout`
        seconds (default 5): read tables show it. If it has not, whatever the reason, the append is
        stored all the same, and `unapplied` of the answer says why. An unknown projection raises
        NotFound, and nothing is stored.

        Raises RevisionConflict, DuplicateEventId, InvalidInput,
        Unavailable (nothing stored), or OutcomeUnknown (retry with the same ids or key).
        """
        request = request_one(
            stream_name,
            events,
            expected_revision,
            idempotency_key=idempotency_key,
            limits=self.limits,
        )
        return (await self._append(request, wait_for, timeout))[0]

    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing; one answer for each append.

        With `condition`, only if nothing that it excludes has been stored: raises ConditionFailed
        otherwise. A stream may be named again if the later append expects ANY. Otherwise as
        `append`.
        """
        request = request_many(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )
        return await self._append(request, wait_for, timeout)

    def request(
        self,
        appends: Sequence[EncodedAppend],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
    ) -> AppendRequest:
        """Make one request of checked appends, with ids for every event."""
        return request_encoded(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )

    async def _append(
        self,
        request: AppendRequest,
        wait_for: str | None,
        timeout: float,  # noqa: ASYNC109
    ) -> tuple[Appended, ...]:
        if wait_for is None:
            return await self.append_request(request)
        deadline = time.monotonic() + timeout
        appended = await self._call(calls.append(request, wait_for=wait_for, seconds=timeout))
        left = deadline - time.monotonic()
        if isinstance(appended[0].unapplied, ProjectionBehind) and left > 0:
            return await with_applied(self.wait_for, wait_for, appended, left)
        return appended

    async def append_request(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Append a request that is checked already."""
        return await self._call(calls.append(request))

    async def command(
        self,
        decider: str,
        command: str,
        data: Any = MappingProxyType({}),
        *,
        stream: str | None = None,
        entity_id: str | None = None,
        command_id: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] = MappingProxyType({}),
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> CommandAnswer:
        """Send a command to a decider of the service's App, with its data as JSON has it.

        Its stream is named whole by `stream`, or by `entity_id`, what is behind the category.
        `tags` and `metadata` go to every event that it causes. It is handled once, however often it
        has to be sent; give it a `command_id` (1 to 255 printable ASCII characters) to send it
        again yourself. `wait_for` and `timeout` are as for `append`.

        Raises CommandRefused, RevisionConflict, DeciderFailed, UnreadableEvent, InvalidInput,
        NotFound, Unavailable (nothing stored), or OutcomeUnknown (send it again with the same
        command id).
        """
        deadline = time.monotonic() + timeout
        answer = await self._call(
            calls.command(
                decider,
                command,
                CommandBody(stream, entity_id, data, metadata, tags),
                command_id=str(uuid4()) if command_id is None else command_id,
                wait_for=wait_for,
                seconds=timeout,
            )
        )
        left = deadline - time.monotonic()
        appended = answer.appended
        if wait_for is None or appended is None or left <= 0:
            return answer
        if not isinstance(appended.unapplied, ProjectionBehind):
            return answer
        [applied] = await with_applied(self.wait_for, wait_for, [appended], left)
        return answer._replace(appended=applied)

    def read_stream(
        self,
        stream_name: str,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read a stream, or what lies between two revisions (both exclusive), in constant memory.

        A stream without events gives none. Bad arguments raise InvalidInput at once. A line that
        breaks half way raises Unavailable: read on `after` the last event.
        """
        scan = stream_scan(stream_name, after=after, before=before, direction=direction)
        return self._events(calls.events(stream_path(stream_name), scan, limit), limit)

    def read(
        self,
        query: EventQuery | None = None,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read the log as it is now, or what `query` means between two positions (exclusive).

        Ends at the head of the moment it began; constant memory. Otherwise as `read_stream`.
        """
        scan = log_scan(query or EventQuery(), after=after, before=before, direction=direction)
        return self._events(calls.events("/events", scan, limit, query), limit)

    def follow(
        self,
        query: EventQuery | None = None,
        *,
        after: int = 0,
        epoch: int | None = None,
        on_lost: Callable[[Unavailable], None] = lambda _: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read what `query` means (default: everything) after a position, and on for ever.

        Every event once, in order, also across restarts of the service and of the database and
        across cut lines: it comes back where it was, as often as it takes; `on_lost` is told why
        each time it fails, `on_back` that it goes on again. Only the first connection is given up
        after `retry_for` seconds (Unavailable).
        Raises InvalidInput at once for a bad position, and HistoryRewound if the log does not
        have that position (in that epoch, if given), or loses it by a restore.
        """
        return self._follow(Following(self.url, query, after, epoch, on_lost, on_back))

    async def wait_for(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> int:
        """Wait until a projection has applied a position, or a revision of a stream.

        After it, the read tables show what was written there: read your own writes. Gives the
        projection's position. Raises NotFound, ProjectionStopped or StreamParked at once where
        waiting is in vain, and ProjectionBehind after `timeout` seconds (default 5; 0: only look).
        """
        deadline = time.monotonic() + timeout
        while True:
            told = await self._call(
                calls.wait(
                    projection,
                    position=position,
                    stream=stream,
                    revision=revision,
                    seconds=deadline - time.monotonic(),
                )
            )
            if not isinstance(told, ProjectionBehind):
                return told
            if time.monotonic() >= deadline:
                raise told

    @property
    def projections(self) -> ProjectionCatalog:
        """What projections there are, how far they are, and what operators can do about it."""
        return ProjectionCatalog(self._ask, self._look)

    @property
    def consumers(self) -> ConsumerCatalog:
        """Consumer groups: made, received from, settled, and what operators can do about them."""
        return ConsumerCatalog(self._ask, self._receive)

    def consume(self, name: str, max: int = BATCH, *, member: str | None = None) -> Member:
        """Be a member of a group: `async with store.consume("emails") as deliveries`.

        Receives `max` deliveries at once; they have to be settled within the group's lease.
        `member` is what it is called in the group's status (default: the machine and process).
        """
        return Member(self.consumers, name, max, member)

    async def _receive(self, name: str, most: int, member: str, wait: float) -> list[Delivery]:
        deadline = time.monotonic() + wait
        while True:
            left = deadline - time.monotonic()
            deliveries = await self._call(calls.receive(name, most, member, left))
            if deliveries or time.monotonic() >= deadline:
                return deliveries

    async def _ask(self, question: Question[T]) -> T:
        return await self._call(calls.asked(question))

    async def _look(self, query: TableQuery, timeout: float) -> TablePage:  # noqa: ASYNC109
        deadline = time.monotonic() + timeout
        while True:
            told = await self._call(calls.table(query, deadline - time.monotonic()))
            if not isinstance(told, ProjectionBehind):
                return told
            if time.monotonic() >= deadline:
                raise told

    async def event(self, event_id: UUID | str) -> RecordedEvent:
        """Give an event by its id, or raise NotFound."""
        return await self._call(calls.event(event_id))

    async def head(self) -> LogHead:
        """Give the log's identity, epoch and last position (0 when empty)."""
        return await self._call(calls.head(self.url))

    async def stream_head(self, stream_name: str) -> int | None:
        """Give the revision of the stream's last event, or None if it has none."""
        for method in ("HEAD", "GET"):  # nobody else's word is taken for that there is none
            with suppress(NotFound):
                return await self._call(calls.stream_head(stream_name, method))
        return None

    async def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = PAGE
    ) -> list[StreamHead]:
        """List streams in name order (by code point), after a name, at most `limit` of them."""
        found: list[StreamHead] = []
        while (left := limit - len(found)) > 0:
            size = min(left, PAGE)
            page = await self._call(calls.streams(prefix, category, after, size))
            found += page
            if len(page) < size:
                break
            after = page[-1].stream_name
        return found

    async def categories(self) -> list[NameCount]:
        """List every category with its number of events."""
        return await self._call(calls.categories())

    async def event_types(self) -> list[NameCount]:
        """List every event type with its number of events."""
        return await self._call(calls.event_types())

    async def _events(
        self, call: Call[None] | None, limit: int | None
    ) -> AsyncIterator[RecordedEvent]:
        if call is None:
            return
        try:
            answer = await self._send(self._http, call, stream=True)
        except NotFound:  # a stream without events
            return
        lines = EventLines(limit)
        try:
            async for chunk in answer.aiter_bytes():
                for event in lines.events(chunk):
                    yield event
                if lines.full:
                    return
            lines.end()
        except httpx.TransportError as fault:
            raise Unavailable(CUT_SHORT) from fault
        finally:
            await answer.aclose()

    async def _follow(self, following: Following) -> AsyncIterator[RecordedEvent]:
        while True:
            fault: httpx.TransportError | Unavailable | None = None
            try:
                answer = await self._send(self._following, following.call(), stream=True)
                following.opened()
                try:
                    async for chunk in answer.aiter_bytes():
                        for event in following.events(chunk):
                            yield event
                finally:
                    await answer.aclose()
            except (httpx.TransportError, Unavailable) as lost:
                fault = lost
            await asyncio.sleep(following.lost(fault))

    async def _call(self, call: Call[T]) -> T:
        answer = await self._send(self._http, call)
        try:
            return call.read(answer)
        except NOT_AN_ANSWER as fault:
            raise Attempts(call, self._shown, 0).unread(answer, fault) from fault

    async def _send(
        self, http: httpx.AsyncClient, call: Call[Any], *, stream: bool = False
    ) -> httpx.Response:
        """Give a successful answer, or raise what the last one means."""
        attempts = Attempts(call, self._shown, self._retry_for)
        while True:
            try:
                answer = await _sent(http, call.request(http), stream=stream)
                if call.is_answered_by(answer):
                    return answer
                await answer.aread()
                wait = attempts.refused(answer)
            except httpx.TransportError as fault:
                wait = attempts.lost(fault)
            await asyncio.sleep(wait)


async def _sent(http: httpx.AsyncClient, request: httpx.Request, *, stream: bool) -> httpx.Response:
    try:
        return await http.send(request, stream=stream)
    except AttributeError as fault:
        # What anyio makes, on uvloop, of a connection that broke while it was made.
        raise httpx.ReadError(str(fault), request=request) from fault
