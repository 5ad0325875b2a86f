"""Sends the rows of an import, exactly once, over lost services and moved batch boundaries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

from eventstore.cli.records import RowError
from eventstore.cli.rows import Row, appends, row_at
from eventstore.cli.target import Store
from eventstore.core.append import Appended, AppendRequest
from eventstore.core.backoff import delays
from eventstore.core.errors import (
    DuplicateEventId,
    EventStoreError,
    InvalidInput,
    OutcomeUnknown,
    Unavailable,
)

_FAULT: Final = re.compile(r"\$\.appends\[(\d+)\]\.events\[(\d+)\]|\$\[(\d+)\]").match


class GaveUpError(EventStoreError):
    """The service did not come back in time."""


class Importer:
    """Appends rows in order. `stored` and `already_there` count events."""

    def __init__(
        self, store: Store, *, retry_for: float, report: Callable[[str], None] = lambda _: None
    ) -> None:
        self.stored = 0
        self.already_there = 0
        self.last_line = 0
        self._store = store
        self._retry_for = retry_for
        self._report = report

    async def send(self, rows: Sequence[Row]) -> None:
        """Append a batch, all or nothing.

        Where a part of it is stored already (an interrupted import whose batches had other
        boundaries), it is halved until each part is stored as a whole or not at all. Raises
        RowError for a row at fault, and then nothing of its part is stored.
        """
        ids = {row.event.event_id for row in rows}
        try:
            if len(ids) < len(rows):  # the same event twice in one file
                raise DuplicateEventId("", "", 0)
            answers = await self._surely(self._store.request(appends(rows)), rows)
        except DuplicateEventId as fault:
            if len(rows) == 1:
                raise RowError(
                    rows[0].line,
                    f"its event id {fault.event_id} is used already, by position {fault.position} "
                    f"in stream {fault.stream_name!r}; to import the file once more in another "
                    "way, give it another --source",
                ) from fault
            half = len(rows) // 2
            await self.send(rows[:half])
            await self.send(rows[half:])
            return
        except InvalidInput as fault:
            raise _row_error(rows, fault) from fault
        for answer in answers:
            if answer.replayed:
                self.already_there += len(answer.event_ids)
            else:
                self.stored += len(answer.event_ids)
        self.last_line = rows[-1].line

    async def _surely(self, request: AppendRequest, rows: Sequence[Row]) -> tuple[Appended, ...]:
        loop = asyncio.get_running_loop()
        lost_at: float | None = None
        for delay in delays():
            try:
                answers = await self._store.append_request(request)
            except (Unavailable, OutcomeUnknown) as error:
                if lost_at is None:
                    lost_at = loop.time()
                    self._report(
                        f"line {rows[0].line:,}: {error}; trying again for {self._retry_for:g} s"
                    )
                if loop.time() + delay >= lost_at + self._retry_for:
                    raise GaveUpError(f"gave up after {self._retry_for:g} s: {error}") from error
                await asyncio.sleep(delay)
            else:
                if lost_at is not None:
                    self._report(f"going on after {loop.time() - lost_at:.1f} s")
                return answers
        raise AssertionError("delays never end")


def _row_error(rows: Sequence[Row], fault: InvalidInput) -> RowError:
    """Say which line of the file the path of a fault in a request means."""
    found = _FAULT(fault.path)
    if found is None:
        if len(rows) == 1:
            return RowError(rows[0].line, fault.problem)
        return RowError(rows[0].line, f"{fault.problem} (somewhere up to line {rows[-1].line:,})")
    append, event = (0, found[3]) if found[3] is not None else (found[1], found[2])
    member = fault.path[found.end() :].lstrip(".")
    row = row_at(rows, int(append), int(event))
    return RowError(row.line, f"{member}: {fault.problem}" if member else fault.problem)
