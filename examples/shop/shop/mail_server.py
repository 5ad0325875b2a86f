"""A mail server to try the shop with: it keeps what it takes, and fails when it is told to.

python -m shop.mail_server

curl http://127.0.0.1:8025/mails                                what it has taken
curl -X PUT http://127.0.0.1:8025/broken/bob@example.org        takes no mail for this address
curl -X DELETE http://127.0.0.1:8025/broken/bob@example.org     takes it again
"""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class MailServer:
    """A server on a port of this machine (0: any free one). Use as `with MailServer() as server`.

    `mails` is what it has taken, by idempotency key and in order; `broken` are addresses that it
    takes no mail for, `mute` those that it takes one more for without saying so.
    """

    def __init__(self, port: int = 0) -> None:
        self.mails: dict[str, dict[str, Any]] = {}
        self.broken: set[str] = set()
        self.mute: set[str] = set()
        self.tried: list[str] = []
        """The address of each attempt, in order."""
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=[0.02])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def take(self, key: str, mail: dict[str, Any]) -> HTTPStatus | None:
        """Take a mail, or one with this key again; None: the sender is not told."""
        to = mail["to"]
        self.tried.append(to)
        if to in self.broken:
            return HTTPStatus.SERVICE_UNAVAILABLE
        known = key in self.mails
        self.mails.setdefault(key, mail)
        if to in self.mute:
            self.mute.remove(to)
            return None
        return HTTPStatus.OK if known else HTTPStatus.CREATED

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is a request below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mail = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = server.take(self.headers["Idempotency-Key"], mail)
                if status == HTTPStatus.SERVICE_UNAVAILABLE:
                    self._answer(status, f"no mail is taken for {mail['to']}")
                elif status is not None:
                    self._answer(status)

            def do_GET(self) -> None:
                mails = [{"key": key, **mail} for key, mail in list(server.mails.items())]
                self._answer(HTTPStatus.OK, json.dumps(mails, indent=2))

            def do_PUT(self) -> None:
                server.broken.add(self.path.removeprefix("/broken/"))
                self._answer(HTTPStatus.OK)

            def do_DELETE(self) -> None:
                server.broken.discard(self.path.removeprefix("/broken/"))
                self._answer(HTTPStatus.OK)

            def _answer(self, status: HTTPStatus, text: str = "") -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing of each request."""

        return Handler


if __name__ == "__main__":
    with MailServer(8025) as running:
        print(f"a mail server at {running.url}; Ctrl-C ends it", flush=True)  # noqa: T201
        threading.Event().wait()
