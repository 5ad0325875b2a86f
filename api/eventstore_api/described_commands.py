"""Commands of the App in the API description: each with the schema of its data."""

from __future__ import annotations

import copy
from typing import Any, Final
from urllib.parse import quote

from eventstore import App
from eventstore.codec import codec_of

_ANY_COMMAND: Final = "/commands/{decider}/{command}"


def add_commands(description: dict[str, Any], app: App) -> None:
    """Add a path for every command, beside the one that stands for all of them."""
    schemas = description["components"]["schemas"]
    paths = description["paths"]
    every = paths[_ANY_COMMAND]["post"]
    every["parameters"] += _HEADERS
    _answer(every)
    for decider in app.deciders:
        for name, kind in decider.commands.items():
            prefix = f"{decider.name}.{quote(name, safe='').replace('%', '_')}"
            ref = f"#/components/schemas/{prefix}.{{name}}"
            data, definitions = codec_of(kind).schema(ref)
            schemas.update({f"{prefix}.{key}": value for key, value in definitions.items()})
            body = copy.deepcopy(schemas["Command"])
            body["properties"]["data"] = data
            if _needs_data(data, definitions):
                body["required"] = ["data"]
            operation = copy.deepcopy(every)
            operation["parameters"] = _HEADERS
            operation["operationId"] = f"command_{prefix}"
            operation["summary"] = f"{name}: a command of {decider.name}"
            operation["requestBody"]["content"]["application/json"]["schema"] = body
            paths[f"/commands/{decider.name}/{quote(name, safe='')}"] = {"post": operation}


def command_problems(path: str, method: str) -> set[str]:
    """Give the slugs of the problems that a route of commands or schemas may answer with."""
    slugs = {"malformed-request", "not-acceptable", "unavailable", "internal-error"}
    if method == "post":
        slugs |= {"command-refused", "decider-failed", "invalid-request", "unreadable-event"}
        slugs |= {"revision-conflict", "limit-exceeded", "unsupported-media-type", "not-found"}
        slugs.add("outcome-unknown")
    if "{" in path:
        slugs.add("not-found")
    return slugs


def _needs_data(data: dict[str, Any], definitions: dict[str, Any]) -> bool:
    described = definitions.get(data.get("$ref", "").rpartition(".")[2], data)
    return bool(described.get("required"))


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": schema,
        "description": description,
    }


_HEADERS: Final = [
    _header(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255},
        "The command's id: sent again, it gives its first answer and appends nothing",
    ),
    _header(
        "Prefer",
        {"type": "string"},
        'wait=2; for="orders": answer after this projection has applied the events, or so many '
        "seconds (55 at most) later",
    ),
]


def _answer(operation: dict[str, Any]) -> None:
    operation["responses"]["200"]["headers"] = {
        "Event-Position": {
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9]+;epoch=[1-9][0-9]*$"},
            "description": "<position>;epoch=<n>",
        },
        "ETag": {
            "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
            "description": 'The stream\'s revision: "<revision>"',
        },
        "Idempotency-Replayed": {
            "schema": {"type": "string", "enum": ["true"]},
            "description": "This is a retry: the first answer again",
        },
    }
