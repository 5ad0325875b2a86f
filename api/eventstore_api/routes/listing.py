"""What FastAPI serves of the log: single events, heads, and lists of names."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from eventstore import EventStore, NotFound
from eventstore.core.streams import check_stream_name
from eventstore_api.cloudevents import cloudevent_json
from eventstore_api.headers import CLOUDEVENT, JSON, Headers, negotiate
from eventstore_api.models import Categories, Event, EventTypes, Streams
from eventstore_api.parameters import DEFAULT_LIMIT, Parameters, decode, encode
from eventstore_api.problems import HttpError
from eventstore_api.routes.read import check_event_position
from eventstore_api.wire import encode as to_json
from eventstore_api.wire import event_json

router = APIRouter()


def current_store(request: Request) -> EventStore:
    """Give the open store of the application."""
    store: EventStore = request.app.state.store()
    return store


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have."""
    route = request.scope["route"]
    Parameters(request.scope["query_string"], [p.alias for p in route.dependant.query_params])


Store = Annotated[EventStore, Depends(current_store)]
StreamName = Annotated[str, Path(description="Percent-encoded, also `/` as `%2F`")]


def _name(segment: str) -> str:
    return check_stream_name(decode(segment, "the stream name"))


async def _event_reply(
    request: Request, store: EventStore, event: Any, *, immutable: bool = True
) -> Response:
    form = negotiate(Headers(request.scope["headers"]), (JSON, CLOUDEVENT))
    text = event_json(event) if form == JSON else cloudevent_json(event, str(store.store_id))
    headers = {"etag": f'"{event.revision}"', "vary": "accept"}
    if immutable:
        headers["cache-control"] = "public, max-age=31536000, immutable"
    return Response(text.encode(), media_type=form, headers=headers)


@router.head("/streams/{stream_name}", summary="The stream's head revision, as its ETag")
async def head_stream(stream_name: StreamName, request: Request, store: Store) -> Response:
    await check_event_position(store, Headers(request.scope["headers"]))
    head = await store.stream_head(_name(stream_name))
    if head is None:
        raise NotFound("there is no such stream")
    return Response(headers={"etag": f'"{head}"', "cache-control": "no-cache"}, media_type=JSON)


@router.get(
    "/streams/{stream_name}/{revision}",
    response_model=Event,
    summary="One event by its stream and revision",
)
async def get_stream_event(
    stream_name: StreamName,
    revision: Annotated[int, Path(ge=0, lt=2**63)],
    request: Request,
    store: Store,
) -> Response:
    name = _name(stream_name)
    await check_event_position(store, Headers(request.scope["headers"]))
    async for event in store.read_stream(name, after=revision - 1, limit=1):
        if event.revision == revision:
            return await _event_reply(request, store, event)
    raise NotFound(f"stream {name!r} has no event at revision {revision}")


@router.get("/streams", response_model=Streams, summary="Streams with their head revisions")
async def list_streams(
    request: Request,
    store: Store,
    prefix: Annotated[str, Query(max_length=255)] = "",
    category: Annotated[str | None, Query(max_length=255)] = None,
    after: Annotated[str, Query(max_length=255, description="Only names after this one")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = DEFAULT_LIMIT,
) -> Response:
    for name, text in (("prefix", prefix), ("category", category or ""), ("after", after)):
        if "\0" in text:
            raise HttpError("malformed-request", f"query parameter {name} has a NUL character")
    found = await store.list_streams(prefix=prefix, category=category, after=after, limit=limit)
    headers = {}
    if len(found) == limit:
        kept = "".join(
            f"{name}={encode(value)}&"
            for name, value in (("prefix", prefix), ("category", category))
            if value
        )
        last = encode(found[-1].stream_name)
        headers["link"] = f'</streams?{kept}after={last}&limit={limit}>; rel="next"'
    body = {"streams": [{"stream": name, "revision": revision} for name, revision in found]}
    return Response(to_json(body), media_type=JSON, headers=headers)


@router.get("/events/{event_id}", response_model=Event, summary="One event by its id")
async def get_event(event_id: str, request: Request, store: Store) -> Response:
    event = await store.event(decode(event_id, "the event id"))
    return await _event_reply(request, store, event)


@router.get("/categories", response_model=Categories, summary="Categories with event counts")
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


@router.get("/event-types", response_model=EventTypes, summary="Event types with event counts")
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
