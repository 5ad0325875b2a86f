"""SyncEventStoreClient: EventStoreClient's twin for code without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import httpx

from eventstore.applied import sync_with_applied
from eventstore.catalog import SyncProjectionCatalog
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
from eventstore.consumers import BATCH, SyncConsumerCatalog
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
from eventstore.member import SyncMember
from eventstore.requests import request_encoded, request_many, request_one

T = TypeVar("T")


class SyncEventStoreClient:
    """A store that a service at `url` serves. Use as `with SyncEventStoreClient(url) as store`.

    Same verbs, arguments, answers, errors and retries as EventStoreClient. Safe to share between
    threads. `headers` are as there; `transport` is httpx's, for tests and unusual networks.
    """

    def __init__(
        self,
        url: str,
        *,
        retry_for: float = 15.0,
        headers: Mapping[str, str] = MappingProxyType({}),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = checked_url(url)
        self._shown = without_login(self.url)
        own = checked_headers(headers)
        self.limits = NO_LIMITS  # how much is too much is the service's to say
        self._retry_for = retry_for
        self._http = httpx.Client(**for_calls(self.url, own), transport=transport)
        self._following = httpx.Client(**for_following(self.url, own), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. Safe to call again."""
        self._http.close()
        self._following.close()

    def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,
    ) -> Appended:
        """Append one event or several to a stream: see EventStoreClient.append."""
        request = request_one(
            stream_name,
            events,
            expected_revision,
            idempotency_key=idempotency_key,
            limits=self.limits,
        )
        return self._append(request, wait_for, timeout)[0]

    def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing: see EventStoreClient.append_many."""
        request = request_many(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )
        return self._append(request, wait_for, timeout)

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

    def _append(
        self,
        request: AppendRequest,
        wait_for: str | None,
        timeout: float,
    ) -> tuple[Appended, ...]:
        if wait_for is None:
            return self.append_request(request)
        deadline = time.monotonic() + timeout
        appended = self._call(calls.append(request, wait_for=wait_for, seconds=timeout))
        left = deadline - time.monotonic()
        if isinstance(appended[0].unapplied, ProjectionBehind) and left > 0:
            return sync_with_applied(self.wait_for, wait_for, appended, left)
        return appended

    def append_request(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Append a request that is checked already."""
        return self._call(calls.append(request))

    def command(
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
        timeout: float = 5.0,
    ) -> CommandAnswer:
        """Send a command to a decider of the service's App: see EventStoreClient.command."""
        deadline = time.monotonic() + timeout
        answer = self._call(
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
        [applied] = sync_with_applied(self.wait_for, wait_for, [appended], left)
        return answer._replace(appended=applied)

    def read_stream(
        self,
        stream_name: str,
        *,
        after: int | None = None,
        before: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
    ) -> Iterator[RecordedEvent]:
        """Read a stream: see EventStoreClient.read_stream."""
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
    ) -> Iterator[RecordedEvent]:
        """Read the log as it is now, or what `query` means of it: see EventStoreClient.read."""
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
    ) -> Iterator[RecordedEvent]:
        """Read on for ever, waiting in this thread: see EventStoreClient.follow."""
        return self._follow(Following(self.url, query, after, epoch, on_lost, on_back))

    def wait_for(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,
    ) -> int:
        """Wait for a projection: see EventStoreClient.wait_for."""
        deadline = time.monotonic() + timeout
        while True:
            told = self._call(
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
    def projections(self) -> SyncProjectionCatalog:
        """What projections there are, how far they are, and what operators can do about it."""
        return SyncProjectionCatalog(self._ask, self._look)

    @property
    def consumers(self) -> SyncConsumerCatalog:
        """Consumer groups: made, received from, settled, and what operators can do about them."""
        return SyncConsumerCatalog(self._ask, self._receive)

    def consume(self, name: str, max: int = BATCH, *, member: str | None = None) -> SyncMember:
        """Be a member of a group: see EventStoreClient.consume."""
        return SyncMember(self.consumers, name, max, member)

    def _receive(self, name: str, most: int, member: str, wait: float) -> list[Delivery]:
        deadline = time.monotonic() + wait
        while True:
            left = deadline - time.monotonic()
            deliveries = self._call(calls.receive(name, most, member, left))
            if deliveries or time.monotonic() >= deadline:
                return deliveries

    def _ask(self, question: Question[T]) -> T:
        return self._call(calls.asked(question))

    def _look(self, query: TableQuery, timeout: float) -> TablePage:
        deadline = time.monotonic() + timeout
        while True:
            told = self._call(calls.table(query, deadline - time.monotonic()))
            if not isinstance(told, ProjectionBehind):
                return told
            if time.monotonic() >= deadline:
                raise told

    def event(self, event_id: UUID | str) -> RecordedEvent:
        """Give an event by its id, or raise NotFound."""
        return self._call(calls.event(event_id))

    def head(self) -> LogHead:
        """Give the log's identity, epoch and last position (0 when empty)."""
        return self._call(calls.head(self.url))

    def stream_head(self, stream_name: str) -> int | None:
        """Give the revision of the stream's last event, or None if it has none."""
        for method in ("HEAD", "GET"):  # nobody else's word is taken for that there is none
            with suppress(NotFound):
                return self._call(calls.stream_head(stream_name, method))
        return None

    def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = PAGE
    ) -> list[StreamHead]:
        """List streams in name order (by code point), after a name, at most `limit` of them."""
        found: list[StreamHead] = []
        while (left := limit - len(found)) > 0:
            size = min(left, PAGE)
            page = self._call(calls.streams(prefix, category, after, size))
            found += page
            if len(page) < size:
                break
            after = page[-1].stream_name
        return found

    def categories(self) -> list[NameCount]:
        """List every category with its number of events."""
        return self._call(calls.categories())

    def event_types(self) -> list[NameCount]:
        """List every event type with its number of events."""
        return self._call(calls.event_types())

    def _events(self, call: Call[None] | None, limit: int | None) -> Iterator[RecordedEvent]:
        if call is None:
            return
        try:
            answer = self._send(self._http, call, stream=True)
        except NotFound:  # a stream without events
            return
        lines = EventLines(limit)
        try:
            for chunk in answer.iter_bytes():
                yield from lines.events(chunk)
                if lines.full:
                    return
            lines.end()
        except httpx.TransportError as fault:
            raise Unavailable(CUT_SHORT) from fault
        finally:
            answer.close()

    def _follow(self, following: Following) -> Iterator[RecordedEvent]:
        while True:
            fault: httpx.TransportError | Unavailable | None = None
            try:
                answer = self._send(self._following, following.call(), stream=True)
                following.opened()
                try:
                    for chunk in answer.iter_bytes():
                        yield from following.events(chunk)
                finally:
                    answer.close()
            except (httpx.TransportError, Unavailable) as lost:
                fault = lost
            time.sleep(following.lost(fault))

    def _call(self, call: Call[T]) -> T:
        answer = self._send(self._http, call)
        try:
            return call.read(answer)
        except NOT_AN_ANSWER as fault:
            raise Attempts(call, self._shown, 0).unread(answer, fault) from fault

    def _send(self, http: httpx.Client, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        """Give a successful answer, or raise what the last one means."""
        attempts = Attempts(call, self._shown, self._retry_for)
        while True:
            try:
                answer = http.send(call.request(http), stream=stream)
                if call.is_answered_by(answer):
                    return answer
                answer.read()
                wait = attempts.refused(answer)
            except httpx.TransportError as fault:
                wait = attempts.lost(fault)
            time.sleep(wait)
