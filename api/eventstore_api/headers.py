"""Request headers, read strictly: what is malformed is refused, never ignored."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from eventstore import ANY, NO_STREAM, STREAM_EXISTS, ExpectedRevision
from eventstore.core.reads import END
from eventstore_api.fields import elements, pair
from eventstore_api.parameters import whole_number
from eventstore_api.problems import HttpError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CLOUDEVENT: Final = "application/cloudevents+json"
CLOUDEVENTS: Final = "application/cloudevents-batch+json"
BINARY: Final = "the ce- headers of a CloudEvent"
"""What stands for the content type of a CloudEvent in binary mode, whose own says what data is."""
_OF_CLOUDEVENTS: Final = frozenset(
    b"ce-" + name
    for name in b"specversion id source type subject time dataschema"
    b" cloudeventsversion eventid eventtype".split()  # of 0.1
)
LONGEST_WAIT: Final = 55
"""Seconds that `Prefer: wait` can ask for; more is taken for this. Proxies give an answer up after
60 s, most of them: one that is asked for so long comes a little before."""

_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,18})"').fullmatch
_POSITION: Final = re.compile(r"(0|[1-9][0-9]{0,18});\s*epoch=([1-9][0-9]{0,9})").fullmatch
_EVENT_ID: Final = re.compile(r"(0|[1-9][0-9]{0,18})(?:;\s*epoch=([1-9][0-9]{0,9}))?").fullmatch
_SECONDS: Final = re.compile(r"[0-9]{1,9}").fullmatch
_TAGS: Final = re.compile(r'(?:W/)?("[^"]*")').findall
_QUALITY: Final = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?").fullmatch
_KEY: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"(?:[ \t]*;.*)?').fullmatch


class Headers:
    """The headers of a request by lower-case name; a name that comes twice is joined by commas."""

    __slots__ = ("_values",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, bytes] = {}
        for name, value in raw:
            known = self._values.get(name)
            self._values[name] = value if known is None else known + b", " + value

    def get(self, name: bytes) -> str | None:
        """Give a header's value, or None."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1").strip()

    def any_of(self, names: frozenset[bytes]) -> bool:
        """Whether one of these headers is there."""
        return not names.isdisjoint(self._values)

    def text(self, name: bytes) -> str | None:
        """Return the value of a header that may hold any text, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return value.decode().strip(" \t")
        except UnicodeDecodeError:
            return value.decode("latin-1").strip(" \t")


def is_binary_cloudevent(headers: Headers) -> bool:
    """Whether a request is, or means to be, a CloudEvent in binary mode.

    In structured mode the body is the event, and headers may say once more what it says.
    """
    if not headers.any_of(_OF_CLOUDEVENTS):
        return False
    return not (headers.get(b"content-type") or "").lower().startswith("application/cloudevents")


def refuse_cloudevent(headers: Headers) -> None:
    """Raise 415 if a request has headers of a CloudEvent, where they would be ignored."""
    if headers.any_of(_OF_CLOUDEVENTS):
        raise HttpError(
            "unsupported-media-type", "a CloudEvent (ce- headers) goes to POST /streams/{stream}"
        )


def expected_revision(headers: Headers) -> ExpectedRevision:
    """Read If-Match and If-None-Match as what the append expects of its stream."""
    match = headers.get(b"if-match")
    none_match = headers.get(b"if-none-match")
    if match is None and none_match is None:
        return ANY
    if match is not None and none_match is not None:
        raise HttpError("malformed-request", "give If-Match or If-None-Match, not both")
    if none_match is not None:
        if none_match != "*":
            raise HttpError(
                "malformed-request",
                "If-None-Match of an append is * (the stream must not exist): " + none_match[:60],
            )
        return NO_STREAM
    if match == "*":
        return STREAM_EXISTS
    found = _ETAG(match or "")
    if found is None or int(found[1]) >= 2**63:
        raise HttpError(
            "malformed-request",
            f'If-Match is * or one revision in quotes, like "5": {(match or "")[:60]}',
        )
    return int(found[1])


def knows(headers: Headers, etag: str) -> bool:
    """Tell whether If-None-Match of a read names this ETag (weak comparison, RFC 9110)."""
    none_match = headers.get(b"if-none-match")
    if none_match is None:
        return False
    return none_match == "*" or etag in _TAGS(none_match)


def idempotency_key(headers: Headers) -> str | None:
    """Read Idempotency-Key: 1 to 255 printable characters, as they are or as a quoted string.

    They are UTF-8, or Latin-1 if they are not, so that a key is the same whoever sends it.
    """
    key = headers.text(b"idempotency-key")
    if key is None:
        return None
    if (quoted := _KEY(key)) is not None:
        key = re.sub(r'\\(["\\])', r"\1", quoted[1])
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise HttpError("malformed-request", "Idempotency-Key is 1 to 255 printable characters")
    return key


class Waiting(NamedTuple):
    """`Prefer: wait=2; for="orders"`: seconds (55 at most), and the projection to wait for."""

    seconds: int = 0
    projection: str | None = None

    @property
    def applied(self) -> str:
        """What Preference-Applied says of it."""
        return f'wait={self.seconds}; for="{self.projection}"'


def check_prefer(headers: Headers) -> int:
    """Give the seconds of `Prefer: wait`, 0 if there is none, or refuse it."""
    return waiting(headers).seconds


def waiting(headers: Headers) -> Waiting:
    """Read `Prefer: wait`, or refuse it. A preference that is not known is ignored (RFC 7240)."""
    prefer = headers.get(b"prefer")
    if prefer is None:
        return Waiting()
    wanted: Waiting | None = None
    for preference in elements(prefer):
        given, *parameters = [pair(part) for part in elements(preference, ";")] or [None]
        if given is None or None in parameters or preference[:1] == ";":
            raise HttpError("malformed-request", f"Prefer is malformed: {prefer[:60]}")
        if given[0] == "wait" and wanted is None:  # the first one counts
            if not _SECONDS(given[1]):
                raise HttpError("malformed-request", f"Prefer: wait is in seconds: {prefer[:60]}")
            named = [one[1] for one in parameters if one is not None and one[0] == "for"]
            wanted = Waiting(min(int(given[1]), LONGEST_WAIT), named[0] if named else None)
    return wanted or Waiting()


def last_event_id(headers: Headers, parameter: str | None = None) -> tuple[int, int | None] | None:
    """Read Last-Event-ID: a position, and the epoch unless it is left out.

    The header wins over the query parameter, with which polyfills of EventSource come back.
    """
    value = headers.get(b"last-event-id") or parameter
    if not value:  # a browser that has seen no event sends none, or an empty one
        return None
    found = _EVENT_ID(value)
    if found is None or int(found[1]) >= 2**63:
        raise HttpError(
            "malformed-request",
            f"Last-Event-ID is as an event gave it, like 17;epoch=1: {value[:60]}",
        )
    return int(found[1]), None if found[2] is None else int(found[2])


def media_type(headers: Headers) -> str:
    """Give the body's content type without parameters; only UTF-8 is understood."""
    value = headers.get(b"content-type")
    if value is None:
        raise HttpError("unsupported-media-type", f"a Content-Type is needed, e.g. {JSON}")
    if value == JSON:
        return value
    name, *parameters = elements(value, ";") or [""]
    for found in map(pair, parameters):
        if found is None:
            raise HttpError("unsupported-media-type", f"Content-Type is malformed: {value[:60]}")
        if found[0] == "charset" and found[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise HttpError("unsupported-media-type", f"the charset is utf-8: {found[1][:60]}")
    return name.lower()


def negotiate(headers: Headers, offered: tuple[str, ...]) -> str:
    """Choose the representation that Accept prefers, one that it names over one that it only
    lets in, as `*/*` does; the first offered one wins a draw.

    Raises 406 when none is accepted.
    """
    accept = headers.get(b"accept")
    if accept is None or accept == "*/*":
        return offered[0]
    best, best_fit = "", (0.0, 0)
    ranges = [_media_range(part) for part in elements(accept)]
    for name in offered:
        main = name.partition("/")[0]
        fits = [
            (specific, quality)
            for pattern, specific, quality in ranges
            if pattern in (name, f"{main}/*", "*/*")
        ]
        specific, quality = max(fits, default=(0, 0.0))
        if quality and (quality, specific) > best_fit:
            best, best_fit = name, (quality, specific)
    if not best:
        raise HttpError(
            "not-acceptable",
            f"this resource comes as {', '.join(offered)}; Accept asks for {accept[:100]}",
        )
    return best


def _media_range(part: str) -> tuple[str, int, float]:
    """Give a media range, how specific it is, and its quality."""
    name, *parameters = elements(part, ";") or [""]
    quality = 1.0
    for found in map(pair, parameters):
        if found is None or (found[0] == "q" and not _QUALITY(found[1])):
            raise HttpError("malformed-request", f"Accept is malformed: {part[:60]}")
        if found[0] == "q":
            quality = float(found[1])
    name = name.lower()
    return name, 2 - name.count("*"), quality


def event_position(headers: Headers) -> tuple[int, int] | None:
    """Read Event-Position, as an append gave it: position and epoch."""
    value = headers.get(b"event-position")
    if value is None:
        return None
    found = _POSITION(value)
    if found is None or int(found[1]) >= 2**63:
        raise HttpError(
            "malformed-request",
            f"Event-Position is as an append gave it, like 1200;epoch=1: {value[:60]}",
        )
    return int(found[1]), int(found[2])


def wanted_position(headers: Headers) -> tuple[int, int | None] | None:
    """Read Event-Position of a read that waits for it: of the present epoch if it names none."""
    value = headers.get(b"event-position")
    if value is None or not value.isdecimal():
        return event_position(headers)
    return whole_number(value, "Event-Position", 0, END), None
