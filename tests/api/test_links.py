"""Links are relative to what was asked for, so that they hold behind a proxy's path prefix."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from eventstore_api.dispatch import Dispatcher
from tests.api.rest import appended, location, next_page, stream_path

pytestmark = pytest.mark.one_postgres

PREFIX = "/es/store-1"


class Proxy(httpx.AsyncBaseTransport):
    """Takes a path prefix away, as a proxy does that says nothing of it."""

    def __init__(self, app: Dispatcher) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        assert path.startswith(f"{PREFIX}/"), path
        url = request.url.copy_with(raw_path=path.removeprefix(PREFIX).encode())
        inner = httpx.Request(
            request.method, url, headers=request.headers, content=await request.aread()
        )
        return await self._inner.handle_async_request(inner)


@pytest.fixture
async def http(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """A client that knows the service by a path prefix."""
    url = f"http://localhost{PREFIX}/"
    async with httpx.AsyncClient(transport=Proxy(app), base_url=url) as client:
        yield client


NAMES = [
    "pfx-1",
    "a:b",
    "urn:a/b?c#d",
    "a>b;rel=next,<c>",
    'q"uote',
    "100%",
    "ż ",
    "..",
    "a..",
    "*",
]


@pytest.mark.parametrize("name", NAMES)
async def test_pages_and_locations_are_found_again(http: httpx.AsyncClient, name: str) -> None:
    written = await http.post(
        stream_path(name)[1:], json=[{"type": "T", "data": n, "tags": ["a>b"]} for n in range(3)]
    )
    assert written.status_code == 201, written.text
    found = await http.get(location(written))
    assert (found.json()["stream"], found.json()["revision"]) == (name, 0)
    quoted = str(httpx.QueryParams({"stream": name, "tag": "a>b", "limit": 2}))
    for address in (f"{stream_path(name)[1:]}?limit=2", f"events?{quoted}"):
        first = await http.get(address)
        assert first.headers["link"].count(">") == 1
        assert first.headers["link"].isascii()
        following = next_page(first)
        assert following is not None
        second = await http.get(following)
        events = first.json()["events"] + second.json()["events"]
        assert [event["data"] for event in events] == [0, 1, 2]
        assert next_page(second) is None


async def test_lists_are_linked_too(http: httpx.AsyncClient) -> None:
    for name in ("a>1", "a>2", "a>3"):
        written = await http.post(stream_path(name)[1:], json={"type": "T"})
        assert written.status_code == 201
    address: str | None = "streams?prefix=a%3E&limit=1"
    seen = []
    while address is not None:
        answer = await http.get(address)
        seen += [one["stream"] for one in answer.json()["streams"]]
        address = next_page(answer)
    assert seen == ["a>1", "a>2", "a>3"]


async def test_what_the_service_is_names_every_list(http: httpx.AsyncClient) -> None:
    root = await http.get("")
    for link in root.json()["links"].values():
        assert (await http.get(str(root.url.join(link)))).status_code == 200


async def test_a_path_as_it_should_not_be_sent_breaks_no_link(http: httpx.AsyncClient) -> None:
    """Some clients send `>` as it is."""
    await appended(http, "seed")
    await http.post(stream_path("a>b")[1:], json=[{"type": "T"}, {"type": "T"}])
    url = httpx.URL("http://localhost").copy_with(raw_path=f"{PREFIX}/streams/a>b?limit=1".encode())
    answer = await http.get(url)
    assert answer.headers["link"] == '<?limit=1&after=0>; rel="next"'
