"""GET /streams/{stream_name} and GET /events: a page, or everything up to the head."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from urllib.parse import parse_qsl, urlencode

from eventstore import EventStore, NotFound
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
    negotiate,
)
from eventstore_api.parameters import Parameters
from eventstore_api.problems import HttpError
from eventstore_api.wire import ndjson, page_json

_OFFERED = (JSON, NDJSON, CLOUDEVENTS)
_CACHING = {"cache-control": "no-cache", "vary": "accept"}
STREAM_PARAMETERS = ("after", "before", "direction", "limit")
LOG_PARAMETERS = (*STREAM_PARAMETERS, "category", "stream", "type", "tag", "query")


class ReadRoutes:
    """Reads of a stream and of the log, on one store."""

    def __init__(self, store: Callable[[], EventStore]) -> None:
        self._store = store

    async def read_stream(self, request: Request) -> Reply:
        """Read the stream in the path, between two revisions."""
        store = self._store()
        parameters = Parameters(request.query_string, STREAM_PARAMETERS)
        check_prefer(request.headers)
        scan = stream_scan(
            request.name,
            after=parameters.integer("after", -1, END),
            before=parameters.integer("before", 0, END),
            direction=parameters.direction(),
        )
        form = negotiate(request.headers, _OFFERED)
        await check_event_position(store, request.headers)
        head = await store.stream_head(request.name)
        if head is None:
            raise NotFound(f"there is no stream {request.name!r}")
        headers = {"content-type": form, "etag": f'"{head}"', **_CACHING}
        if knows(request.headers, headers["etag"]):
            return Reply(304, {**_CACHING, "etag": headers["etag"]}, b"")
        return await self._reply(request, parameters, scan.up_to(head), head, headers)

    async def read_log(self, request: Request) -> Reply:
        """Read the log between two positions, filtered."""
        store = self._store()
        parameters = Parameters(request.query_string, LOG_PARAMETERS)
        check_prefer(request.headers)
        scan = log_scan(
            parameters.query(store.limits),
            after=parameters.integer("after", 0, END),
            before=parameters.integer("before", 0, END),
            direction=parameters.direction(),
        )
        form = negotiate(request.headers, _OFFERED)
        head = (await check_event_position(store, request.headers)) or (await store.head()).position
        headers = {"content-type": form, **_CACHING}
        headers["event-position"] = f"{head};epoch={store.epoch}"
        return await self._reply(request, parameters, scan.up_to(head), head, headers)

    async def _reply(
        self,
        request: Request,
        parameters: Parameters,
        scan: Scan,
        head: int,
        headers: dict[str, str],
    ) -> Reply:
        store = self._store()
        limit = parameters.limit(store.limits)
        if headers["content-type"] == NDJSON:
            wanted = None if parameters.one("limit") is None else limit
            return Reply(200, headers, _lines(store, scan, wanted))
        events = await store.page(scan, limit)
        if len(events) == limit and not (rest := scan.behind(events[-1])).is_empty:
            headers["link"] = _next_link(request, rest)
        if headers["content-type"] == CLOUDEVENTS:
            return Reply(200, headers, cloudevents_json(events, str(store.store_id)))
        return Reply(200, headers, page_json(events, head))


async def _lines(store: EventStore, scan: Scan, limit: int | None) -> AsyncGenerator[bytes]:
    async for page in store.pages(scan, limit):
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
    pairs = [(name, value) for name, value in pairs if name != bound[0]]
    query = urlencode([*pairs, (bound[0], str(bound[1]))])
    return f'<{request.raw_path.partition("?")[0]}?{query}>; rel="next"'
