"""Versions of a projection over HTTP: rebuilt, compared, switched to, dropped."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from eventstore import LimitExceeded, TableComparison
from eventstore_api.headers import JSON, Headers, check_prefer, media_type
from eventstore_api.models import Comparison, Rebuilding, Switched
from eventstore_api.problems import HttpError
from eventstore_api.routes.listing import Store, accepts_json, integer
from eventstore_api.routes.projections import Name, status_json
from eventstore_api.wire import decoded
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["projections"], dependencies=[Depends(accepts_json)])
SWITCH_WAIT: Final = 10
"""Seconds that a switch waits for a version to come near, unless Prefer says otherwise."""
_MOST_BODY: Final = 10_000
_LAST: Final = 2**31 - 1
_Number = Annotated[int, msgspec.Meta(ge=1, le=_LAST)]


class RebuildIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which version begins anew."""

    version: _Number


class SwitchIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which version serves from now on."""

    version: _Number
    even_if_behind: bool = False


_rebuild: Final = msgspec.json.Decoder(RebuildIn)
_switch: Final = msgspec.json.Decoder(SwitchIn)


def takes(model: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


async def json_body(request: Request, most: int = _MOST_BODY) -> bytes:
    """Give a JSON body of at most so many bytes. Raises 413 and 415."""
    if (kind := media_type(Headers(request.scope["headers"]))) != JSON:
        raise HttpError("unsupported-media-type", f"the body is {JSON}: {kind[:60]}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise LimitExceeded(f"a request body is at most {most} bytes here")
    return bytes(body)


def _comparison(compared: TableComparison) -> dict[str, Any]:
    return {**compared._asdict(), "is_equal": compared.is_equal}


def _reply(body: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(to_json(body), status_code=status, media_type=JSON, headers=headers)


@router.post(
    "/projections/{projection}/rebuild",
    response_model=Rebuilding,
    status_code=202,
    openapi_extra=takes("Rebuild"),
    summary="Let a version that does not serve begin anew with the first event",
)
async def rebuild(projection: Name, request: Request, store: Store) -> Response:
    version = decoded(_rebuild, await json_body(request)).version
    await store.projections.rebuild(projection, version)
    return _reply({"projection": projection, "version": version, "checkpoint": 0}, 202)


@router.post(
    "/projections/{projection}/switch",
    response_model=Switched,
    openapi_extra=takes("Switch"),
    summary="Let another version serve, as soon as it is where the other one is (Prefer: wait=10)",
)
async def switch(projection: Name, request: Request, store: Store) -> Response:
    headers = Headers(request.scope["headers"])
    wait = SWITCH_WAIT if headers.get(b"prefer") is None else check_prefer(headers)
    asked = decoded(_switch, await json_body(request))
    before = await store.projections.switch(
        projection, asked.version, even_if_behind=asked.even_if_behind, timeout=wait
    )
    found = status_json(await store.projections.get(projection))
    return _reply({**found, "served_before": before})


@router.delete(
    "/projections/{projection}/versions/{version}",
    status_code=204,
    summary="Remove a version that does not serve, with its tables",
)
async def drop(
    projection: Name,
    version: Annotated[int, Path(ge=1, le=_LAST), integer("the version")],
    store: Store,
) -> Response:
    await store.projections.drop(projection, version)
    return Response(status_code=204)


@router.delete(
    "/projections/{projection}",
    status_code=204,
    summary="Remove a projection that no worker runs: every version, with its tables",
)
async def drop_all(projection: Name, store: Store) -> Response:
    await store.projections.drop(projection)
    return Response(status_code=204)


@router.get(
    "/projections/{projection}/compare",
    response_model=Comparison,
    summary="Rows and checksums of a version beside the one that serves",
)
async def compare(
    projection: Name,
    version: Annotated[int, Query(ge=1, le=_LAST), integer("query parameter version")],
    store: Store,
) -> Response:
    compared = await store.projections.compare(projection, version)
    return _reply({"tables": list(map(_comparison, compared))})
