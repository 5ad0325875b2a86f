"""What hypothesis makes up: names, JSON values, events, queries, requests."""

from __future__ import annotations

import unicodedata
import uuid
from typing import Any

from hypothesis import strategies as st

from eventstore import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    AppendCondition,
    EventData,
    EventQuery,
    ExpectedRevision,
)
from eventstore.core.append import AppendRequest, encode_append, make_request
from eventstore.core.query import QueryItem

STREAMS = ["order", "order-1", "order-2", "invoice-1", "order:x-1", "-", "żółw-🐢"]
CATEGORIES = ["order", "invoice", "order:x", "", "żółw", "none"]
TYPES = ["Placed", "Paid", "Shipped", "Ünïcode"]
TAGS = ["customer:1", "customer:2", 'a"b\\c,{}', "NULL", "🐢"]

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
names = (
    texts.map(lambda text: unicodedata.normalize("NFC", text))
    .filter(bool)
    .filter(lambda name: len(name.encode()) <= 255)
)
"""Any legal stream name, event type or tag."""

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def _some(values: list[str], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


items = st.builds(
    QueryItem,
    streams=_some(STREAMS),
    categories=_some([category for category in CATEGORIES if category]),
    types=_some(TYPES),
    tags=_some(TAGS),
)
queries = st.lists(items, min_size=1, max_size=3).map(lambda some: EventQuery(any_of=some))
"""Queries that mean some of what `events` are appended to STREAMS, often few or none of them."""

events = st.builds(
    EventData,
    event_type=st.sampled_from(TYPES),
    data=st.sampled_from([{}, {}, {"n": 1}]),
    tags=_some(TAGS, 3),
)

expectations: st.SearchStrategy[ExpectedRevision] = st.sampled_from(
    [ANY, ANY, NO_STREAM, STREAM_EXISTS, 0, 3]
)


@st.composite
def requests(draw: st.DrawFn, known_ids: list[str]) -> AppendRequest:
    """Make a request: some with ids out of `known_ids`, some with a condition."""
    streams = draw(st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3))
    count = draw(st.integers(1, 3))
    taken: set[str] = set()
    appends = []
    for stream in streams:
        expected = draw(expectations)
        appends.append(
            encode_append(
                stream,
                draw(st.lists(events, min_size=count, max_size=count)),
                ANY if stream in taken else expected,
            )
        )
        taken.add(stream)
    condition = draw(st.none() | queries.map(AppendCondition))
    total = count * len(appends)
    if draw(st.booleans()):
        ids = draw(
            st.lists(st.sampled_from(known_ids), min_size=total, max_size=total, unique=True)
        )
        remaining = iter(ids)
        appends = [
            append._replace(
                events=tuple(event._replace(event_id=next(remaining)) for event in append.events)
            )
            for append in appends
        ]
    new_ids = [str(uuid.UUID(int=draw(st.integers(2**64, 2**128 - 1)))) for _ in range(total)]
    return make_request(appends, new_ids=new_ids, condition=condition)


def short(value: object) -> str:
    """Name an example in a test's id: some are a million characters long."""
    return ascii(value)[:40] if isinstance(value, (str, int, float)) else type(value).__name__
