"""What FastAPI serves of the log: single events, heads, and lists of names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator

from eventstore import EventStore, NotFound, RecordedEvent
from eventstore.core.reads import END
from eventstore.core.streams import check_stream_name
from eventstore_api.cloudevents import cloudevent_json
from eventstore_api.headers import CLOUDEVENT, JSON, Headers, check_prefer, knows, negotiate
from eventstore_api.models import PRINTABLE, Categories, Event, EventTypes, Streams
from eventstore_api.parameters import DEFAULT_LIMIT, Parameters, decode, encode, whole_number
from eventstore_api.problems import HttpError
from eventstore_api.routes.read import check_event_position
from eventstore_api.wire import encode as to_json
from eventstore_api.wire import event_json


def current_store(request: Request) -> EventStore:
    """Give the open store of the application."""
    store: EventStore = request.app.state.store()
    return store


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have, and those that are given twice."""
    names = [p.alias for p in request.scope["route"].dependant.query_params]
    parameters = Parameters(request.scope["query_string"], names)
    for name in names:
        parameters.one(name)


Store = Annotated[EventStore, Depends(current_store)]


async def read_headers(request: Request, store: Store) -> None:
    """Refuse a malformed Prefer, and an Event-Position which this log has not reached."""
    headers = Headers(request.scope["headers"])
    check_prefer(headers)
    await check_event_position(store, headers)


def accepts_json(request: Request) -> None:
    """Refuse an Accept that leaves JSON out: these lists come in no other form."""
    negotiate(Headers(request.scope["headers"]), (JSON,))


def integer(name: str) -> BeforeValidator:
    """Take a whole number in its one spelling only: no sign, no leading zero, no fraction."""
    return BeforeValidator(lambda text: whole_number(text, name, 0, END))


router = APIRouter(dependencies=[Depends(read_headers)])
_lists = APIRouter(dependencies=[Depends(accepts_json)])
StreamName = Annotated[
    str,
    Path(
        min_length=1,
        # Said, not checked, by FastAPI, which sees the name still encoded.
        json_schema_extra={"maxLength": 255, "pattern": PRINTABLE},
        description="1 to 255 bytes, NFC, no control characters; percent-encoded, also `/`",
    ),
]
EventId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]


def decoded_name(segment: str) -> str:
    """Give the stream name that a path segment stands for, checked."""
    return check_stream_name(decode(segment, "the stream name"))


async def _event_reply(request: Request, store: EventStore, event: RecordedEvent) -> Response:
    form = negotiate(Headers(request.scope["headers"]), (JSON, CLOUDEVENT))
    text = event_json(event) if form == JSON else cloudevent_json(event, str(store.store_id))
    headers = {
        "etag": f'"{event.revision}"',
        "vary": "accept",
        # Not public: a cache that serves others does not know who may read it.
        "cache-control": "private, max-age=31536000, immutable",
    }
    if knows(Headers(request.scope["headers"]), headers["etag"]):
        answer = Response(status_code=304, headers=headers)
        del answer.headers["content-length"]
        return answer
    return Response(text.encode(), media_type=form, headers=headers)


@router.head("/streams/{stream_name}", summary="The stream's head revision, as its ETag")
async def head_stream(stream_name: StreamName, request: Request, store: Store) -> Response:
    head = await store.stream_head(decoded_name(stream_name))
    if head is None:
        raise NotFound("there is no such stream")
    etag = f'"{head}"'
    status = 304 if knows(Headers(request.scope["headers"]), etag) else 200
    headers = {"etag": etag, "cache-control": "no-cache", "vary": "accept"}
    answer = Response(status_code=status, headers=headers, media_type=JSON)
    del answer.headers["content-length"]  # that of GET is not known here
    return answer


@router.get(
    "/streams/{stream_name}/{revision}",
    response_model=Event,
    summary="One event by its stream and revision",
)
async def get_stream_event(
    stream_name: StreamName,
    revision: Annotated[int, Path(ge=0, le=END), integer("the revision")],
    request: Request,
    store: Store,
) -> Response:
    name = decoded_name(stream_name)
    async for event in store.read_stream(name, after=revision - 1, limit=1):
        if event.revision == revision:
            return await _event_reply(request, store, event)
    raise NotFound(f"stream {name!r} has no event at revision {revision}")


@_lists.get("/streams", response_model=Streams, summary="Streams with their head revisions")
async def list_streams(
    request: Request,
    store: Store,
    prefix: Annotated[str, Query(max_length=255)] = "",
    category: Annotated[str | None, Query(max_length=255)] = None,
    after: Annotated[str, Query(max_length=255, description="Only names after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000), integer("query parameter limit")] = DEFAULT_LIMIT,
) -> Response:
    for name, text in (("prefix", prefix), ("category", category or ""), ("after", after)):
        if "\0" in text:
            raise HttpError("malformed-request", f"query parameter {name} has a NUL character")
    found = await store.list_streams(prefix=prefix, category=category, after=after, limit=limit)
    headers = {}
    if len(found) == limit:
        kept = "".join(
            f"{name}={encode(value)}&"
            for name, value in (("prefix", prefix or None), ("category", category))
            if value is not None
        )
        last = encode(found[-1].stream_name)
        headers["link"] = f'<?{kept}after={last}&limit={limit}>; rel="next"'
    body = {"streams": [{"stream": name, "revision": revision} for name, revision in found]}
    return Response(to_json(body), media_type=JSON, headers=headers)


@router.get("/events/{event_id}", response_model=Event, summary="One event by its id")
async def get_event(event_id: EventId, request: Request, store: Store) -> Response:
    event = await store.event(decode(event_id, "the event id"))
    return await _event_reply(request, store, event)


@_lists.get("/categories", response_model=Categories, summary="Categories with event counts")
async def list_categories(store: Store) -> Response:
    found = await store.categories()
    return Response(
        to_json(
            {
                "categories": [
                    {"category": name, "events": events, "last_position": last}
                    for name, events, last in found
                ]
            }
        ),
        media_type=JSON,
    )


@_lists.get("/event-types", response_model=EventTypes, summary="Event types with event counts")
async def list_event_types(store: Store) -> Response:
    found = await store.event_types()
    return Response(
        to_json(
            {
                "event_types": [
                    {"type": name, "events": events, "last_position": last}
                    for name, events, last in found
                ]
            }
        ),
        media_type=JSON,
    )


router.include_router(_lists)
