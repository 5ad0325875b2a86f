"""EventStoreClient: the store over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import httpx

from eventstore.client.problems import Refusal, refusal
from eventstore.client.sse import SSE, Decoder, Place
from eventstore.client.wire import (
    NDJSON,
    decode_appended,
    decode_event,
    decode_lines,
    json_object,
    stream_path,
)
from eventstore.client.wire import encode_append as encode_call
from eventstore.core.append import (
    Append,
    Appended,
    AppendRequest,
    EncodedAppend,
    encode_append,
    make_request,
)
from eventstore.core.backoff import delays
from eventstore.core.errors import (
    EventStoreError,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from eventstore.core.events import EventData, RecordedEvent, check_event_id
from eventstore.core.limits import Limits
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.reads import (
    Direction,
    LogHead,
    NameCount,
    Scan,
    StreamHead,
    log_scan,
    stream_scan,
)
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.core.streams import check_stream_name
from eventstore.ids import new_event_ids

PAGE: Final = 1_000
_UNBOUNDED: Final = 1 << 62
_NO_LIMITS: Final = Limits(  # how much is too much is the service's to say
    event_bytes=_UNBOUNDED,
    append_bytes=_UNBOUNDED,
    append_events=_UNBOUNDED,
    event_tags=_UNBOUNDED,
)
# A batch may wait for the append lock, and for a database that starts again, before it is told.
_TIMEOUT: Final = httpx.Timeout(60, connect=5, pool=None)
_CONNECTIONS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=100)


class EventStoreClient:
    """A store that a service at `url` serves. Use as `async with EventStoreClient(url) as store`.

    Same verbs, arguments, answers and errors as EventStore. Safe to share between tasks.

    What fails in passing (no connection, a broken one, a service that is overloaded or starts
    again) is tried again for `retry_for` seconds, 0 for never. Every append carries its event
    ids, made here unless given, so that a retry is the same append and stores nothing twice.
    `transport` is httpx's, for tests and unusual networks.
    """

    def __init__(
        self,
        url: str,
        *,
        retry_for: float = 15.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self.limits = _NO_LIMITS
        self._retry_for = retry_for
        self._http = httpx.AsyncClient(
            base_url=self.url, timeout=_TIMEOUT, limits=_CONNECTIONS, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Safe to call again."""
        await self._http.aclose()

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
    ) -> Appended:
        """Append one event or several to a stream, all or nothing; return when they are on disk.

        A retry with the same event ids or the same `idempotency_key` stores nothing and gives the
        first answer, whatever it expects. Raises RevisionConflict, DuplicateEventId, InvalidInput,
        Unavailable (nothing stored), or OutcomeUnknown (retry with the same ids or key).
        """
        if isinstance(events, EventData):
            events = [events]
        append = encode_append(stream_name, events, expected_revision, limits=_NO_LIMITS)
        request = self.request([append], idempotency_key=idempotency_key)
        return (await self.append_request(request))[0]

    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing; one answer for each append.

        With `condition`, only if nothing that it excludes has been stored: raises ConditionFailed
        otherwise. A stream may be named again if the later append expects ANY. Otherwise as
        `append`.
        """
        encoded = [
            encode_append(
                append.stream_name,
                append.events,
                append.expected_revision,
                path=f"$.appends[{n}].events",
                limits=_NO_LIMITS,
            )
            for n, append in enumerate(appends)
        ]
        request = self.request(encoded, condition=condition, idempotency_key=idempotency_key)
        return await self.append_request(request)

    def request(
        self,
        appends: Sequence[EncodedAppend],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
    ) -> AppendRequest:
        """Make one request of checked appends, with ids for every event."""
        count = sum([len(append.events) for append in appends])
        return make_request(
            appends,
            new_ids=new_event_ids(count) if idempotency_key is None else None,
            idempotency_key=idempotency_key,
            condition=condition,
            limits=_NO_LIMITS,
        )

    async def append_request(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Append a request that is checked already."""
        path, headers, body = encode_call(request)
        answer = await self._call(
            "POST", path, headers=headers, content=body, event_ids=tuple(request.event_ids)
        )
        replayed = answer.headers.get("idempotency-replayed") == "true"
        return decode_appended(request, answer.content, replayed=replayed)

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
        return self._events(stream_path(stream_name), scan, {}, limit)

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
        query = query or EventQuery()
        scan = log_scan(query, after=after, before=before, direction=direction)
        return self._events("/events", scan, {"query": query.to_json()} if query else {}, limit)

    async def _events(
        self, path: str, scan: Scan, params: Mapping[str, str], limit: int | None
    ) -> AsyncIterator[RecordedEvent]:
        left = _UNBOUNDED if limit is None else limit
        if left < 0:
            raise InvalidInput(f"a limit is 0 or more: {limit}")
        if scan.is_empty or left == 0:
            return
        params = {**params, "after": str(scan.after), "before": str(scan.before)}
        if scan.backward:
            params["direction"] = "backward"
        if left <= PAGE:  # a service's own limit is for pages; a longer read is cut off here
            params["limit"] = str(left)
        try:
            answer = await self._call(
                "GET", path, params=params, headers={"accept": NDJSON}, stream=True
            )
        except NotFound:
            return
        try:
            async for event in _streamed(answer):
                yield event
                left -= 1
                if left == 0:
                    return
        finally:
            await answer.aclose()

    def follow(
        self,
        query: EventQuery | None = None,
        *,
        after: int = 0,
        epoch: int | None = None,
        on_lost: Callable[[Unavailable], None] = lambda _: None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read what `query` means (default: everything) after a position, and on for ever.

        Every event once, in order, also across restarts of the service and of the database and
        across cut lines: it comes back where it was, as often as it takes; `on_lost` is told why
        each time. Only the first connection is given up after `retry_for` seconds (Unavailable).
        Raises InvalidInput at once for a bad position, and HistoryRewound if the log does not
        have that position (in that epoch, if given), or loses it by a restore.
        """
        query = query or EventQuery()
        log_scan(query, after=after, before=None, direction="forward")
        params = {"query": query.to_json()} if query else {}
        return self._follow(params, Place(after, epoch), on_lost)

    async def _follow(
        self, params: Mapping[str, str], place: Place, on_lost: Callable[[Unavailable], None]
    ) -> AsyncIterator[RecordedEvent]:
        waits = delays()
        connected = False
        while True:
            headers = {"accept": SSE, "last-event-id": place.event_id}
            try:
                answer = await self._call(
                    "GET", "/events", params=params, headers=headers, stream=True
                )
                connected = True
                try:
                    decoder = Decoder()
                    async for chunk in answer.aiter_bytes():
                        waits = delays()
                        for step in decoder.steps(chunk):
                            place = step.place
                            if step.event is not None:
                                yield step.event
                finally:
                    await answer.aclose()
                lost = Unavailable("the service ended the stream")
            except httpx.TransportError as fault:
                lost = self._lost(fault)
            except Unavailable as error:
                if not connected:
                    raise
                lost = error
            on_lost(lost)
            await asyncio.sleep(next(waits))

    async def event(self, event_id: UUID | str) -> RecordedEvent:
        """Give an event by its id, or raise NotFound."""
        answer = await self._call("GET", f"/events/{check_event_id(event_id)}")
        return decode_event(answer.content)

    async def head(self) -> LogHead:
        """Give the log's identity, epoch and last position (0 when empty)."""
        root = await self._json("/")
        try:
            return LogHead(UUID(root["store_id"]), root["epoch"], root["head"])
        except KeyError:
            raise EventStoreError(f"{self.url} answers, but not as an event store") from None

    async def stream_head(self, stream_name: str) -> int | None:
        """Give the revision of the stream's last event, or None if it has none."""
        try:
            answer = await self._call("HEAD", stream_path(check_stream_name(stream_name)))
        except NotFound:
            return None
        return int(answer.headers["etag"].strip('"'))

    async def list_streams(
        self, *, prefix: str = "", category: str | None = None, after: str = "", limit: int = PAGE
    ) -> list[StreamHead]:
        """List streams in name order (by code point), after a name, at most `limit` of them."""
        found: list[StreamHead] = []
        while (left := limit - len(found)) > 0:
            size = min(left, PAGE)
            params = {"prefix": prefix, "after": after, "limit": str(size)}
            if category is not None:
                params["category"] = category
            page = (await self._json("/streams", params))["streams"]
            found += [StreamHead(one["stream"], one["revision"]) for one in page]
            if len(page) < size:
                break
            after = found[-1].stream_name
        return found

    async def categories(self) -> list[NameCount]:
        """List every category with its number of events."""
        found = (await self._json("/categories"))["categories"]
        return [NameCount(c["category"], c["events"], c["last_position"]) for c in found]

    async def event_types(self) -> list[NameCount]:
        """List every event type with its number of events."""
        found = (await self._json("/event-types"))["event_types"]
        return [NameCount(t["type"], t["events"], t["last_position"]) for t in found]

    async def _json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return json_object((await self._call("GET", path, params=params)).content)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        event_ids: tuple[str, ...] = (),
        stream: bool = False,
    ) -> httpx.Response:
        """Give a successful answer, or raise what the last one means.

        `event_ids` are those of an append: if any try may have stored it, and no later one was
        told, the outcome is unknown.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._retry_for
        unknown = False
        for delay in delays():
            try:
                request = self._http.build_request(
                    method, path, params=params, headers=headers, content=content
                )
                answer = await self._send(request, stream=stream)
                if answer.is_success:
                    return answer
                refused = await _refusal(answer)
                unknown = unknown or not refused.nothing_stored
            except UnicodeEncodeError:
                raise InvalidInput("a text has a lone surrogate, not a character") from None
            except (httpx.ConnectError, httpx.ConnectTimeout) as fault:
                refused = Refusal(self._lost(fault), "")
            except httpx.TransportError as fault:
                refused = Refusal(self._lost(fault), "")
                unknown = True
            if not refused.is_passing:
                raise refused.error
            wait = delay + refused.wait
            if loop.time() + wait >= deadline:
                raise OutcomeUnknown(event_ids) if event_ids and unknown else refused.error
            await asyncio.sleep(wait)
        raise AssertionError("delays never end")

    async def _send(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        try:
            return await self._http.send(request, stream=stream)
        except AttributeError as fault:
            # What anyio makes, on uvloop, of a connection that broke while it was made.
            raise httpx.ReadError(str(fault), request=request) from fault

    def _lost(self, fault: httpx.TransportError) -> Unavailable:
        error = Unavailable(f"no answer from {self.url}: {str(fault) or type(fault).__name__}")
        error.__cause__ = fault
        return error


async def _streamed(answer: httpx.Response) -> AsyncIterator[RecordedEvent]:
    """Read events from an answer as its lines come in."""
    rest = b""
    try:
        async for chunk in answer.aiter_bytes():
            lines, end, tail = chunk.rpartition(b"\n")
            if not end:
                rest += chunk
                continue
            for event in decode_lines(rest + lines):
                yield event
            rest = tail
    except httpx.TransportError as fault:
        raise Unavailable("the line to the service broke: read on after the last event") from fault
    if rest:
        raise Unavailable("the service's answer is cut short: read on after the last event")


async def _refusal(answer: httpx.Response) -> Refusal:
    body = await answer.aread()
    await answer.aclose()
    return refusal(
        answer.status_code, json_object(body), retry_after=answer.headers.get("retry-after")
    )


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as fault:
        raise InvalidInput(f"not a URL: {fault}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput("a service's URL is like http://127.0.0.1:2113")
    return url.rstrip("/")
