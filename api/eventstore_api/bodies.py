"""Small JSON bodies of requests that FastAPI routes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request

from eventstore import LimitExceeded
from eventstore_api.headers import JSON, Headers, media_type, refuse_cloudevent
from eventstore_api.problems import HttpError

MOST: Final = 1 << 18
"""Bytes of a body, unless a route says otherwise."""


async def no_cloudevent(request: Request) -> None:
    """Refuse a request that would change something and is a CloudEvent by its headers."""
    if request.method not in ("GET", "HEAD"):
        refuse_cloudevent(Headers(request.scope["headers"]))


async def small_body(request: Request, *, needed: bool = True, most: int = MOST) -> bytes:
    """Give a small JSON body. Raises 413 and 415. One that is not `needed` may be left out."""
    headers = Headers(request.scope["headers"])
    is_announced = headers.get(b"content-type") is not None
    if not needed and not is_announced:
        headers = Headers([(b"content-type", JSON.encode())])
    if (kind := media_type(headers)) != JSON:
        raise HttpError("unsupported-media-type", f"the body is {JSON}: {kind[:60]}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise LimitExceeded(f"a request body is at most {most} bytes here")
    if not body and not needed and is_announced:
        # What the defaults would do is not what was asked for: something on the way lost it.
        raise HttpError(
            "malformed-request", "a body was announced by its content type, and is empty"
        )
    return bytes(body) or (b"" if needed else b"{}")


def takes(model: str, *, needed: bool = True) -> dict[str, Any]:
    """Describe such a body."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"requestBody": {"required": needed, "content": {JSON: {"schema": schema}}}}
