"""What web pages can do to a service on their visitor's machine, with a real browser: nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.browser.chromium import BROWSER, DRIVER, Browser, browsing
from tests.client.serving import serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_postgres,
    pytest.mark.skipif(DRIVER is None, reason="there is no chromedriver on PATH"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on PATH"),
]

EVIL = "evil.example"
REBINDING = f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"
"""The attacker's name has become the visitor's own address."""
SENT = """
const [path, options] = args;
const answer = await fetch(path, options);
return [answer.status, await answer.text()];
"""
UNASKED = """
const [url, method, type] = args;
const body = type === null ? undefined : new Blob(['{"max": 1000, "member": "evil"}'], {type});
try { await fetch(url, {method, mode: 'no-cors', body}); return 'sent'; }
catch (error) { return 'refused by the browser'; }
"""
FORM = """
const [url] = args;
const frame = document.createElement('iframe');
frame.name = 'there';
document.body.append(frame);
const form = document.createElement('form');
Object.assign(form, {action: url, method: 'post', target: 'there', enctype: 'text/plain'});
document.body.append(form);
const loaded = new Promise(tell => { frame.onload = tell; });
form.submit();
await loaded;
frame.remove();
"""


class Page(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "21")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def page() -> Iterator[int]:
    """Serve the attacker's page; give its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, name="page")
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser for which the attacker's name is this machine."""
    with browsing(tmp_path, REBINDING) as running:
        yield running


def test_a_page_that_takes_its_name_for_our_address_gets_nothing(
    browser: Browser, dsn: str, sync_store: SyncEventStore
) -> None:
    """DNS rebinding: to the browser it is the same origin, so that it asks nobody."""
    sync_store.append("order-1", EventData("Secret"))
    sync_store.consumers.create("mails")
    with serving(dsn) as service:
        there = service.url.replace("127.0.0.1", EVIL)
        browser.open(f"{there}/docs")
        requests = [
            ("/events", {}),
            ("/streams/order-1", {"method": "POST", "body": '{"type": "Forged"}'}),
            ("/consumers/mails", {"method": "DELETE"}),
            ("/consumers/mails/receive", {"method": "POST"}),
        ]
        for path, options in requests:
            headers = {"content-type": "application/json"}
            status, text = browser.run(SENT, path, options | {"headers": headers})
            assert status == 421, path
            assert "Secret" not in text
        assert httpx.get(f"{service.url}/consumers/mails").status_code == 200
    assert sync_store.stream_head("order-1") == 0


def test_a_page_of_another_origin_changes_nothing(
    browser: Browser, dsn: str, sync_store: SyncEventStore
) -> None:
    """CSRF: what a browser sends unasked, and shows no answer to."""
    sync_store.append("order-1", [EventData("Placed"), EventData("Paid")])
    sync_store.consumers.create("mails")
    with serving(dsn) as service, page() as port:

        def status() -> object:
            found = httpx.get(f"{service.url}/consumers/mails").json()
            return {name: found[name] for name in ("in_flight", "parked", "held", "members")}

        before = status()
        for name in (EVIL, "127.0.0.1", "localhost"):
            browser.open(f"http://{name}:{port}/")
            for path in ("receive", "parked/replay", "parked/drop"):
                url = f"{service.url}/consumers/mails/{path}"
                for kind in (None, "", "text/plain"):
                    assert browser.run(UNASKED, url, "POST", kind) == "sent"
                browser.run(FORM, url)
            browser.run(UNASKED, f"{service.url}/consumers/mails", "DELETE", None)
        assert status() == before
    assert sync_store.head().position == 2
