"""The guard in front of every route: no page that somebody has open may use the service unasked.

A browser sends whatever a page wants to any address that it reaches, loopback ones too. Against
pages that take a name of their own for such an address (DNS rebinding) stands the list of names
that the service is called by; against all others, that what changes something says where it comes
from, or has a form that no page can send without asking first (CORS).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from eventstore import InvalidInput
from eventstore_api.cors import preflight, readable
from eventstore_api.headers import CLOUDEVENT, CLOUDEVENTS, JSON
from eventstore_api.problems import HttpError, problem

ANY_HOST: Final = "*"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_SITE: Final = (b"same-origin", b"none")
_BODIES: Final = frozenset({JSON, CLOUDEVENT, CLOUDEVENTS})
_ONCE: Final = (
    b"content-length",
    b"content-type",
    b"event-position",
    b"host",
    b"idempotency-key",
    b"last-event-id",
    b"origin",
    b"sec-fetch-site",
)
"""Headers of which a second one could mean something else to whoever stands in front."""
_MOST_KNOWN: Final = 1_024
_HOST: Final = re.compile(r"([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])\.?(:[0-9]{0,5})?")
_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")

Headers = dict[bytes, bytes]


class Guard:
    """The outermost ASGI application.

    `hosts` are the names beside loopback ones (see `check_host`) that are accepted as Host, which
    is refused as 421 otherwise; None accepts every name. Pages of `origins` (see `check_origin`)
    may use everything; what pages of others send is carried out only if it changes nothing, and
    they do not see the answer.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str] | None = (), origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None or ANY_HOST in hosts else frozenset(hosts)
        self._origins = frozenset(origin.encode() for origin in origins)
        self._known: set[bytes | None] = {None}  # HTTP/1.0; browsers never leave it out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request if it may come in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if self._origins:
            send = readable(send, origin if origin in self._origins else None)
        try:
            if len(headers) != len(scope["headers"]):
                _check_repeated(scope)
            if headers.get(b"host") not in self._known and self._hosts is not None:
                self._check_host(headers[b"host"], scope)
            if scope["method"] not in _SAFE:
                if origin is not None or b"sec-fetch-site" in headers:
                    self._check_origin(headers)
                _check_body(headers)
            elif origin is not None and _is_preflight(scope["method"], headers):
                self._check_origin(headers)
                await _answer(send, 200, preflight(headers.get(b"access-control-request-headers")))
                return
        except HttpError as refusal:
            status, answer, body = problem(refusal)
            answer["content-length"] = str(len(body))
            raw = [(name.encode(), value.encode("latin-1")) for name, value in answer.items()]
            await _answer(send, status, raw, b"" if scope["method"] == "HEAD" else body)
            return
        await self._app(scope, receive, send)

    def _check_host(self, value: bytes, scope: Scope) -> None:
        """Refuse a name that is not the service's, and remember one that is."""
        text = value.decode("latin-1").strip().lower()
        found = _HOST.fullmatch(text)
        name = "" if found is None else found[1]
        if name and (_is_loopback(name) or name in (self._hosts or ())):
            if len(self._known) < _MOST_KNOWN:
                self._known.add(value)
            return
        # Nobody can take an address for a name: who asks for it by its address means this service.
        server = scope.get("server")
        if server is not None and name and _address(name) == _address(server[0]) is not None:
            return
        raise HttpError(
            "misdirected-request",
            f"this service is not known as {text[:100]!r}, so the request may be a foreign web "
            "page's: ask for it as localhost or by its address, or start it with --allow-host "
            f"{name[:100] or 'NAME'}",
        )

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what a page of another origin sends, unless that may.

        The rule is that of Go's net/http: browsers say whether it is the service's own page, but
        older ones, and all over plain HTTP to another machine, send Origin alone.
        """
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if site in _OWN_SITE or origin in self._origins:
            return
        if site is None and origin is not None and _is_own(origin, headers.get(b"host")):
            return
        sender = "another site" if origin is None else f"origin {origin[:100].decode('latin-1')!r}"
        raise HttpError(
            "forbidden-origin",
            f"pages of {sender} may change nothing here: start the service with --allow-origin, "
            "once for each origin that may",
        )


def check_host(text: str) -> str:
    """Return a name for `Guard`, or raise InvalidInput: of a host, without scheme and port."""
    name = text.lower().removesuffix(".")
    address = _address(name)
    if address is not None and address.version == 6 and not name.startswith("["):
        name = f"[{name}]"
    if name != ANY_HOST and not _NAME.fullmatch(name):
        raise InvalidInput(f"a host is a name like store.example, without a port, not {text!r}")
    return name


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_loopback(name: str) -> bool:
    """Tell whether a name means this machine, whoever is asked: nobody can register such a one."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def _check_repeated(scope: Scope) -> None:
    names = [name for name, _ in scope["headers"]]
    for name in _ONCE:
        if names.count(name) > 1:
            raise HttpError("malformed-request", f"{name.decode().title()} is given twice")


def _check_body(headers: Headers) -> None:
    """Refuse a body that a page could send without asking first."""
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    kind = headers.get(b"content-type", b"")
    coding = headers.get(b"content-encoding", b"")
    if has_body and coding.strip().lower() not in (b"", b"identity"):
        named = coding[:60].decode("latin-1")
        raise HttpError(
            "unsupported-media-type",
            f"a body is sent as it is: Content-Encoding {named} is not read",
        )
    if not has_body or kind == b"application/json" or b"ce-specversion" in headers:
        return
    name = kind.decode("latin-1").partition(";")[0].strip().lower()
    if name not in _BODIES:
        given = f"not {name[:60]}" if kind else "and has no Content-Type"
        raise HttpError(
            "unsupported-media-type", f"a request body is {JSON} or a CloudEvent, {given}"
        )


def _is_preflight(method: str, headers: Headers) -> bool:
    return method == "OPTIONS" and b"access-control-request-method" in headers


def _is_own(origin: bytes, host: bytes | None) -> bool:
    """Tell whether an origin is the service itself, by the name with which it is asked.

    Without the scheme: who stands in front may speak HTTPS.
    """
    if host is None:
        return False
    scheme, _, place = origin.decode("latin-1").lower().partition("://")
    asked = host.decode("latin-1").strip().lower()
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    return bool(port) and place.removesuffix(port) == asked.removesuffix(port)


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
