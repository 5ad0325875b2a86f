"""Query parameters, read strictly: unknown, repeated or malformed ones are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

from eventstore import EventQuery, InvalidInput, Limits
from eventstore_api.problems import HttpError

DEFAULT_LIMIT: Final = 100
IGNORED: Final = "_"
"""What scripts add (jQuery's `cache: false`) so that no cache knows the address."""
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})").fullmatch
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_~-]+").fullmatch
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})").search


def decode(text: str, what: str) -> str:
    """Undo percent-encoding strictly: valid escapes of valid UTF-8, or 400."""
    if "%" not in text:
        return text  # the dispatcher has escaped whatever is not ASCII
    if _BAD_ESCAPE(text):
        raise HttpError("malformed-request", f"{what} has a malformed percent escape")
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise HttpError("malformed-request", f"{what} is not UTF-8") from None


def encode(stream_name: str) -> str:
    """Percent-encode a name as one path segment."""
    if _UNRESERVED(stream_name):
        return stream_name
    encoded = quote(stream_name, safe="")
    # Clients fold . and .. away unless the dots are escaped.
    return encoded.replace(".", "%2E") if stream_name in {".", ".."} else encoded


def whole_number(text: str, what: str, low: int, high: int) -> int:
    """Read a whole number in its one spelling, within bounds, or 400."""
    if not _INTEGER(text) or not low <= int(text) <= high:
        raise HttpError(
            "malformed-request", f"{what} is a whole number from {low} to {high}: {text[:40]}"
        )
    return int(text)


class Parameters:
    """The query string of a request; `allowed` names every parameter that it may have.

    None: any, for a route that knows them later.
    """

    def __init__(self, query_string: bytes, allowed: Iterable[str] | None) -> None:
        self._values: dict[str, list[str]] = {}
        if not query_string:
            return
        known = None if allowed is None else frozenset(allowed)
        for pair in query_string.decode("latin-1").split("&"):
            if not pair:
                continue
            name, _, value = pair.partition("=")
            name = decode(name.replace("+", " "), "a query parameter")
            if name == IGNORED:
                continue
            if known is not None and name not in known:
                raise HttpError(
                    "malformed-request",
                    f"unknown query parameter {name[:60]!r}; known: {', '.join(sorted(known))}",
                )
            self._values.setdefault(name, []).append(
                decode(value.replace("+", " "), f"query parameter {name}")
            )

    @property
    def names(self) -> list[str]:
        """Every parameter that is given."""
        return list(self._values)

    def all(self, name: str) -> list[str]:
        """Give every value of a parameter that may be repeated."""
        return self._values.get(name, [])

    def one(self, name: str) -> str | None:
        """Give the value of a parameter that may come once."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise HttpError("malformed-request", f"query parameter {name} is given twice")
        return values[0]

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Give a whole number within bounds, None if it is not there."""
        value = self.one(name)
        return None if value is None else whole_number(value, f"query parameter {name}", low, high)

    def limit(self, limits: Limits) -> int | None:
        """Give how many events are asked for: 1 to a page's limit, None unless said."""
        return self.integer("limit", 1, limits.page_events)

    def direction(self) -> Literal["forward", "backward"]:
        """Give the direction of a read, forward unless said."""
        backward = self.choice("direction", "forward", "backward") == "backward"
        return "backward" if backward else "forward"

    def choice(self, name: str, default: str, other: str) -> str:
        """Return one of two words, the first unless said."""
        value = self.one(name)
        if value in (None, default, other):
            return value or default
        raise HttpError(
            "malformed-request", f"query parameter {name} is {default} or {other}: {value[:40]}"
        )

    def last_event_id(self) -> str | None:
        """Return what a follower that cannot set headers sends instead of Last-Event-ID."""
        return self.one("lastEventId") or self.one("Last-Event-ID")

    def query(self, limits: Limits) -> EventQuery:
        """Give what `category`, `stream`, `type`, `tag` or `query` mean."""
        text = self.one("query")
        names = {name: self.all(name) for name in ("category", "stream", "type", "tag")}
        try:
            if text is None:
                query = EventQuery(
                    categories=names["category"],
                    streams=names["stream"],
                    types=names["type"],
                    tags=names["tag"],
                )
                # The same limits as for a query that comes as JSON.
                return EventQuery.from_json(json.loads(query.to_json()), limits=limits)
            if any(names.values()):
                raise HttpError(
                    "malformed-request", "give query, or category, stream, type and tag, not both"
                )
            return EventQuery.from_json(json.loads(text), path="query", limits=limits)
        except InvalidInput as fault:
            raise HttpError("malformed-request", str(fault), **fault.facts) from None
        except (ValueError, RecursionError) as fault:  # also a number of over 4,300 digits
            raise HttpError("malformed-request", f"query is not JSON: {fault}") from None
