"""Compares a log with everything that a load was told of it and saw of it."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any, Final

import psycopg

from eventstore.core.events import RecordedEvent
from eventstore.core.history import History
from tests.service.load import Load

_SELECT: Final = """
SELECT position, stream_name, revision, event_id, event_type, data::text, metadata::text, tags,
       recorded_at
  FROM eventstore.events WHERE position > %s ORDER BY position
"""
_MARK: Final = re.compile(r'"mark": ([0-9]+)').search


class Checker:
    """Checks what is new since it checked last; a new one checks everything."""

    def __init__(self) -> None:
        self.history = History()
        self._log: list[RecordedEvent] = []
        self._stored: set[int] = set()
        self._told: set[tuple[str, ...]] = set()
        self._events_told = 0
        self._answers_checked = 0
        self._seen_checked = 0

    def check(self, load: Load, dsn: str) -> None:
        """Expect that the log holds what was acknowledged, once, and nothing that was refused."""
        assert not load.unanswered
        self._read(dsn)
        for appended in load.told[self._answers_checked :]:
            self.history.acknowledged(appended)
            if appended.event_ids not in self._told:
                self._told.add(appended.event_ids)
                self._events_told += len(appended.event_ids)
        self._answers_checked = len(load.told)
        assert self.history.violations == []
        assert self._stored.isdisjoint(load.refused), "stored, though told as not stored"
        assert self._events_told <= len(self._log) <= self._events_told + len(load.unknown)
        self._check_seen(load.seen)

    def _read(self, dsn: str) -> None:
        with psycopg.connect(dsn) as connection:
            for row in connection.execute(_SELECT, [len(self._log)]):
                event = RecordedEvent._make(row)
                self.history.feed(event)
                self._log.append(event)
                found = _MARK(event.data_json)
                assert found is not None
                mark = int(found[1])
                assert mark not in self._stored, f"stored twice: {event}"
                self._stored.add(mark)

    def _check_seen(self, seen: list[dict[str, Any]]) -> None:
        assert len(seen) <= len(self._log)
        for number in range(self._seen_checked, len(seen)):
            event, recorded = seen[number], self._log[number]
            assert (event["position"], event["stream"], event["revision"]) == recorded[:3]
            assert uuid.UUID(event["id"]) == recorded.event_id
            assert event["data"] == recorded.data
            assert datetime.fromisoformat(event["recorded_at"]) == recorded.recorded_at
        self._seen_checked = len(seen)
