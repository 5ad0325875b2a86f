"""The page /docs: what it is made of comes with the service, and it may do little."""

from __future__ import annotations

import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import httpx
import pytest

import eventstore_api
from tests.api.rest import problem

pytestmark = pytest.mark.one_postgres

VENDORED: Final = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
FOLDER: Final = Path(eventstore_api.__file__).parent / "docs"


class Links(HTMLParser):
    """Collects what a page loads, and the scripts that are written into it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.loaded += [value for name in ("src", "href") if (value := known.get(name))]
        self.inline += [name for name in known if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in known):
            self.inline.append(tag)


async def test_all_that_the_page_loads_is_served_beside_it(shared_http: httpx.AsyncClient) -> None:
    page = await shared_http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    links = Links(page.text)
    assert links.inline == []
    kinds = {}
    for link in links.loaded:
        if link.startswith("data:"):
            continue
        assert not re.match(r"/|\w+:", link), "relative, so that a path prefix is kept"
        answer = await shared_http.get(str(page.url.join(link)))
        assert answer.status_code == 200, link
        kinds[link] = answer.headers["content-type"].partition(";")[0]
        assert not re.search(r"(src|href|import)\W{1,4}https?://", answer.text[:5_000])
    assert kinds == {
        "docs/swagger-ui.css": "text/css",
        "docs/swagger-ui-bundle.js": "text/javascript",
        "docs/start.js": "text/javascript",
        "openapi.json": "application/json",
    }


async def test_the_page_may_load_and_ask_nothing_from_elsewhere_and_be_in_no_frame(
    shared_http: httpx.AsyncClient,
) -> None:
    for path in ("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
        headers = (await shared_http.get(path)).headers
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in headers["content-security-policy"].split(";")
        )
        assert policy.pop("img-src") == "'self' data:"
        assert {"'self'", "'none'"} == set(policy.values())
        assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


async def test_nothing_else_is_served_from_the_folder(shared_http: httpx.AsyncClient) -> None:
    for path in ("/docs/index.html", "/docs/..%2Fapp.py", "/docs/swagger-ui", "/docs/LICENSE"):
        problem(await shared_http.get(path), 404, "not-found")
    for path in ("/docs/../app.py", "/docs/%2E%2E/app.py", "/redoc"):
        assert (await shared_http.get(path)).status_code == 404


def test_what_is_not_ours_is_as_its_source_says() -> None:
    folder = FOLDER / "swagger-ui"
    found = {name: sha256((folder / name).read_bytes()).hexdigest() for name in VENDORED}
    assert found == VENDORED
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


async def test_the_description_is_true_behind_a_path_prefix(shared_http: httpx.AsyncClient) -> None:
    described = (await shared_http.get("/openapi.json")).json()
    assert described["servers"] == [{"url": "."}]
