"""What is unusual but legal is kept exactly as documented."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.api.rest import append, events_of, location, stream_path

pytestmark = pytest.mark.one_postgres

JSON = {"content-type": "application/json"}

KEPT = [
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "9" * 1000,
    "0.1000000000000000055511151231257827",
    "1e308",
    "-1.7976931348623157e308",
    "4.9e-324",
    "9007199254740993",
    "[]",
    '""',
    '"\\ud83d\\udc22"',
    '"\\u0001\\u001f\\u007f\\u2028"',
    '"\\\\u0000"',
    '"e\\u0301"',
    '{"": {"": []}}',
    '{"type": "A", "__proto__": 1, "$ref": "#"}',
    "[" * 512 + "]" * 512,
]


@pytest.mark.parametrize("text", KEPT, ids=lambda text: text[:30])
async def test_a_value_at_the_edge_is_kept_exactly(
    shared_http: httpx.AsyncClient, text: str
) -> None:
    body = f'{{"type": "Edge", "data": {text}}}'
    written = await shared_http.post(stream_path("edge"), content=body, headers=JSON)
    assert written.status_code == 201, written.text
    stored = await shared_http.get(location(written))
    found = json.loads(stored.content, parse_float=Decimal, parse_int=Decimal)["data"]
    assert found == json.loads(text, parse_float=Decimal, parse_int=Decimal)


async def test_of_a_member_that_comes_twice_the_last_is_kept(
    shared_http: httpx.AsyncClient,
) -> None:
    body = '{"type": "A", "type": "B", "data": {"a": 1, "a": {"b": 2, "b": 3}}}'
    written = await shared_http.post(stream_path("twice"), content=body, headers=JSON)
    stored = (await shared_http.get(location(written))).json()
    assert (stored["type"], stored["data"]) == ("B", {"a": {"b": 3}})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], []),
        (["b", "a", "b"], ["a", "b"]),
        ([f"tag:{n:02}" for n in range(64)], [f"tag:{n:02}" for n in range(64)]),
        (["x"] * 10_000, ["x"]),
        (["NULL", "null", "{}", '"', "\\", ",", " ", "🐢"], None),
        (["🐢" * 63], None),
    ],
    ids=lambda value: ascii(value)[:30],
)
async def test_tags_are_a_set_of_any_names(
    shared_http: httpx.AsyncClient, given: list[str], kept: list[str] | None
) -> None:
    written = await append(shared_http, "tags", {"type": "A", "tags": given})
    stored = (await shared_http.get(location(written))).json()
    assert stored["tags"] == (sorted(given) if kept is None else kept)
    for tag in stored["tags"]:
        found = await shared_http.get("/events", params={"tag": tag, "stream": "tags"})
        assert stored in events_of(found)


@pytest.mark.parametrize("event_type", ["x" * 255, "'; DROP TABLE", "%", "🐢", "a b", "*", "<a>&"])
async def test_an_event_type_is_any_name(shared_http: httpx.AsyncClient, event_type: str) -> None:
    event: dict[str, Any] = {"type": event_type}
    written = await append(shared_http, "types", event)
    stored = (await shared_http.get(location(written))).json()
    assert stored["type"] == event_type
    found = await shared_http.get("/events", params={"type": event_type})
    assert stored in events_of(found)
