"""What the service is, and whether it works."""

from __future__ import annotations

import re
import uuid

import httpx

from tests.api.rest import appended


async def test_the_root_tells_what_this_is_and_where_everything_is(
    http: httpx.AsyncClient,
) -> None:
    await appended(http, "order-1", 3)
    body = (await http.get("/")).json()

    uuid.UUID(body["store_id"])
    assert (body["epoch"], body["head"]) == (1, 3)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", body["version"])
    for link in body["links"].values():
        assert not link.startswith("/"), "relative, so that a path prefix is kept"
        assert (await http.get(link)).status_code == 200, link


async def test_a_service_that_works_is_live_and_ready(shared_http: httpx.AsyncClient) -> None:
    for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
        answer = await shared_http.get(path)
        assert answer.status_code == 200
        assert answer.json() == {"status": status, "reasons": []}
