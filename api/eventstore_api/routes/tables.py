"""Read tables over HTTP: rows, as new as the reader's own writes."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request, Response

from eventstore import EventStore, ProjectionBehind
from eventstore.core.reads import END
from eventstore.core.readtables import DEFAULT_ROWS, MOST_ROWS, RESERVED
from eventstore_api.headers import JSON, Headers, check_prefer, knows, wanted_position
from eventstore_api.models import TableRows
from eventstore_api.parameters import Parameters, decode
from eventstore_api.problems import HttpError
from eventstore_api.routes.listing import Store, accepts_json
from eventstore_api.routes.projections import Name
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["projections"], dependencies=[Depends(accepts_json)])


def _parameter(
    name: str, schema: dict[str, Any], description: str, where: str = "query"
) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": schema, "description": description}


_NUMBER = {"type": "integer", "minimum": 0, "maximum": END}
_DESCRIPTION: dict[str, Any] = {
    "parameters": [
        {
            **_parameter(
                "columns",
                {"type": "object", "additionalProperties": {"type": "string"}},
                "column=value, repeated: only rows that have all these values",
            ),
            "style": "form",
            "explode": True,
        },
        _parameter(
            "order", {"type": "string"}, "A column, or -column; the primary key breaks ties"
        ),
        _parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": DEFAULT_ROWS},
            "Most rows of a page; large rows make it shorter: go on by its `next` link",
        ),
        _parameter("offset", {**_NUMBER, "default": 0}, "So many rows are left out"),
        _parameter(
            "Event-Position",
            {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})(;epoch=[1-9][0-9]{0,8})?$"},
            "As an append gave it: rows that are at least that new",
            "header",
        ),
        _parameter(
            "Prefer", {"type": "string"}, "wait=5: wait so long (55 s at most) for that", "header"
        ),
        _parameter("If-None-Match", {"type": "string"}, "ETags that the reader knows", "header"),
    ]
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "The projection is not there yet: how far it is"},
    304: {"description": "If-None-Match names what would be answered"},
}


@router.get(
    "/projections/{projection}/tables/{table}",
    response_model=TableRows,
    responses=_RESPONSES,
    openapi_extra=_DESCRIPTION,
    summary="Rows of a read table, as new as Event-Position",
)
async def read_table(
    projection: Name,
    table: Annotated[str, Path(min_length=1, description="Name of a read table")],
    request: Request,
    store: Store,
) -> Response:
    # Which parameters there are is known when the table is.
    parameters = Parameters(request.scope["query_string"], None)
    headers = Headers(request.scope["headers"])
    wait = check_prefer(headers)
    position = await _position(store, headers)
    limit = parameters.integer("limit", 1, MOST_ROWS) or DEFAULT_ROWS
    offset = parameters.integer("offset", 0, END) or 0
    columns = [name for name in parameters.names if name not in RESERVED]
    try:
        page = await store.projections.rows(
            projection,
            decode(table, "the table's name"),
            where={name: parameters.one(name) for name in columns},
            order=parameters.one("order"),
            limit=limit,
            offset=offset,
            position=position,
            timeout=wait,
        )
    except ProjectionBehind as behind:
        body = {"position": behind.checkpoint, "reached": False, **behind.facts}
        return Response(to_json(body), 202, {"cache-control": "no-store"}, JSON)
    text = f'{{"rows":{page.rows_json},"position":{page.position}}}'.encode()
    # A stream that is retried changes rows and no checkpoint, and so do partitions that are ahead.
    digest = hashlib.blake2b(text, digest_size=8).hexdigest()
    answer = {"etag": f'"{page.position}-{digest}"', "cache-control": "no-cache", "vary": "accept"}
    if knows(headers, answer["etag"]):
        return Response(status_code=304, headers=answer)
    if page.next_offset is not None:
        rest = [(name, parameters.one(name) or "") for name in parameters.names if name != "offset"]
        query = urlencode([*rest, ("offset", page.next_offset)])
        answer["link"] = f'<?{query}>; rel="next"'
    if wait and position is not None:
        answer["preference-applied"] = f"wait={wait}"
    return Response(text, headers=answer, media_type=JSON)


async def _position(store: EventStore, headers: Headers) -> int | None:
    """Give what is to be waited for. Raises 409 if it is of another epoch: it would never come."""
    wanted = wanted_position(headers)
    if wanted is None:
        return None
    position, epoch = wanted
    if epoch is not None and (head := await store.head()).epoch != epoch:
        raise HttpError(
            "position-not-reached",
            f"the log is at position {head.position} of epoch {head.epoch}: the request asks for a "
            f"state at or after position {position} of epoch {epoch}",
            head=head.position,
            epoch=head.epoch,
        )
    return position
