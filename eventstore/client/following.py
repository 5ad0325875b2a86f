"""One follower's way along the log, over as many connections as it takes. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx

from eventstore.client.calls import Call, query_params
from eventstore.client.retry import unavailable
from eventstore.client.sse import SSE, Decoder, Place
from eventstore.core.backoff import delays
from eventstore.core.errors import Unavailable
from eventstore.core.events import RecordedEvent
from eventstore.core.query import EventQuery
from eventstore.core.reads import log_scan


class Following:
    """Where a follower is, and what it asks for next. Raises InvalidInput for a bad position."""

    def __init__(
        self,
        url: str,
        query: EventQuery | None,
        after: int,
        epoch: int | None,
        on_lost: Callable[[Unavailable], None],
        on_back: Callable[[], None],
    ) -> None:
        log_scan(query or EventQuery(), after=after, before=None, direction="forward")
        self._url = url
        self._params = query_params(query)
        self._place = Place(after, epoch)
        self._on_lost = on_lost
        self._on_back = on_back
        self._connected = False
        self._delays = delays()
        self._decoder = Decoder()

    def call(self) -> Call[None]:
        """Give the call that goes on from here."""
        self._decoder = Decoder()
        headers = {"accept": SSE, "last-event-id": self._place.event_id}
        return Call(
            path="/events", params=self._params, headers=headers, read=lambda _: None, form=SSE
        )

    def opened(self) -> None:
        """Say that the service answers."""
        if self._connected:
            self._on_back()
        self._connected = True

    def events(self, chunk: bytes) -> Iterator[RecordedEvent]:
        """Take what came in; give its events.

        Raises HistoryRewound or Unavailable where the service says that it ends the stream.
        """
        self._delays = delays()
        for step in self._decoder.steps(chunk):
            self._place = step.place
            if step.event is not None:
                yield step.event

    def lost(self, fault: httpx.TransportError | Unavailable | None) -> float:
        """Give the seconds to wait before going on; None is a stream that just ended.

        Raises `fault` if the service never answered: whoever called has tried long enough.
        """
        if fault is None:
            fault = Unavailable("the service ended the stream")
        elif isinstance(fault, httpx.TransportError):
            fault = unavailable(self._url, fault)
        if not self._connected:
            raise fault
        self._on_lost(fault)
        return next(self._delays)
