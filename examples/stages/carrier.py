"""A carrier to try the stages with: `python -m carrier`. It answers each call after 50 ms."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any, Self


class Carrier:
    """A server on a port of this machine (0: any free one). Use as `with Carrier() as carrier`.

    `parcels` is what it has been told of, by idempotency key; `pause` is called before each answer.
    """

    def __init__(self, port: int = 0, *, pause: Callable[[], object] = lambda: sleep(0.05)) -> None:
        self.parcels: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.at_once = 0
        self.most_at_once = 0
        self._pause = pause
        self._counting = threading.Lock()
        self._http = _Server(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=[0.02])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def take(self, key: str, parcel: dict[str, Any]) -> dict[str, Any]:
        """Take a parcel, or one with this key again; give what it is called here."""
        with self._counting:
            self.calls += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self._pause()
        with self._counting:
            self.at_once -= 1
            self.parcels.setdefault(key, parcel)
        return {"parcel": key[-12:]}

    def _handler(carrier) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is a request below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parcel = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                taken = carrier.take(self.headers["Idempotency-Key"], parcel)
                self.send_response(HTTPStatus.CREATED)
                self.end_headers()
                self.wfile.write(json.dumps(taken).encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing of each request."""

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 1_024  # who calls at once is not to be turned away


if __name__ == "__main__":
    with Carrier(8026) as running:
        print(f"a carrier at {running.url}; Ctrl-C ends it", flush=True)  # noqa: T201
        threading.Event().wait()
