"""What no route answers: other methods, other paths, other parameters."""

from __future__ import annotations

import httpx
import pytest

from tests.api.rest import head, problem

pytestmark = pytest.mark.one_postgres


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD"),
        ("/streams", "GET, HEAD"),
        ("/streams/order-1", "GET, HEAD, POST"),
        ("/streams/a%2Fb", "GET, HEAD, POST"),
        ("/streams/order-1/0", "GET, HEAD"),
        ("/events", "GET, HEAD"),
        ("/events/0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852", "GET, HEAD"),
        ("/appends", "POST"),
        ("/categories", "GET, HEAD"),
        ("/event-types", "GET, HEAD"),
        ("/health/live", "GET, HEAD"),
        ("/health/ready", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_refused_with_those_that_are(
    shared_http: httpx.AsyncClient, path: str, allowed: str
) -> None:
    before = await head(shared_http)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        if method not in allowed:
            answer = await shared_http.request(method, path)
            problem(answer, 405, "method-not-allowed", method)
            assert answer.headers["allow"] == allowed
    assert await head(shared_http) == before


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/Streams",
        "/stream",
        "/streams/a/0/b",
        "/streams/a/",
        "/events/",
        "/events/a/b",
        "/appends/",
        "/categories/order",
        "/health",
        "/metrics/x",
        "//events",
        "/%65vents",
    ],
)
async def test_what_is_not_there_is_not_found(shared_http: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await shared_http.request(method, f"http://service{path}")
        problem(answer, 404, "not-found", path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/streams",
        "/streams/order-1",
        "/streams/order-1/0",
        "/events",
        "/events/0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852",
        "/categories",
        "/event-types",
        "/health/live",
        "/health/ready",
    ],
)
async def test_unknown_parameters_are_refused_not_ignored(
    shared_http: httpx.AsyncClient, path: str
) -> None:
    answer = await shared_http.get(f"{path}?colour=red")
    problem(answer, 400, "malformed-request", "unknown query parameter 'colour'")


@pytest.mark.parametrize("path", ["/streams/order-1", "/appends"])
async def test_an_append_has_no_parameters(shared_http: httpx.AsyncClient, path: str) -> None:
    answer = await shared_http.post(f"{path}?expected_revision=5", json={"type": "A"})
    problem(answer, 400, "malformed-request", "unknown query parameter 'expected_revision'")
