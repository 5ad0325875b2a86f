"""New event ids."""

from __future__ import annotations

import time
import uuid

import pytest

from eventstore.core.events import check_event_id
from eventstore.ids import new_event_ids


def test_new_ids_are_version_7_of_the_rfc_variant() -> None:
    for text in new_event_ids(200):
        made = uuid.UUID(text)
        assert (made.version, made.variant) == (7, uuid.RFC_4122)
        assert text == str(made) == check_event_id(text)


def test_new_ids_begin_with_the_milliseconds_of_now() -> None:
    before = time.time_ns() // 1_000_000
    [text] = new_event_ids(1)
    after = time.time_ns() // 1_000_000
    assert before <= uuid.UUID(text).int >> 80 <= after


def test_ids_of_a_later_millisecond_sort_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[str] = []
    for milliseconds in (0, 1, 255, 1_700_000_000_000, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda ms=milliseconds: ms * 1_000_000 + 999_999)
        ids += new_event_ids(1)
    assert ids == sorted(ids)
    assert {len(text) for text in ids} == {36}


def test_a_hundred_thousand_ids_of_one_call_differ() -> None:
    assert len(set(new_event_ids(100_000))) == 100_000


def test_no_ids_are_none() -> None:
    assert new_event_ids(0) == []
