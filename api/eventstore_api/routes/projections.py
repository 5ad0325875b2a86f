"""Projections over HTTP: how far they are, waits for one's own writes, and operations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from eventstore import ParkedStream, ProjectionBehind, ProjectionStatus
from eventstore.core.catalog import MOST_PARKED
from eventstore.core.reads import END
from eventstore.core.times import time_text
from eventstore_api.headers import JSON, Headers, check_prefer
from eventstore_api.models import (
    ParkedStreams,
    Projection,
    ProjectionPosition,
    Projections,
    Retried,
    RetriedAll,
    Skipped,
    StreamPosition,
)
from eventstore_api.routes.listing import Store, StreamName, accepts_json, decoded_name, integer
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["projections"], dependencies=[Depends(accepts_json)])
Name = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": "^[a-z][a-z0-9_]{0,40}$"},
        description="The projection's name",
    ),
]
Version = Annotated[
    int | None,
    Query(ge=1, le=2**31 - 1, description="Default: the one that serves"),
    integer("query parameter version"),
]
_NOT_YET: dict[int | str, dict[str, Any]] = {202: {"description": "Not yet: how far it is"}}


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        to_json(body),
        status_code=status,
        media_type=JSON,
        headers={"cache-control": "no-store", **(headers or {})},
    )


def status_json(status: ProjectionStatus) -> dict[str, Any]:
    """Give a version as JSON-ready members."""
    return {
        **status._asdict(),
        "moved_at": None if status.moved_at is None else time_text(status.moved_at),
    }


def _parked(parked: ParkedStream) -> dict[str, Any]:
    members = parked._asdict()
    return {
        "stream": members.pop("stream_name"),
        **members,
        "failed_at": time_text(parked.failed_at),
    }


@router.get("/projections", response_model=Projections, summary="Every version of each projection")
async def list_projections(store: Store) -> Response:
    return _json({"projections": [status_json(one) for one in await store.projections.all()]})


@router.get(
    "/projections/{projection}",
    response_model=Projection,
    summary="One version: state, checkpoint, lag, parked streams",
)
async def get_projection(projection: Name, store: Store, version: Version = None) -> Response:
    return _json(status_json(await store.projections.get(projection, version=version)))


@router.get(
    "/projections/{projection}/position",
    response_model=ProjectionPosition,
    responses=_NOT_YET,
    summary="Wait until a position of the log is applied (Prefer: wait=5)",
)
async def wait_for_position(
    projection: Name,
    request: Request,
    store: Store,
    at_least: Annotated[int, Query(ge=0, le=END), integer("query parameter at_least")] = 0,
) -> Response:
    wait = check_prefer(Headers(request.scope["headers"]))
    try:
        checkpoint = await store.wait_for(projection, position=at_least, timeout=wait)
    except ProjectionBehind as behind:
        return _json({"position": behind.checkpoint, "reached": False, **behind.facts}, 202)
    return _json({"projection": projection, "position": checkpoint, "reached": True})


@router.get(
    "/projections/{projection}/streams/{stream_name}",
    response_model=StreamPosition,
    responses=_NOT_YET,
    summary="Wait until a revision of a stream is applied (Prefer: wait=5)",
)
async def wait_for_stream(
    projection: Name,
    stream_name: StreamName,
    request: Request,
    store: Store,
    revision: Annotated[
        int | None, Query(ge=0, le=END), integer("query parameter revision")
    ] = None,
) -> Response:
    name = decoded_name(stream_name)
    wait = check_prefer(Headers(request.scope["headers"]))
    reached, position, facts = True, None, {}
    if revision is not None:
        try:
            position = await store.wait_for(
                projection, stream=name, revision=revision, timeout=wait
            )
        except ProjectionBehind as behind:
            reached, facts = False, behind.facts
    applied = await store.projections.position(projection, name)
    head = await store.stream_head(name)
    body = {"stream": name, "revision": applied, "head": head, "reached": reached}
    if position is not None:
        body["position"] = position
    body |= facts
    return _json(body, 200 if reached else 202)


@router.post("/projections/{projection}/pause", response_model=Projection, summary="Let it rest")
async def pause(projection: Name, store: Store, version: Version = None) -> Response:
    await store.projections.pause(projection, version=version)
    return _json(status_json(await store.projections.get(projection, version=version)))


@router.post(
    "/projections/{projection}/resume",
    response_model=Projection,
    summary="Let one that is paused or stopped go on",
)
async def resume(projection: Name, store: Store, version: Version = None) -> Response:
    await store.projections.resume(projection, version=version)
    return _json(status_json(await store.projections.get(projection, version=version)))


@router.get(
    "/projections/{projection}/parked",
    response_model=ParkedStreams,
    summary="Streams that are held back, each with the event that failed",
)
async def list_parked(
    projection: Name,
    store: Store,
    version: Version = None,
    limit: Annotated[
        int, Query(ge=1, le=MOST_PARKED), integer("query parameter limit")
    ] = MOST_PARKED,
) -> Response:
    found = await store.projections.parked(projection, version=version, limit=limit)
    return _json({"parked": list(map(_parked, found))})


@router.post(
    "/projections/{projection}/parked/retry",
    response_model=RetriedAll,
    status_code=202,
    summary="Try every parked stream again; the runner does so within a second",
)
async def retry_all(projection: Name, store: Store, version: Version = None) -> Response:
    return _json({"retrying": await store.projections.retry(projection, version=version)}, 202)


@router.post(
    "/projections/{projection}/parked/{stream_name}/retry",
    response_model=Retried,
    status_code=202,
    summary="Try a parked stream again; its runner does so within a second",
)
async def retry(
    projection: Name, stream_name: StreamName, store: Store, version: Version = None
) -> Response:
    name = decoded_name(stream_name)
    await store.projections.retry(projection, name, version=version)
    return _json({"stream": name, "state": "retrying"}, 202)


@router.post(
    "/projections/{projection}/parked/{stream_name}/skip",
    response_model=Skipped,
    summary="Leave out the event on which a parked stream waits, for good",
)
async def skip(
    projection: Name, stream_name: StreamName, store: Store, version: Version = None
) -> Response:
    name = decoded_name(stream_name)
    skipped = await store.projections.skip(projection, name, version=version)
    return _json({"stream": name, "skipped": skipped})
