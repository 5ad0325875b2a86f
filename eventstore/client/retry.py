"""The tries of one call: what each failure means, and when to try again. No I/O but a clock."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import httpx

from eventstore.client.calls import Call
from eventstore.client.problems import Refusal, refusal
from eventstore.client.wire import json_object
from eventstore.core.backoff import delays
from eventstore.core.errors import AppendRefused, EventStoreError, OutcomeUnknown, Unavailable

NOT_AN_ANSWER: Final = (
    EventStoreError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)
"""What reading an answer raises that has another shape than a store's."""
PROBLEM: Final = "application/problem+json"
_HEADS: Final = {
    404: "urn:eventstore:problem:not-found",
    503: "urn:eventstore:problem:unavailable",
}
"""What a problem is whose body is not sent."""
logger: Final = logging.getLogger("eventstore.client")


class Attempts:
    """Told of each failure of a call, gives the seconds to wait before the next try, and logs both.

    Raises what the failure means if that does not pass, or if `retry_for` seconds are over. If any
    try of an append may have stored it and no later one was told, the outcome is unknown.
    """

    def __init__(self, call: Call[Any], url: str, retry_for: float) -> None:
        self._is_head = call.method == "HEAD"
        self._what = f"{call.method} {call.path}"
        self._event_ids = call.event_ids
        self._may_store = call.may_store or bool(call.event_ids)
        self._url = url
        self._deadline = time.monotonic() + retry_for
        self._delays = delays()
        self._maybe_stored = False

    def refused(self, answer: httpx.Response) -> float:
        """Wait after an answer that is no success of the store's, which has been read."""
        members: dict[str, Any] = {}
        if answer.headers.get("content-type", "").startswith(PROBLEM):
            members = json_object(answer.content)
            if self._is_head and answer.status_code in _HEADS:  # which tells no type
                members = {"type": _HEADS[answer.status_code]}
        refused = refusal(
            answer.status_code,
            members,
            retry_after=answer.headers.get("retry-after"),
            where=self._url,
        )
        self._maybe_stored |= not refused.nothing_stored
        return self._wait(refused)

    def lost(self, fault: httpx.TransportError) -> float:
        """Wait after a connection that was not made, or broke."""
        self._maybe_stored |= not isinstance(fault, (httpx.ConnectError, httpx.ConnectTimeout))
        return self._wait(Refusal(unavailable(self._url, fault), ""))

    def _wait(self, refused: Refusal) -> float:
        if not refused.is_passing:
            raise self._meaning(refused.error)
        wait = next(self._delays) + refused.wait
        if time.monotonic() + wait >= self._deadline:
            raise self._meaning(refused.error)
        logger.warning("%s: again in %.1f s: %s", self._what, wait, refused.error)
        return wait

    def unread(self, answer: httpx.Response, fault: Exception) -> EventStoreError:
        """Return what an answer means that looks like the store's and is not."""
        self._maybe_stored = True
        if isinstance(fault, EventStoreError):
            return self._meaning(fault)
        error = EventStoreError(
            f"this is not an event store's answer (status {answer.status_code}) from {self._url}: "
            f"{type(fault).__name__}: {fault}"
        )
        error.__cause__ = fault
        return self._meaning(error)

    def _meaning(self, error: EventStoreError) -> EventStoreError:
        """Return what is told in the end: of an append that may be stored, that it may be."""
        if not (self._may_store and self._maybe_stored) or isinstance(error, AppendRefused):
            return error
        unknown = OutcomeUnknown(self._event_ids)
        unknown.__cause__ = error
        return unknown


def unavailable(url: str, fault: httpx.TransportError) -> Unavailable:
    """Give what a connection that failed means."""
    problem = f"no answer from {url}: {str(fault) or type(fault).__name__}"
    error = Unavailable(problem, retry_after=0)
    error.__cause__ = fault
    return error
