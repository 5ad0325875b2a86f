"""POST /streams/{stream_name} and POST /appends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import Raw

from eventstore import Appended, EventStore, OutcomeUnknown, Unavailable
from eventstore.applied import with_applied
from eventstore.core.append import AppendRequest, EncodedAppend
from eventstore.core.revisions import revision_code
from eventstore.core.streams import check_stream_name
from eventstore_api.cloudevent_headers import decode_binary, decode_structured
from eventstore_api.dispatch import Reply, Request, body_limit
from eventstore_api.headers import (
    BINARY,
    CLOUDEVENT,
    CLOUDEVENTS,
    JSON,
    Waiting,
    expected_revision,
    idempotency_key,
    is_binary_cloudevent,
    media_type,
    refuse_cloudevent,
    waiting,
)
from eventstore_api.parameters import Parameters, encode
from eventstore_api.problems import HttpError, problem
from eventstore_api.wire import (
    AppendsOut,
    WaitOut,
    appended_out,
    decode_appends,
    decode_events,
)
from eventstore_api.wire import encode as to_json


class AppendRoutes:
    """Appends over HTTP, on one store."""

    def __init__(self, store: Callable[[], EventStore]) -> None:
        self._store = store

    async def append(self, request: Request) -> Reply:
        """Append one event or several to the stream in the path."""
        store = self._store()
        headers = request.headers
        if request.query_string:
            Parameters(request.query_string, ())
        check_stream_name(request.name)
        wanted = waiting(headers)
        expected = revision_code(expected_revision(headers))
        key = idempotency_key(headers)
        kind = BINARY if is_binary_cloudevent(headers) else media_type(headers)
        if kind not in (JSON, CLOUDEVENT, CLOUDEVENTS, BINARY):
            raise HttpError(
                "unsupported-media-type",
                f"an append is {JSON}, {CLOUDEVENT} or {CLOUDEVENTS}, or has {BINARY}: {kind[:60]}",
            )
        body = await request.body(body_limit(store.limits))
        if kind == JSON:
            events = decode_events(body, store.limits)
        elif kind == BINARY:
            events = (decode_binary(request.raw_headers, body, store.limits),)
        else:
            events = decode_structured(
                request.raw_headers, body, store.limits, batch=kind == CLOUDEVENTS
            )
        made = store.request([EncodedAppend(request.name, expected, events)], idempotency_key=key)
        (appended,), wait, waited = await _stored(store, made, wanted)
        answer = {
            **stored_headers(appended.position, store.epoch, replayed=appended.replayed),
            **waited,
            "etag": f'"{appended.revision}"',
            "location": f"{encode(appended.stream_name)}/{appended.first_revision}",
        }
        out = appended_out(appended)
        out.wait = wait
        return Reply(200 if appended.replayed else 201, answer, to_json(out))

    async def append_many(self, request: Request) -> Reply:
        """Append to several streams, all or nothing."""
        store = self._store()
        headers = request.headers
        Parameters(request.query_string, ())
        wanted = waiting(headers)
        for name in (b"if-match", b"if-none-match"):
            if headers.get(name) is not None:
                raise HttpError(
                    "malformed-request",
                    "each append of /appends has its own expected_revision; If-Match and "
                    "If-None-Match are for one stream",
                )
        refuse_cloudevent(headers)
        key = idempotency_key(headers)
        if (kind := media_type(headers)) != JSON:
            raise HttpError("unsupported-media-type", f"appends are {JSON}: {kind[:60]}")
        body = await request.body(body_limit(store.limits))
        appends, condition = decode_appends(body, store.limits)
        made = store.request(appends, condition=condition, idempotency_key=key)
        appended, wait, waited = await _stored(store, made, wanted)
        replayed = all(one.replayed for one in appended)
        position = max(one.position for one in appended)
        out = AppendsOut([appended_out(one) for one in appended], position, wait)
        answer = {**stored_headers(position, store.epoch, replayed=replayed), **waited}
        return Reply(200 if replayed else 201, answer, to_json(out))


class _Stored(NamedTuple):
    appended: tuple[Appended, ...]
    wait: WaitOut | None
    waited: dict[str, str]


async def _stored(store: EventStore, request: AppendRequest, wanted: Waiting) -> _Stored:
    """Append, and then wait if that is wanted.

    A service that ends, and has waited long enough, does not know what becomes of an append; but
    what is stored is answered as such, however the wait ends.
    """
    if wanted.projection is not None:
        await store.wait_for(wanted.projection, position=0, timeout=0)  # is there one?
    try:
        appended = await store.append_request(request)
    except asyncio.CancelledError:
        raise OutcomeUnknown(tuple(request.event_ids)) from None
    return _Stored(appended, *await applied(store, appended, wanted))


async def applied(
    store: EventStore, appended: Sequence[Appended], wanted: Waiting
) -> tuple[WaitOut | None, dict[str, str]]:
    """Wait for what is stored, if that is wanted: what the answer's body and headers say of it."""
    if wanted.projection is None:
        return None, {}
    try:
        waited = await with_applied(store.wait_for, wanted.projection, appended, wanted.seconds)
        unapplied = waited[0].unapplied
    except asyncio.CancelledError:
        unapplied = Unavailable("the service is shutting down")
    if unapplied is None:
        return WaitOut(wanted.projection, True), {"preference-applied": wanted.applied}
    return WaitOut(wanted.projection, False, Raw(problem(unapplied)[2])), {}


def stored_headers(position: int, epoch: int, *, replayed: bool) -> dict[str, str]:
    """Give the headers that tell where something is stored."""
    headers = {"content-type": JSON, "event-position": f"{position};epoch={epoch}"}
    if replayed:
        headers["idempotency-replayed"] = "true"
    return headers
