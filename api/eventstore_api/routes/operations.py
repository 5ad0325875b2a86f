"""What this service is, and whether it works."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response

from eventstore import EventStoreError
from eventstore_api.headers import JSON
from eventstore_api.models import Health, Root
from eventstore_api.routes.listing import Store
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["operations"])
# Relative to this resource, wherever a proxy has put it.
_LINKS = {
    "streams": "streams",
    "events": "events",
    "categories": "categories",
    "event_types": "event-types",
    "projections": "projections",
    "consumers": "consumers",
    "health": "health/ready",
    "openapi": "openapi.json",
    "docs": "docs",
}


@router.get("/", response_model=Root, summary="Store id, epoch, head, version and links")
async def root(store: Store) -> Response:
    head = await store.head()
    body = {
        "store_id": str(head.store_id),
        "epoch": head.epoch,
        "head": head.position,
        "version": version("eventstore"),
        "links": _LINKS,
    }
    return Response(to_json(body), media_type=JSON)


@router.get("/health/live", response_model=Health, summary="Whether the process answers")
async def live() -> Response:
    return Response(to_json({"status": "live", "reasons": []}), media_type=JSON)


@router.get(
    "/health/ready",
    response_model=Health,
    responses={503: {"model": Health, "description": "Not ready, and why"}},
    summary="Whether appends and reads work, with reasons if not",
)
async def ready(store: Store) -> Response:
    reasons = []
    try:
        await store.head()
    except EventStoreError as error:
        reasons.append(str(error))
    if store.pending_appends >= store.limits.pending_appends:
        reasons.append(f"{store.pending_appends} appends wait: the queue is full")
    # Followers that have to poll are served all the same, only later.
    troubles = store.following_troubles
    status = "unready" if reasons else "degraded" if troubles else "ready"
    body = {"status": status, "reasons": reasons + troubles}
    return Response(to_json(body), status_code=503 if reasons else 200, media_type=JSON)
