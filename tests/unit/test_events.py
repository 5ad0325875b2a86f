"""Events on their way in (checked, encoded) and out (decoded on first use)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from eventstore import EventData, InvalidInput, LimitExceeded, Limits, RecordedEvent
from eventstore.core.events import check_event_id, encode_event

ID = "0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42"


def test_an_event_is_encoded_for_sql() -> None:
    event = EventData("Placed", {"b": 1, "a": "ż"}, {"by": "me"}, uuid.UUID(ID), ["b", "a", "b"])
    assert encode_event(event) == (
        "Placed", '{"b":1,"a":"ż"}', '{"by":"me"}', ID, ("a", "b"), 26
    )  # fmt: skip


def test_an_event_needs_only_a_type() -> None:
    assert encode_event(EventData("Placed")) == ("Placed", "{}", "{}", None, (), 4)


@pytest.mark.parametrize("data", [None, 0, "text", [], [1, {"a": None}], True, 1.5])
def test_data_is_any_json_value(data: Any) -> None:
    encode_event(EventData("Placed", data))


@pytest.mark.parametrize(
    "given", [ID, ID.upper(), f"{{{ID}}}", ID.replace("-", ""), f"urn:uuid:{ID}", uuid.UUID(ID)]
)
def test_an_event_id_is_made_canonical(given: str | uuid.UUID) -> None:
    assert check_event_id(given) == ID


@pytest.mark.parametrize("wrong", ["", "1", ID[:-1], ID + "0", 7, b"0" * 16, "x" * 1_000_000])
def test_what_is_not_a_uuid_is_no_event_id(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="UUID") as refused:
        check_event_id(wrong, path="$[1]")
    assert refused.value.path == "$[1].id"
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("event", "path", "says"),
    [
        (EventData(""), "$[2].type", "empty"),
        (EventData("a\nb"), "$[2].type", "control"),
        (EventData("T" * 256), "$[2].type", "255 bytes"),
        (EventData(7), "$[2].type", "text"),  # type: ignore[arg-type]
        (EventData("T", metadata=[]), "$[2].metadata", "object"),  # type: ignore[arg-type]
        (EventData("T", metadata="{}"), "$[2].metadata", "object"),  # type: ignore[arg-type]
        (EventData("T", "\x00"), "$[2]", "u0000"),
        (EventData("T", metadata={"a": "\x00"}), "$[2]", "u0000"),
        (EventData("T", float("nan")), "$[2]", "not JSON"),
        (EventData("T", event_id="7"), "$[2].id", "UUID"),
        (EventData("T", tags="vip"), "$[2].tags", "list of texts"),
        (EventData("T", tags=[1]), "$[2].tags", "list of texts"),  # type: ignore[list-item]
        (EventData("T", tags=["ok", ""]), "$[2].tags", "empty"),
        (EventData("T", tags=["e\u0301"]), "$[2].tags", "NFC"),
        ({"type": "T"}, "$[2]", "not an EventData: dict"),
    ],
)
def test_a_fault_in_an_event_is_named_with_its_path(event: Any, path: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        encode_event(event, path="$[2]")
    assert refused.value.path == path


def test_an_event_has_limits() -> None:
    limits = Limits(event_bytes=12, event_tags=2)
    encode_event(EventData("T", "a" * 8, tags=["a", "b", "a"]), limits=limits)
    with pytest.raises(LimitExceeded, match="12 bytes"):
        encode_event(EventData("T", "a" * 9), limits=limits)
    with pytest.raises(LimitExceeded, match="12 bytes"):
        encode_event(EventData("T", {}, {"a": "bcdef"}), limits=limits)
    with pytest.raises(LimitExceeded, match="2 tags"):
        encode_event(EventData("T", tags=["a", "b", "c"]), limits=limits)


def test_a_recorded_event_decodes_its_json_once() -> None:
    now = datetime.now(UTC)
    event = RecordedEvent(
        7, "order-1-x", 0, uuid.UUID(ID), "T", '{"n": 1}', '{"by": "me"}', ["a"], now
    )
    assert event.data == {"n": 1}
    assert event.data is event.data
    assert event.metadata == {"by": "me"}
    assert event.category == "order"
    assert (event.position, event.recorded_at) == (7, now)
