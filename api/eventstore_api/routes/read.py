"""GET /streams/{stream_name} and GET /events: a page, everything up to the head, or for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from urllib.parse import parse_qsl, urlencode

from eventstore import EventQuery, EventStore, NotFound, RecordedEvent, Unavailable
from eventstore.core.reads import END, Scan, log_scan, stream_scan
from eventstore_api.cloudevents import cloudevents_json
from eventstore_api.dispatch import Reply, Request
from eventstore_api.headers import (
    CLOUDEVENTS,
    JSON,
    NDJSON,
    Headers,
    check_prefer,
    event_position,
    knows,
    last_event_id,
    negotiate,
)
from eventstore_api.parameters import DEFAULT_LIMIT, IGNORED, Parameters
from eventstore_api.problems import HttpError
from eventstore_api.sse import HEADERS, SSE, stream
from eventstore_api.wire import ndjson, page_json

_OFFERED = (JSON, NDJSON, CLOUDEVENTS, SSE)
_CACHING = {"cache-control": "no-cache", "vary": "accept"}
FOLLOWER_PARAMETERS = ("frames", "lastEventId", "Last-Event-ID")
STREAM_PARAMETERS = ("after", "before", "direction", "limit", *FOLLOWER_PARAMETERS)
LOG_PARAMETERS = (*STREAM_PARAMETERS, "category", "stream", "type", "tag", "query")


class ReadRoutes:
    """Reads of a stream and of the log, on one store."""

    def __init__(self, store: Callable[[], EventStore]) -> None:
        self._store = store

    async def read_stream(self, request: Request) -> Reply:
        """Read the stream in the path, between two revisions."""
        store = self._store()
        parameters = Parameters(request.query_string, STREAM_PARAMETERS)
        wait = check_prefer(request.headers)
        resumed = last_event_id(request.headers, parameters.last_event_id())
        scan = stream_scan(
            request.name,
            after=parameters.integer("after", -1, END),
            before=parameters.integer("before", 0, END),
            direction=parameters.direction(),
        )
        limit = parameters.limit(store.limits)
        form = _form(request.headers, parameters)
        await check_event_position(store, request.headers)
        query = EventQuery(streams=[request.name])
        if form == SSE:
            return await self._follow(
                request, parameters, query, resumed=resumed, revision=scan.after
            )
        if waits := bool(wait) and not scan.backward and form != NDJSON:
            await self._wait(scan, query, wait, known=request.headers)
        head = await store.stream_head(request.name)
        if head is None:
            raise NotFound(f"there is no stream {request.name!r}")
        headers = {"content-type": form, "etag": f'"{head}"', **_CACHING, **_applied(waits, wait)}
        if knows(request.headers, headers["etag"]):
            return Reply(304, {**_CACHING, "etag": headers["etag"]}, b"")
        return await self._reply(request, limit, scan.up_to(head), head, headers)

    async def read_log(self, request: Request) -> Reply:
        """Read the log between two positions, filtered."""
        store = self._store()
        parameters = Parameters(request.query_string, LOG_PARAMETERS)
        wait = check_prefer(request.headers)
        resumed = last_event_id(request.headers, parameters.last_event_id())
        query = parameters.query(store.limits)
        scan = log_scan(
            query,
            after=parameters.integer("after", 0, END),
            before=parameters.integer("before", 0, END),
            direction=parameters.direction(),
        )
        limit = parameters.limit(store.limits)
        form = _form(request.headers, parameters)
        if form == SSE:
            await check_event_position(store, request.headers)
            return await self._follow(
                request, parameters, query, resumed=resumed, position=scan.after
            )
        if waits := bool(wait) and not scan.backward and form != NDJSON:
            await self._wait(scan, query, wait)
        head = (await check_event_position(store, request.headers)) or (await store.head()).position
        headers = {"content-type": form, **_CACHING, **_applied(waits, wait)}
        headers["event-position"] = f"{head};epoch={store.epoch}"
        return await self._reply(request, limit, scan.up_to(head), head, headers)

    async def _follow(
        self,
        request: Request,
        parameters: Parameters,
        query: EventQuery,
        *,
        resumed: tuple[int, int | None] | None,
        position: int = 0,
        revision: int = -1,
    ) -> Reply:
        store = self._store()
        for name in ("before", "direction", "limit"):
            if parameters.one(name) is not None:
                raise HttpError(
                    "malformed-request", f"{SSE} goes forward and has no end: leave {name} out"
                )
        named = parameters.choice("frames", "event", "message") == "event"
        epoch = None
        if resumed is not None:  # a browser comes back with the same address
            (position, epoch), revision = resumed, -1
        elif revision >= 0:
            position = await self._position_of(request.name, revision)
        if store.followers >= store.limits.followers:
            raise Unavailable(f"{store.followers} follow already: the most that this service takes")
        follower = store.follower(query, after=position, epoch=epoch)
        head = await follower.check()
        headers = HEADERS | {"event-position": f"{head.position};epoch={head.epoch}"}
        return Reply(200, headers, stream(follower, head.epoch, named=named))

    async def _position_of(self, stream_name: str, revision: int) -> int:
        async for event in self._store().read_stream(stream_name, after=revision - 1, limit=1):
            return event.position
        head = await self._store().stream_head(stream_name)
        raise HttpError(
            "position-not-reached",
            f"stream {stream_name!r} has no revision {revision}",
            head=head,
        )

    async def _wait(
        self, scan: Scan, query: EventQuery, seconds: int, *, known: Headers | None = None
    ) -> None:
        """Wait until the page is not empty (and not known to the client), or the time is over."""
        store = self._store()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        # The head first: what is stored after it wakes the follower.
        follower = store.follower(query, after=(await store.head()).position)
        head = None if known is None else await store.stream_head(query.any_of[0].streams[0])
        seen = known is not None and head is not None and knows(known, f'"{head}"')
        if not seen and await store.page(scan, 1):
            return
        async with follower:
            while not follower.closed and (left := deadline - loop.time()) > 0:
                events = await follower.next(left)
                if any(scan.includes(event) for event in events):
                    return

    async def _reply(
        self,
        request: Request,
        limit: int | None,
        scan: Scan,
        head: int,
        headers: dict[str, str],
    ) -> Reply:
        store = self._store()
        if headers["content-type"] == NDJSON:
            pages = store.pages(scan, limit)
            # Before anything is said: what cannot be read at all is refused as elsewhere.
            first: list[RecordedEvent] = await anext(pages, [])
            return Reply(200, headers, _lines(first, pages))
        limit = limit or DEFAULT_LIMIT
        events, more = await store.page_within(scan, limit)
        if more and events and not (rest := scan.behind(events[-1])).is_empty:
            headers["link"] = _next_link(request, rest)
        if headers["content-type"] == CLOUDEVENTS:
            return Reply(200, headers, cloudevents_json(events, str(store.store_id)))
        return Reply(200, headers, page_json(events, head))


def _form(headers: Headers, parameters: Parameters) -> str:
    """Choose the representation, and refuse what only a follower may say of any other."""
    form = negotiate(headers, _OFFERED)
    if form != SSE:
        for name in FOLLOWER_PARAMETERS:
            if parameters.one(name) is not None:
                raise HttpError("malformed-request", f"{name} is for Accept: {SSE}, not {form}")
    return form


def _applied(waits: bool, seconds: int) -> dict[str, str]:
    return {"preference-applied": f"wait={seconds}"} if waits else {}


async def _lines(
    first: list[RecordedEvent], rest: AsyncIterator[list[RecordedEvent]]
) -> AsyncGenerator[bytes]:
    if first:
        yield ndjson(first)
    async for page in rest:
        yield ndjson(page)


async def check_event_position(store: EventStore, headers: Headers) -> int | None:
    """Refuse a read that carries an Event-Position which this log has not reached; give the head.

    None if the request carries none.
    """
    wanted = event_position(headers)
    if wanted is None:
        return None
    position, epoch = wanted
    head = await store.head()
    if epoch != head.epoch or position > head.position:
        raise HttpError(
            "position-not-reached",
            f"the log is at position {head.position} of epoch {head.epoch}: the request asks for a "
            f"state at or after position {position} of epoch {epoch}",
            head=head.position,
            epoch=head.epoch,
        )
    return head.position


def _next_link(request: Request, rest: Scan) -> str:
    pairs = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    bound = ("before", rest.before) if rest.backward else ("after", rest.after)
    pairs = [(name, value) for name, value in pairs if name not in (bound[0], IGNORED)]
    query = urlencode([*pairs, (bound[0], str(bound[1]))])
    return f'<?{query}>; rel="next"'  # relative: a proxy may serve this under another path
