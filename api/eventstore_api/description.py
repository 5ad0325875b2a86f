"""The API description: what FastAPI knows, and the hot routes described from the same models."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from eventstore_api import models
from eventstore_api.described_commands import add_commands, command_problems
from eventstore_api.headers import CLOUDEVENT, CLOUDEVENTS, JSON, NDJSON
from eventstore_api.problems import KINDS, PROBLEM_JSON
from eventstore_api.sse import SSE

_MODELS: Final = (
    models.Ack,
    models.Append,
    models.Appended,
    models.AppendedMany,
    models.Appends,
    models.CloudEvent,
    models.Command,
    models.ConsumerGroup,
    models.Drop,
    models.Event,
    models.Nack,
    models.NewEvent,
    models.Page,
    models.Problem,
    models.Rebuild,
    models.Receive,
    models.Replay,
    models.Switch,
)
_BIG: Final = 2**63 - 1


def describe(app: FastAPI) -> None:
    """Let `app.openapi()` describe every route, the hot ones included."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=version("eventstore"),
        summary=app.summary,
        routes=app.routes,
        # Relative to the description's own address, so that it holds behind a path prefix too.
        servers=[{"url": "."}],
    )
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, extra = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
    )
    schemas.update(extra["$defs"])
    paths = schema["paths"]
    for path, operations in _hot_paths().items():
        paths.setdefault(path, {}).update(operations)
    add_commands(schema, app.state.app)
    for path, operations in paths.items():
        for method, operation in operations.items():
            _add_problems(path, method, operation)
    return schema


_CLOUDEVENTS: Final = (
    "Events come as the store's own JSON, or as CloudEvents 1.0: structured, as a batch, or in "
    "binary mode, which `ce-specversion`, `ce-id`, `ce-source` and `ce-type` say. There the body "
    "is the data, Content-Type says what they are (JSON is kept as JSON, text as text, everything "
    "else in base64; an empty body is no data), and each further `ce-` header is an attribute, "
    "percent-encoded. Source and id together are a CloudEvent's identity: sent again, it is "
    "answered as a retry. `tags` lists tags, separated by commas; `\\,` is a comma in a tag."
)


def _add_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    slugs = {"malformed-request", "unavailable", "internal-error"}
    if path.startswith(("/streams", "/events", "/appends")):
        slugs |= {"not-acceptable", "invalid-request", "position-not-reached", "history-rewound"}
    if "{" in path and method != "post":
        slugs.add("not-found")
    if method == "post":
        slugs |= {
            "revision-conflict",
            "duplicate-event-id",
            "idempotency-conflict",
            "limit-exceeded",
        }
        slugs.add("unsupported-media-type")
    if path.startswith("/projections"):
        slugs = _of_projections(path, method, operation)
    if path.startswith("/consumers"):
        slugs = _of_consumers(path, method, operation)
    if path.startswith(("/commands", "/schemas")):
        slugs = command_problems(path, method)
    if "/tables/" in path:
        slugs |= {"position-not-reached", "limit-exceeded"}
    if method == "post" and path in _hot_paths():
        slugs.add("not-found")  # the projection that is to be waited for
    if path == "/health/live":
        slugs = {"malformed-request"}
    slugs.add("misdirected-request")
    if method not in ("get", "head"):
        slugs |= {"forbidden-origin", "unsupported-media-type"}
    by_status: dict[int, list[str]] = {}
    for slug in sorted(slugs):
        by_status.setdefault(KINDS[slug].status, []).append(KINDS[slug].title)
    for status, titles in by_status.items():
        responses.setdefault(
            str(status),
            {
                "description": "; ".join(titles),
                "content": {PROBLEM_JSON: {"schema": _ref("Problem")}},
            },
        )


