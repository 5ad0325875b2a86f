"""A browser's own EventSource, in a page of another origin, follows the log."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from eventstore import EventData
from eventstore.sync import SyncEventStore
from tests.browser.chromium import BROWSER, DRIVER, PATIENCE, Browser, browsing
from tests.client.serving import serving
from tests.fix_psql import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_postgres,
    pytest.mark.skipif(DRIVER is None, reason="there is no chromedriver on PATH"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on PATH"),
]

PAGE = b"""<!doctype html><meta charset="utf-8"><title>log</title><script>
const seen = [], losses = [], waiting = [];
let source;
function look() {
  for (const one of waiting.splice(0)) one.holds() ? one.tell() : waiting.push(one);
}
function until(holds) {
  return new Promise(tell => { waiting.push({holds, tell}); look(); });
}
function follow(url) {
  source = new EventSource(url);
  source.onerror = () => { losses.push(source.readyState); look(); };
  for (const type of ["Placed", "Paid", "caught-up"])
    source.addEventListener(type, frame => {
      const at = performance.timeOrigin + performance.now();
      seen.push({kind: type, at, last: frame.lastEventId, ...JSON.parse(frame.data)});
      look();
    });
}
</script>"""
SEEN = "await until(() => seen.length >= args[0]); return seen"
EVENTS = 20
TYPICALLY_WITHIN = 0.25
"""Seconds from commit to page, median of EVENTS, that a loaded machine keeps too: an idle one takes
3 ms. It would be a second if no notification arrived and the log were looked at instead."""


class Page(BaseHTTPRequestHandler):
    """Serves the page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


POLYFILL = "event-source-polyfill@1.0.31"
POLYFILLED = """
const [url, script] = args;
const element = document.createElement('script');
element.textContent = script;
document.head.append(element);
source = new EventSourcePolyfill(url, {headers: {Authorization: 'Bearer token'}});
source.onerror = () => { losses.push(source.readyState); look(); };
source.onmessage = frame => {
  seen.push({last: frame.lastEventId, ...JSON.parse(frame.data)});
  look();
};
"""


@pytest.fixture(scope="module")
def polyfill(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of npm's event-source-polyfill, which can send headers."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm on PATH")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "pack", "--silent", POLYFILL]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if packed.returncode != 0:
        pytest.skip(f"npm does not give {POLYFILL}: {packed.stderr[-200:]}")
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        file = archive.extractfile("package/src/eventsource.js")
        assert file is not None
        return file.read().decode()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The page's own origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, name="page")
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(tmp_path: Path, origin: str) -> Iterator[Browser]:
    """A browser that shows the page."""
    with browsing(tmp_path) as running:
        running.open(origin)
        yield running


def reached(browser: Browser, count: int) -> list[dict[str, Any]]:
    """Wait until the page has seen so many frames; give all that it has."""
    seen: list[dict[str, Any]] = browser.run(SEEN, count)
    return seen


def committed(psql: Run, number: int) -> float:
    """Append by psql; give the time just before that is committed, in seconds since 1970."""
    return float(
        psql(
            "SELECT extract(epoch FROM clock_timestamp())"
            f""" FROM eventstore.append('order-1', 'Paid', '{{"n": {number}}}')"""
        )
    )


def test_history_then_caught_up_then_what_psql_appends_at_once(
    browser: Browser, origin: str, dsn: str, sync_store: SyncEventStore, psql: Run
) -> None:
    sync_store.append(
        "order-1", [EventData("Placed", {"text": "\u017c\u2028x"}), EventData("Paid")]
    )
    with serving(dsn, "--allow-origin", origin) as service:
        browser.run("follow(args[0])", f"{service.url}/events?category=order")
        placed, paid, caught_up = reached(browser, 3)
        assert (placed["kind"], placed["data"]) == ("Placed", {"text": "\u017c\u2028x"})
        assert (paid["position"], paid["last"]) == (2, "2;epoch=1")
        assert (caught_up["kind"], caught_up["head"]) == ("caught-up", 2)
        delays = []
        for number in range(EVENTS):
            at = committed(psql, number)
            frame = reached(browser, 4 + number)[-1]
            assert (frame["position"], frame["data"]) == (3 + number, {"n": number})
            delays.append(frame["at"] / 1_000 - at)
        print(f"commit to page: median {median(delays):.4f} s, most {max(delays):.4f} s")
        assert median(delays) < TYPICALLY_WITHIN


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_it_comes_back_by_itself_after_a_restart_with_every_event_once(
    browser: Browser, origin: str, dsn: str, sync_store: SyncEventStore, ending: signal.Signals
) -> None:
    sync_store.append("a", [EventData("Placed")] * 3)
    with ExitStack() as stack:
        service = stack.enter_context(serving(dsn, "--allow-origin", origin))
        browser.run("follow(args[0])", f"{service.url}/events")
        reached(browser, 4)
        service.process.send_signal(ending)
        browser.run("await until(() => losses.length)")
        service.process.wait(PATIENCE)
        sync_store.append("a", [EventData("Paid")] * 3)
        port = int(service.url.rpartition(":")[2])
        stack.enter_context(serving(dsn, "--allow-origin", origin, port=port))
        browser.run("await until(() => seen.some(frame => frame.position === 6))")
        sync_store.append("a", [EventData("Placed")] * 3)
        browser.run("await until(() => seen.some(frame => frame.position === 9))")
        events = [frame for frame in reached(browser, 0) if frame["kind"] != "caught-up"]
        assert [event["position"] for event in events] == list(range(1, 10))
        assert browser.run("return losses.every(state => state === EventSource.CONNECTING)")


def test_a_polyfill_that_sends_a_token_comes_back_by_its_query_parameter(
    browser: Browser, origin: str, dsn: str, sync_store: SyncEventStore, polyfill: str
) -> None:
    sync_store.append("a", [EventData("Placed")] * 3)
    with ExitStack() as stack:
        service = stack.enter_context(serving(dsn, "--allow-origin", origin))
        browser.run(POLYFILLED, f"{service.url}/events?frames=message", polyfill)
        reached(browser, 3)
        service.kill()
        browser.run("await until(() => losses.length)")
        sync_store.append("a", [EventData("error"), EventData("Paid")])
        port = int(service.url.rpartition(":")[2])
        stack.enter_context(serving(dsn, "--allow-origin", origin, port=port))
        events = reached(browser, 5)
        assert [event["position"] for event in events] == [1, 2, 3, 4, 5]
        assert [event["type"] for event in events[3:]] == ["error", "Paid"]
        assert browser.run("return losses.every(state => state === EventSource.CONNECTING)")


def test_a_page_of_another_origin_sees_nothing(
    browser: Browser, dsn: str, sync_store: SyncEventStore
) -> None:
    sync_store.append("a", EventData("Placed"))
    with serving(dsn, "--allow-origin", "http://localhost:1") as service:
        browser.run("follow(args[0]); await until(() => losses.length)", f"{service.url}/events")
        assert browser.run("return [seen.length, source.readyState]") == [0, 2]
        json = "headers: {'content-type': 'application/json'}"
        append = f"await fetch(args[0], {{method: 'POST', body: args[1], {json}}})"
        with pytest.raises(AssertionError, match="Failed to fetch"):
            browser.run(append, f"{service.url}/streams/a", '{"type": "Placed"}')
    assert sync_store.stream_head("a") == 0
