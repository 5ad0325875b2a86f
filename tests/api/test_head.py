"""HEAD wherever there is GET: the same head, and no body (RFC 9110, 9.1 and 9.3.2)."""

from __future__ import annotations

import re

import httpx
import pytest

from eventstore_api.dispatch import Dispatcher
from tests.api.rest import append, raw_request

pytestmark = pytest.mark.one_postgres
VALUES = {"{stream_name}": "order-1", "{revision}": "0"}
"""Of parameters in paths; others have one that names nothing."""


async def paths_with_get(http: httpx.AsyncClient) -> list[str]:
    paths = (await http.get("/openapi.json")).json()["paths"]
    return [
        re.sub(r"\{\w+\}", lambda name: VALUES.get(name[0], "none"), path)
        for path, operations in paths.items()
        if "get" in operations
    ] + ["/openapi.json", "/docs"]


async def test_head_is_answered_as_get_up_to_the_body(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    await append(http, "order-1")
    for path in await paths_with_get(http):
        with subtests.test(path):
            got, head = await http.get(path), await http.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            for name in set(got.headers) - {"content-length"}:
                assert head.headers.get(name) == got.headers[name], name
            length = head.headers.get("content-length")
            assert length in (None, got.headers.get("content-length"))


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
async def test_the_head_of_what_has_no_end_is_answered_at_once(
    app: Dispatcher, http: httpx.AsyncClient, accept: str
) -> None:
    await append(http, "order-1")
    raw = [(b"accept", accept.encode()), (b"host", b"localhost")]
    answer = await raw_request(app, "HEAD", b"/events", headers=raw)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith(accept)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_not_modified_has_no_length(http: httpx.AsyncClient, method: str) -> None:
    await append(http, "order-1")
    etag = (await http.get("/streams/order-1")).headers["etag"]
    answer = await http.request(method, "/streams/order-1", headers={"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("path", ["/appends", "/projections/orders/pause", "/nothing"])
async def test_where_nothing_is_to_be_got_head_is_no_success(
    http: httpx.AsyncClient, path: str
) -> None:
    assert (await http.head(path)).status_code in (404, 405)