def _of_projections(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    slugs = {"malformed-request", "not-acceptable", "unavailable", "internal-error"}
    if "{" in path:
        slugs |= {"not-found", "invalid-request", "projection-stopped", "stream-parked"}
    if method == "delete" or path.endswith(("/rebuild", "/switch")):
        slugs.add("projection-refused")
    if "requestBody" in operation:
        slugs |= {"limit-exceeded", "unsupported-media-type"}
    return slugs


def _of_consumers(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    slugs = {"malformed-request", "not-acceptable", "unavailable", "internal-error"}
    if "{" in path:
        slugs |= {"not-found", "invalid-request"}
    if "requestBody" in operation:
        slugs |= {"limit-exceeded", "unsupported-media-type"}
        slugs.add("consumer-refused" if method == "put" else "history-rewound")
    if method == "delete":
        slugs.add("consumer-refused")
    return slugs


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _content(forms: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {name: {"schema": schema} for name, schema in forms}


def _parameter(
    name: str, schema: dict[str, Any], description: str, where: str = "query"
) -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


def _header(description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"required": True, "schema": schema or {"type": "string"}, "description": description}


_POSITION_HEADER: Final = _header(
    "<position>;epoch=<n>", {"type": "string", "pattern": "^[0-9]+;epoch=[1-9][0-9]*$"}
)
_ETAG_HEADER: Final = _header(
    'The stream\'s revision: "<revision>"', {"type": "string", "pattern": '^"[0-9]+"$'}
)
_REPLAYED_HEADER: Final = _header("This is a retry", {"type": "string", "enum": ["true"]})
_HEADERS_OF_APPEND: Final = {
    "ETag": _ETAG_HEADER,
    "Location": _header("The first event"),
    "Event-Position": _POSITION_HEADER,
}
_STREAM_NAME: Final = _parameter(
    "stream_name",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": models.PRINTABLE},
    "1 to 255 bytes, NFC, no control characters; percent-encoded, also `/`",
    "path",
)
_APPEND_HEADERS: Final = [
    _parameter(
        "If-Match",
        {"type": "string", "pattern": r'^(\*|"(0|[1-9][0-9]{0,17})")$'},
        'Expected revision, `"5"`, or `*`: the stream must exist',
        "header",
    ),
    _parameter(
        "If-None-Match",
        {"type": "string", "enum": ["*"]},
        "`*`: the stream must not exist; not together with If-Match",
        "header",
    ),
]
_KEY: Final = _parameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "Event ids are derived from it, so that a retry is the same append",
    "header",
)
_WAIT: Final = _parameter(
    "Prefer",
    {"type": "string"},
    'wait=2; for="orders": answer after this projection has applied it, or so many seconds (55 at '
    "most) later; stored it is in any case, and `wait` of the answer says which",
    "header",
)
_EVENT_POSITION: Final = _parameter(
    "Event-Position",
    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17});epoch=[1-9][0-9]{0,8}$"},
    "As an append gave it: answer from a state at least that new, or 409",
    "header",
)

_FOLLOWING: Final = (
    _parameter(
        "Last-Event-ID",
        {"type": "string", "pattern": "^((0|[1-9][0-9]{0,17})(;epoch=[1-9][0-9]{0,8})?)?$"},
        f"For {SSE}: follow on after this event; wins over `after`",
        "header",
    ),
    _parameter(
        "Prefer",
        {"type": "string"},
        "wait=20: wait so long (55 s at most) for an event if the page would be empty, or known",
        "header",
    ),
)

_KNOWN: Final = _parameter(
    "If-None-Match",
    {"type": "string"},
    "ETags that the reader knows: 304 if one is the head",
    "header",
)


def _read_parameters(what: str, low: int) -> list[dict[str, Any]]:
    bound = {"type": "integer", "minimum": low, "maximum": _BIG}
    return [
        _parameter("after", bound, f"Only events after this {what}"),
        _parameter("before", {**bound, "minimum": 0}, f"Only events before this {what}"),
        _parameter(
            "direction",
            {"type": "string", "enum": ["forward", "backward"], "default": "forward"},
            "Oldest or newest first",
        ),
        _parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            "Most events of a page; large events make it shorter: go on by its `next` link. NDJSON "
            "is unlimited unless this is given",
        ),
    ]


_FRAMES: Final = (
    _parameter(
        "frames",
        {"type": "string", "enum": ["event", "message"], "default": "event"},
        f"For {SSE}: `message` gives every event of the log to `onmessage`, without an `event` "
        "field; its type is in the data",
    ),
    _parameter(
        "lastEventId",
        {"type": "string", "pattern": "^((0|[1-9][0-9]{0,17})(;epoch=[1-9][0-9]{0,8})?)?$"},
        f"For {SSE}: as Last-Event-ID, which wins, for clients that cannot set it",
    ),
)


