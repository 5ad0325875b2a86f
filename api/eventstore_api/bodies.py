"""Small JSON bodies of requests that FastAPI routes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request

from eventstore import LimitExceeded
from eventstore_api.headers import JSON, Headers, media_type
from eventstore_api.problems import HttpError

MOST: Final = 1 << 18
"""Bytes of a body, unless a route says otherwise."""


async def small_body(request: Request, *, needed: bool = True) -> bytes:
    """Give a small JSON body. Raises 413 and 415. One that is not `needed` may be left out."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST:
            raise LimitExceeded(f"a request body is at most {MOST} bytes here")
    if not body and not needed:
        return b"{}"
    if (kind := media_type(Headers(request.scope["headers"]))) != JSON:
        raise HttpError("unsupported-media-type", f"the body is {JSON}: {kind[:60]}")
    return bytes(body)


def takes(model: str, *, needed: bool = True) -> dict[str, Any]:
    """Describe such a body."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": needed, "content": {JSON: {"schema": schema}}}}
