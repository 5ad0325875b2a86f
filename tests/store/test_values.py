"""What goes in comes out: names, data and tags of every kind, and what is refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import EventData, EventQuery, InvalidInput, LimitExceeded
from eventstore.core.reads import NameCount
from tests.fix_examples import json_values, names, short
from tests.fix_faces import Face

NAMES = [
    "order-42", "🐘-👩‍👧", "\u05e2\u05d1\u05e8\u05d9\u05ea-\u202e1", "a%2Fb%00", "a/b?c=d#e&f",
    "..", "../../etc", "*", "'; DROP TABLE eventstore.events; --", '"quoted"', "back\\slash",
    "$1", ":name", "%s", "{curly}", "NULL", " spaces ", "ß" * 127, "x" * 255,
]  # fmt: skip


async def test_any_printable_name_survives(face: Face, subtests: pytest.Subtests) -> None:
    for name in NAMES:
        with subtests.test(short(name)):
            await face.append(name, EventData(name, tags=[name, "other"]))
            [event] = [e async for e in face.read_stream(name)]
            assert (event.stream_name, event.event_type) == (name, name)
            assert event.tags == sorted([name, "other"])
            assert await face.stream_head(name) == 0
            assert await face.list_streams(prefix=name, limit=1) == [(name, 0)]
            at = event.position
            assert NameCount(event.category, 1, at) in await face.categories()
            assert NameCount(name, 1, at) in await face.event_types()
            for query in (
                EventQuery(streams=[name]),
                EventQuery(types=[name]),
                EventQuery(tags=[name]),
                EventQuery(categories=[event.category]),
            ):
                assert [e async for e in face.read(query)] == [event], query
    assert len(await face.categories()) == len(await face.list_streams()) == len(NAMES)


ILLEGAL_NAMES: list[str] = [
    "",
    "a\x00b",
    "a\nb",
    "\x7f",
    "e\u0301-1",
    "\ud800",
    "x" * 256,
    "x" * 1_000_000,
]


async def test_an_illegal_name_is_refused_and_nothing_stored(
    face: Face, subtests: pytest.Subtests
) -> None:
    for name in ILLEGAL_NAMES:
        with subtests.test(short(name)):
            for refused in (
                face.append(name, EventData("T")),
                face.append("a-1", EventData(name)),
                face.append("a-1", EventData("T", tags=[name])),
            ):
                with pytest.raises(InvalidInput):
                    await refused
            with pytest.raises(InvalidInput):
                face.read_stream(name)
            assert (await face.head()).position == 0


KEPT: list[Any] = [
    123456789012345678901234567890,
    -(10**998),
    [0.1, 5e-324, -0.5, 1e22, 2.0],
    "",
    "\\u0000 \\ud800 1e999 [[[[",
    {"": {"a.b": [None, True, {}]}},
    "🐘\u2028\u200d\ufeff\uffff",
    [[[[[[1]]]]]],
]


async def test_data_comes_back_equal(face: Face, subtests: pytest.Subtests) -> None:
    for n, data in enumerate(KEPT):
        with subtests.test(short(data)):
            await face.append(f"a-{n}", EventData("T", data, {"of": data}))
            [event] = [e async for e in face.read_stream(f"a-{n}")]
            assert event.data == data
            assert event.metadata == {"of": data}


def exact(text: str) -> Any:
    """Decode JSON as jsonb means it: numbers are decimal, 1e23 is an integer of 24 digits."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, data=json_values, tags=st.lists(names, max_size=3))
async def test_whatever_is_made_up_comes_back_equal(
    face: Face, name: str, data: Any, tags: list[str]
) -> None:
    appended = await face.append(name, EventData(name, data, tags=tags))
    event = await face.event(appended.event_ids[0])
    assert (event.stream_name, event.event_type) == (name, name)
    assert exact(event.data_json) == exact(json.dumps(data))
    assert event.tags == sorted(set(tags))
    assert event.revision == appended.revision == await face.stream_head(name)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


async def test_nesting_of_512_levels_comes_back(face: Face) -> None:
    await face.append("a-1", EventData("T", nested(512)))
    [event] = [e async for e in face.read_stream("a-1")]
    assert event.data_json == "[" * 512 + "1" + "]" * 512


NOT_KEPT: list[Any] = [
    "\x00",
    "\ud800",
    {"\x00": 1},
    math.nan,
    [math.inf],
    -math.inf,
    nested(513),
    nested(10_000),
    10**1_000,
    {1, 2},
    b"bytes",
    object(),
]


async def test_what_cannot_be_kept_is_refused_and_nothing_stored(
    face: Face, subtests: pytest.Subtests
) -> None:
    for data in NOT_KEPT:
        with subtests.test(short(data)):
            with pytest.raises(InvalidInput):
                await face.append("a-1", EventData("T", data))
            with pytest.raises(InvalidInput):
                await face.append("a-1", [EventData("T"), EventData("T", metadata={"of": data})])
            assert (await face.head()).position == 0


async def test_what_is_larger_than_a_limit_is_refused_and_nothing_stored(face: Face) -> None:
    with pytest.raises(LimitExceeded, match="1048576 bytes"):
        await face.append("a-1", EventData("T", "x" * (1 << 20)))
    with pytest.raises(LimitExceeded, match="10000 events"):
        await face.append("a-1", [EventData("T")] * 100_000)
    with pytest.raises(LimitExceeded, match="64 tags"):
        await face.append("a-1", EventData("T", tags=[f"t{n}" for n in range(65)]))
    assert (await face.head()).position == 0


async def test_an_event_of_the_largest_size_is_kept(face: Face) -> None:
    data = "é" * (400 << 10)
    await face.append("a-1", EventData("T", data, tags=[f"t{n}" for n in range(64)]))
    [event] = [e async for e in face.read(EventQuery(tags=["t63"]))]
    assert event.data == data