def _names(name: str, description: str) -> dict[str, Any]:
    texts = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": models.PRINTABLE}
    return _parameter(name, {"type": "array", "items": texts}, description)


def _page_response(what: str) -> dict[str, Any]:
    return {
        "description": f"A page ({JSON}), all up to the head ({NDJSON}), or for ever ({SSE})",
        "headers": {
            "Link": {"schema": {"type": "string"}, "description": 'rel="next" if there is more'},
            **_head_headers(what),
        },
        "content": _content(
            [
                (JSON, _ref("Page")),
                (NDJSON, {"type": "string"}),
                (SSE, {"type": "string"}),
                (CLOUDEVENTS, {"type": "array", "items": _ref("CloudEvent")}),
            ]
        ),
    }


def _head_headers(what: str) -> dict[str, Any]:
    """Give the response header that tells the head: ETag of a stream, Event-Position of the log."""
    if what == "stream":
        return {"ETag": _ETAG_HEADER}
    return {"Event-Position": _POSITION_HEADER}


def _appended_responses(model: str) -> dict[str, Any]:
    headers = _HEADERS_OF_APPEND if model == "Appended" else {"Event-Position": _POSITION_HEADER}
    content = _content([(JSON, _ref(model))])
    return {
        "201": {"description": "Stored", "headers": headers, "content": content},
        "200": {
            "description": "A retry: the first answer again",
            "headers": {**headers, "Idempotency-Replayed": _REPLAYED_HEADER},
            "content": content,
        },
    }


def _hot_paths() -> dict[str, Any]:
    several = {"type": "array", "items": _ref("NewEvent"), "minItems": 1}
    one_or_more = {"oneOf": [_ref("NewEvent"), several]}
    return {
        "/streams/{stream_name}": {
            "post": {
                "summary": "Append to a stream",
                "description": _CLOUDEVENTS,
                "operationId": "append",
                "parameters": [_STREAM_NAME, *_APPEND_HEADERS, _KEY, _WAIT],
                "requestBody": {
                    "required": True,
                    "content": _content(
                        [
                            (JSON, one_or_more),
                            (CLOUDEVENT, _ref("CloudEvent")),
                            (
                                CLOUDEVENTS,
                                {"type": "array", "items": _ref("CloudEvent"), "minItems": 1},
                            ),
                        ]
                    ),
                },
                "responses": _appended_responses("Appended"),
            },
            "get": {
                "summary": "Read a stream",
                "operationId": "read_stream",
                "parameters": [
                    _STREAM_NAME,
                    *_read_parameters("revision", -1),
                    _EVENT_POSITION,
                    _KNOWN,
                    *_FOLLOWING,
                    *_FRAMES,
                ],
                "responses": {
                    "200": _page_response("stream"),
                    "304": {"description": "If-None-Match names the head"},
                },
            },
        },
        "/appends": {
            "post": {
                "summary": "Append to several streams, all or nothing",
                "operationId": "append_many",
                "parameters": [_KEY, _WAIT],
                "requestBody": {"required": True, "content": _content([(JSON, _ref("Appends"))])},
                "responses": _appended_responses("AppendedMany"),
            }
        },
        "/events": {
            "get": {
                "summary": "Read the log, filtered",
                "operationId": "read_log",
                "parameters": [
                    *_read_parameters("position", 0),
                    _names("category", "Any of these categories"),
                    _names("stream", "Any of these streams"),
                    _names("type", "Any of these event types"),
                    _names("tag", "All of these tags"),
                    _parameter(
                        "query",
                        {"type": "string"},
                        'The full query as JSON: {"any_of":[{"types":[],"tags":[],"categories":[],'
                        '"streams":[]}]}; not together with the four above',
                    ),
                    _EVENT_POSITION,
                    *_FOLLOWING,
                    *_FRAMES,
                ],
                "responses": {"200": _page_response("log")},
            }
        },
    }
