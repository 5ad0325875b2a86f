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
from eventstore.core.errors import OutcomeUnknown, Unavailable

logger: Final = logging.getLogger("eventstore.client")


class Attempts:
    """Told of each failure of a call, gives the seconds to wait before the next try, and logs both.

    Raises what the failure means if that does not pass, or if `retry_for` seconds are over. If any
    try of an append may have stored it and no later one was told, the outcome is unknown.
    """

    def __init__(self, call: Call[Any], url: str, retry_for: float) -> None:
        self._what = f"{call.method} {call.path}"
        self._event_ids = call.event_ids
        self._may_store = call.may_store or bool(call.event_ids)
        self._url = url
        self._deadline = time.monotonic() + retry_for
        self._delays = delays()
        self._maybe_stored = False

    def refused(self, answer: httpx.Response) -> float:
        """Wait after an answer that is no success, which has been read."""
        refused = refusal(
            answer.status_code,
            json_object(answer.content),
            retry_after=answer.headers.get("retry-after"),
        )
        self._maybe_stored |= not refused.nothing_stored
        return self._wait(refused)

    def lost(self, fault: httpx.TransportError) -> float:
        """Wait after a connection that was not made, or broke."""
        self._maybe_stored |= not isinstance(fault, (httpx.ConnectError, httpx.ConnectTimeout))
        return self._wait(Refusal(unavailable(self._url, fault), ""))

    def _wait(self, refused: Refusal) -> float:
        if not refused.is_passing:
            raise refused.error
        wait = next(self._delays) + refused.wait
        if time.monotonic() + wait >= self._deadline:
            if self._may_store and self._maybe_stored:
                raise OutcomeUnknown(self._event_ids)
            raise refused.error
        logger.warning("%s: again in %.1f s: %s", self._what, wait, refused.error)
        return wait


def unavailable(url: str, fault: httpx.TransportError) -> Unavailable:
    """Give what a connection that failed means."""
    error = Unavailable(f"no answer from {url}: {str(fault) or type(fault).__name__}")
    error.__cause__ = fault
    return error
