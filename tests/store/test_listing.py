"""Listing streams, categories and event types."""

from __future__ import annotations

from itertools import product

import pytest

from eventstore import EventData, InvalidInput
from eventstore.core.streams import category as category_of
from tests.fix_faces import Face

NAMES = [
    "a", "a-1", "a-10", "a-2", "a-\U0001f418", "ab-1", "A-1", "b-1", "b%-1", "b_-1", "c*-1",
    "é-1", "z", "-", "--", "\U0001f418-1", " x",
]  # fmt: skip
"""Not in code point order, and with all that LIKE, glob and other orders trip over."""


async def seed(face: Face) -> None:
    for n, name in enumerate(NAMES):
        await face.append(name, [EventData(f"T{n % 3}")] * (n % 4 + 1))


def head(name: str) -> int:
    return NAMES.index(name) % 4


PREFIXES = ["", "a", "a-", "a-1", "b%", "b_", "c*", "\U0001f418", "none"]
CATEGORIES = [None, "a", "b%", "", "none"]


async def test_streams_are_listed_by_prefix_and_category_in_code_point_order(face: Face) -> None:
    await seed(face)
    for prefix, category in product(PREFIXES, CATEGORIES):
        wanted = [
            (name, head(name))
            for name in sorted(NAMES)
            if name.startswith(prefix) and category in (None, category_of(name))
        ]
        assert await face.list_streams(prefix=prefix, category=category) == wanted
        for limit in (0, 1, len(wanted)):
            some = await face.list_streams(prefix=prefix, category=category, limit=limit)
            assert some == wanted[:limit]
        for after in ("", "a-1", "b", "\U0010ffff"):
            rest = await face.list_streams(prefix=prefix, category=category, after=after)
            assert rest == [(name, revision) for name, revision in wanted if name > after]


async def test_listing_goes_on_after_the_last_name_of_a_page(face: Face) -> None:
    await seed(face)
    seen: list[str] = []
    while page := await face.list_streams(after=seen[-1] if seen else "", limit=3):
        seen += [stream.stream_name for stream in page]
    assert seen == sorted(NAMES)


async def test_an_empty_store_lists_nothing(face: Face) -> None:
    assert await face.list_streams() == []
    assert await face.list_streams(prefix="a", category="a") == []
    assert await face.categories() == []
    assert await face.event_types() == []


async def test_categories_and_types_are_counted(face: Face) -> None:
    await face.append("b-1", [EventData("Y"), EventData("X")])
    await face.append("a-1", EventData("X"))
    await face.append("b-2", EventData("X"))
    assert await face.categories() == [("a", 1, 3), ("b", 3, 4)]
    assert await face.event_types() == [("X", 3, 4), ("Y", 1, 1)]


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_text_that_postgresql_cannot_hold_is_bad_input(face: Face, text: str) -> None:
    with pytest.raises(InvalidInput):
        await face.list_streams(prefix=text)
    with pytest.raises(InvalidInput):
        await face.list_streams(after=text)
    with pytest.raises(InvalidInput):
        await face.stream_head(text)
