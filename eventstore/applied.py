"""Waiting, after an append, until a projection has applied it: the append never looks failed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from eventstore.core.append import Appended
from eventstore.core.errors import EventStoreError


async def with_applied(
    wait_for: Callable[..., Awaitable[int]],
    projection: str,
    appended: Sequence[Appended],
    timeout: float,  # noqa: ASYNC109 - for all of them together
) -> tuple[Appended, ...]:
    """Give the appends with why the projection has not applied them, if it has not."""
    deadline = time.monotonic() + timeout
    unapplied = None
    try:
        for one in appended:
            left = max(0, deadline - time.monotonic())
            await wait_for(projection, stream=one.stream_name, revision=one.revision, timeout=left)
    except EventStoreError as error:
        unapplied = error
    return tuple(one._replace(unapplied=unapplied) for one in appended)


def sync_with_applied(
    wait_for: Callable[..., int], projection: str, appended: Sequence[Appended], timeout: float
) -> tuple[Appended, ...]:
    """As `with_applied`, waiting in this thread."""
    deadline = time.monotonic() + timeout
    unapplied = None
    try:
        for one in appended:
            left = max(0, deadline - time.monotonic())
            wait_for(projection, stream=one.stream_name, revision=one.revision, timeout=left)
    except EventStoreError as error:
        unapplied = error
    return tuple(one._replace(unapplied=unapplied) for one in appended)
