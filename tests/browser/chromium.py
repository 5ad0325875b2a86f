"""Headless Chromium, driven over WebDriver's plain HTTP by chromedriver."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

DRIVER: Final = shutil.which("chromedriver")
BROWSER: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE: Final = 60.0
"""Seconds for a browser to start, or a script to come to its end, on a busy machine."""
_PORT: Final = re.compile(r"started successfully on port (\d+)")
_ARGUMENTS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--no-proxy-server",
)


class Browser:
    """One window."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._session = session

    def open(self, url: str) -> None:
        """Load a page."""
        self._call("/url", {"url": url})

    def run(self, script: str, *args: object) -> Any:
        """Run the body of an async function with `args`; give what it returns."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async (...args) => {{ {script} }})(...arguments)"
            ".then(value => done({value}), error => done({error: String(error)}))"
        )
        answer = self._call("/execute/async", {"script": wrapped, "args": args})
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def log(self) -> list[str]:
        """Return what the browser has logged since the last call, refusals by a policy too."""
        return [entry["message"] for entry in self._call("/se/log", {"type": "browser"})]

    def screenshot(self) -> bytes:
        """Return what is to be seen, as PNG."""
        answer = self._http.get(f"{self._session}/screenshot")
        return base64.b64decode(_value(answer))

    def _call(self, path: str, body: dict[str, Any]) -> Any:
        return _value(self._http.post(f"{self._session}{path}", json=body))


def _value(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()["value"]


@contextmanager
def browsing(profile: Path, *options: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own, and end both."""
    arguments = [*_ARGUMENTS, *options, f"--user-data-dir={profile}"]
    if os.getuid() == 0:
        arguments.append("--no-sandbox")  # which does not work as root
    chrome = {"binary": BROWSER, "args": arguments}
    wanted = {
        "alwaysMatch": {
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": int(PATIENCE * 1_000)},
        }
    }
    with _driver(profile) as url, httpx.Client(timeout=2 * PATIENCE, trust_env=False) as http:
        made = _value(http.post(f"{url}/session", json={"capabilities": wanted}))
        session = f"{url}/session/{made['sessionId']}"
        try:
            yield Browser(http, session)
        finally:
            _value(http.delete(session))


@contextmanager
def _driver(home: Path) -> Iterator[str]:
    assert DRIVER is not None
    process = subprocess.Popen(
        [DRIVER, "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HOME": str(home)},  # where the browser keeps what is of no profile
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := _PORT.search(line):
                yield f"http://127.0.0.1:{found[1]}"
                return
        raise AssertionError("chromedriver ended at once:\n" + "".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
