"""The page /docs in a browser that reaches nothing but the service, direct and behind a prefix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eventstore.sync import SyncEventStore
from tests.browser.chromium import BROWSER, DRIVER, browsing
from tests.client.serving import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_postgres,
    pytest.mark.skipif(DRIVER is None, reason="there is no chromedriver on PATH"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on PATH"),
]

NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
SHOWN = """
const until = async holds => { while (!holds()) await new Promise(requestAnimationFrame); };
const at = selector => document.querySelector(selector);
const press = async selector => { await until(() => at(selector)); at(selector).click(); };
await until(() => document.querySelectorAll('.opblock').length > 30);
await press('#operations-default-list_categories_categories_get .opblock-summary-control');
await press('#operations-default-list_categories_categories_get .try-out__btn');
await press('#operations-default-list_categories_categories_get .execute');
await until(() => at('.live-responses-table .response-col_status'));
return {
  title: at('.info .title').innerText,
  asked: at('.request-url pre').innerText,
  status: at('.live-responses-table .response .response-col_status').innerText,
};
"""


def test_it_shows_every_route_and_tries_one_without_a_network(
    tmp_path: Path, dsn: str, sync_store: SyncEventStore
) -> None:
    with serving(dsn) as service, browsing(tmp_path, NOWHERE) as browser:
        browser.open(f"{service.url}/docs")
        shown = browser.run(SHOWN)
        assert "eventstore" in shown["title"]
        assert shown["asked"] == f"{service.url}/categories"
        assert shown["status"].startswith("200")
        assert browser.log() == []
        if folder := os.environ.get("EVENTSTORE_TEST_SCREENSHOTS"):
            (Path(folder) / "docs.png").write_bytes(browser.screenshot())
