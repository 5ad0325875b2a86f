"""The events that are appended: 200 bytes of JSON each, spread over some thousand streams."""

from __future__ import annotations

import json
from typing import Any, Final

DATA_BYTES: Final = 200
EVENT_TYPE: Final = "OrderPlaced"
STREAMS: Final = 5_000
_WORDS: Final = "deliver to the neighbour if nobody is at home; ring twice; mind the dog "


def stream_name(number: int, streams: int = STREAMS) -> str:
    """Give the stream of the event with this number."""
    return f"order-{number % streams}"


def revision(number: int) -> int:
    """Give the revision that the event has in its stream, if all before it were appended too."""
    return number // STREAMS


def payload(number: int) -> dict[str, Any]:
    """Give an event's data: what an order may look like, 200 bytes as compact JSON."""
    data: dict[str, Any] = {
        "order": number,
        "customer": f"customer-{number % 977}",
        "currency": "EUR",
        "total": 12.5 + number % 100,
        "lines": [{"sku": f"A-{number % 89:04}", "quantity": 1 + number % 3}],
        "express": number % 2 == 0,
        "note": "",
    }
    missing = DATA_BYTES - len(json_text(data))
    data["note"] = (_WORDS * 4)[:missing]
    return data


def json_text(value: object) -> str:
    """Give compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
