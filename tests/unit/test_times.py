"""Times as text: always six digits, always UTC, wherever one is written."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import eventstore
import eventstore_api
from eventstore import RecordedEvent
from eventstore.client.wire import encode_event
from eventstore.core.times import time_text
from eventstore_api.cloudevents import cloudevent_json
from eventstore_api.sse import pieces
from eventstore_api.wire import event_json, ndjson, page_json

WHOLE_SECOND = datetime(2026, 3, 29, 0, 59, 34, tzinfo=UTC)
TEXT = "2026-03-29T00:59:34.000000+00:00"


def recorded(at: datetime) -> RecordedEvent:
    return RecordedEvent(1, "order-1", 0, uuid.UUID(int=1), "Placed", "{}", "{}", [], at)


@pytest.mark.parametrize(
    "zone",
    [
        UTC,
        timezone(timedelta(hours=-5)),
        ZoneInfo("Asia/Kolkata"),
        ZoneInfo("Europe/Berlin"),
    ],
)
def test_a_time_is_written_in_utc_with_six_digits(zone: ZoneInfo | timezone) -> None:
    assert time_text(WHOLE_SECOND.astimezone(zone)) == TEXT


def test_every_form_of_an_event_writes_its_time_so(subtests: pytest.Subtests) -> None:
    event = recorded(WHOLE_SECOND.astimezone(ZoneInfo("America/New_York")))
    line = event_json(event)
    for form, text in {
        "JSON": line,
        "a page": page_json([event], 1).decode(),
        "NDJSON": ndjson([event]).decode(),
        "SSE": b"".join(pieces([event], 1)).decode(),
        "the client": encode_event(event),
    }.items():
        with subtests.test(form):
            assert f'"recorded_at":"{TEXT}"' in text
    cloudevent = json.loads(cloudevent_json(event, "s"))
    assert (cloudevent["time"], cloudevent["recordedat"]) == (TEXT, TEXT)


def test_nothing_writes_a_time_for_programs_in_another_way() -> None:
    roots = [Path(str(package.__file__)).parent for package in (eventstore, eventstore_api)]
    found = [
        f"{path.name}: {line.strip()}"
        for root in roots
        for path in root.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\.isoformat\(\)", line)
    ]
    assert found == []
