"""Commands over HTTP, to the deciders of the App; and its types as JSON Schema."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response

from eventstore import (
    ANY,
    App,
    Decider,
    DeciderFailed,
    EventData,
    Handled,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from eventstore.codec import decode_strictly, json_schema
from eventstore.core.events import check_tags
from eventstore.core.jsontext import encode_json
from eventstore.deciders import log_failed
from eventstore_api.bodies import small_body, takes
from eventstore_api.headers import Headers, expected_revision, idempotency_key, waiting
from eventstore_api.models import Commands, HandledCommand, Schemas
from eventstore_api.parameters import decode
from eventstore_api.problems import HttpError
from eventstore_api.routes.append import applied, stored_headers
from eventstore_api.routes.listing import Store, accepts_json
from eventstore_api.wire import WaitOut, decoded, located, raw_text
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["commands"], dependencies=[Depends(accepts_json)])
_EMPTY: Final = msgspec.Raw(b"{}")


class CommandIn(msgspec.Struct, forbid_unknown_fields=True):
    """A command to one stream, named whole or by the id of its entity."""

    stream: str | None = None
    id: str | None = None
    data: msgspec.Raw = _EMPTY
    metadata: msgspec.Raw = _EMPTY
    tags: list[str] = []


class EventOut(msgspec.Struct):
    """An event that a command has caused."""

    position: int
    revision: int
    id: str
    type: str
    data: msgspec.Raw
    metadata: msgspec.Raw
    tags: list[str]


class HandledOut(msgspec.Struct, omit_defaults=True):
    """What a command has caused. `revision` is the stream's, left out if it has no event."""

    stream: str
    events: list[EventOut]
    position: int
    replayed: bool
    revision: int | None = None
    wait: WaitOut | None = None


_command: Final = msgspec.json.Decoder(CommandIn)


def current_app(request: Request) -> App:
    """Give the App that the service was started with; an empty one without."""
    app: App = request.app.state.app
    return app


TheApp = Annotated[App, Depends(current_app)]
Segment = Annotated[str, Path(min_length=1)]


@router.get("/commands", response_model=Commands, summary="Every command that is taken")
async def list_commands(app: TheApp) -> Response:
    found = [
        {
            "decider": decider.name,
            "command": name,
            "category": decider.category,
            "schema": json_schema(kind),
        }
        for decider in app.deciders
        for name, kind in decider.commands.items()
    ]
    return _json({"commands": found})


@router.post(
    "/commands/{decider}/{command}",
    response_model=HandledCommand,
    openapi_extra=takes("Command"),
    summary="Decide a command on its stream, and append what it causes",
)
async def post_command(
    decider: Segment, command: Segment, request: Request, store: Store, app: TheApp
) -> Response:
    headers = Headers(request.scope["headers"])
    made, kind = _found(app, decode(decider, "the decider"), decode(command, "the command"))
    if expected_revision(headers) is not ANY:
        raise HttpError(
            "malformed-request",
            "a command is decided on the state that it finds: no If-Match, and no If-None-Match",
        )
    wanted = waiting(headers)
    key = idempotency_key(headers)
    body = decoded(_command, await small_body(request, most=store.limits.event_bytes))
    stream_name = _stream(made, body)
    value = decode_strictly(kind, raw_text(body.data, "$.data"), path="$.data")
    metadata = json.loads(raw_text(body.metadata, "$.metadata"))
    if not isinstance(metadata, dict):
        raise InvalidInput("metadata is an object", path="$.metadata")
    tags = check_tags(body.tags, store.limits, path="$")
    if wanted.projection is not None:
        await store.wait_for(wanted.projection, position=0, timeout=0)  # is there one?
    try:
        handled = await store.handle(
            made, stream_name, value, command_id=key, tags=tags, metadata=metadata
        )
    except DeciderFailed as failed:
        log_failed(failed)
        raise
    except asyncio.CancelledError:  # the service ends, and has waited long enough
        raise OutcomeUnknown(()) from None
    return await _answer(store, handled, wanted)


async def _answer(store: Store, handled: Handled[Any], wanted: Any) -> Response:
    appended = handled.appended
    out = HandledOut(handled.stream_name, [], handled.position, handled.replayed, handled.revision)
    waited: dict[str, str] = {}
    if appended is not None:
        first = appended.position - len(handled.written) + 1
        out.events = [
            _event(one, first + n, appended.first_revision + n)
            for n, one in enumerate(handled.written)
        ]
        out.wait, waited = await applied(store, [appended], wanted)
    headers = {
        **stored_headers(handled.position, store.epoch, replayed=handled.replayed),
        **waited,
        "cache-control": "no-store",
    }
    if handled.revision is not None:
        headers["etag"] = f'"{handled.revision}"'
    return Response(to_json(out), headers=headers)


def _event(event: EventData, position: int, revision: int) -> EventOut:
    return EventOut(
        position,
        revision,
        str(event.event_id),
        event.event_type,
        msgspec.Raw(encode_json(event.data).encode()),
        msgspec.Raw(encode_json(dict(event.metadata)).encode()),
        list(event.tags),
    )


def _found(app: App, decider: str, command: str) -> tuple[Decider[Any], type]:
    for made in app.deciders:
        if made.name == decider:
            if command not in made.commands:
                known = ", ".join(made.commands)
                raise NotFound(f"{decider} has no command {command[:60]!r}; known: {known}")
            return made, made.commands[command]
    if not app.deciders:
        raise NotFound("no commands here: start the service with --app, and deciders in the App")
    known = ", ".join(made.name for made in app.deciders)
    raise NotFound(f"there is no decider {decider[:60]!r}; known: {known}")


def _stream(decider: Decider[Any], body: CommandIn) -> str:
    if (body.stream is None) == (body.id is None):
        raise InvalidInput("give stream, a name, or id, what is behind its category", path="$")
    if body.stream is not None:
        return located("$.stream", decider.check_stream, body.stream)
    return located("$.id", decider.stream, body.id or "")


@router.get("/schemas", response_model=Schemas, summary="Event types of the App, as JSON Schema")
async def list_schemas(app: TheApp) -> Response:
    return _json(
        {
            "schemas": [
                {
                    "type": name,
                    "version": app.events.version_of(name),
                    "schema": json_schema(app.events[name]),
                }
                for name in sorted(app.events)
            ]
        }
    )


@router.get(
    "/schemas/{event_type}",
    response_model=dict[str, Any],
    summary="The JSON Schema of an event type's data, in its present version",
)
async def get_schema(event_type: Segment, app: TheApp) -> Response:
    name = decode(event_type, "the event type")
    if (kind := app.events.get(name)) is None:
        raise NotFound(f"{name[:60]!r} is no event type of the App")
    return _json({"$schema": "https://json-schema.org/draft/2020-12/schema", **json_schema(kind)})


def _json(body: object) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(to_json(body), headers=headers)
