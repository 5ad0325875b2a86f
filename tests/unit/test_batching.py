"""Which requests share a batch: a row for each rule, and what must hold for any of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
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
from eventstore.core.batching import Batch
from tests.fix_examples import requests

IDS = [f"00000000-0000-7000-8000-{n:012}" for n in range(50)]


def to(
    *streams: str,
    expect: ExpectedRevision = ANY,
    ids: Sequence[int] = (),
    unless: EventQuery | None = None,
    tags: Sequence[str] = (),
    data: str = "",
) -> AppendRequest:
    """A request of one event for each stream."""
    appends = []
    for n, stream in enumerate(streams):
        event = EventData("T", data, event_id=IDS[ids[n]] if ids else None, tags=tags)
        appends.append(encode_append(stream, [event], expect if n == 0 else ANY))
    condition = None if unless is None else AppendCondition(unless)
    return make_request(appends, new_ids=["new"] * len(streams), condition=condition)


def joined(*together: AppendRequest, batch: Batch | None = None) -> list[bool]:
    batch = batch or Batch()
    return [batch.accept(request) for request in together]


@pytest.mark.parametrize(
    ("why", "first", "second", "joins"),
    [
        ("other streams", to("a", expect=0), to("b", expect=0), True),
        ("any after anything", to("a", expect=0), to("a"), True),
        ("any after any", to("a"), to("a"), True),
        ("revision after any", to("a"), to("a", expect=0), False),
        ("no stream after any", to("a"), to("a", expect=NO_STREAM), False),
        (
            "stream exists after no stream",
            to("a", expect=NO_STREAM),
            to("a", expect=STREAM_EXISTS),
            False,
        ),
        ("revision after revision", to("a", expect=0), to("a", expect=1), False),
        ("second of several streams", to("b", "a"), to("a", "b", expect=0), False),
        ("other ids", to("a", ids=[1]), to("a", ids=[2]), True),
        ("the same id", to("a", ids=[1]), to("a", ids=[1]), False),
        ("the same id elsewhere", to("a", ids=[1]), to("b", ids=[1]), False),
        ("one of several ids", to("a", "b", ids=[1, 2]), to("c", "d", ids=[3, 2]), False),
        ("a condition that nothing meets", to("a"), to("b", unless=EventQuery(types=["X"])), True),
        ("a condition on the type", to("a"), to("b", unless=EventQuery(types=["T"])), False),
        ("a condition on the stream", to("a"), to("b", unless=EventQuery(streams=["a"])), False),
        (
            "a condition on the category",
            to("a-1"),
            to("b", unless=EventQuery(categories=["a"])),
            False,
        ),
        (
            "a condition on tags",
            to("a", tags=["x", "y"]),
            to("b", unless=EventQuery(tags=["y", "x"])),
            False,
        ),
        (
            "a condition on other tags",
            to("a", tags=["x"]),
            to("b", unless=EventQuery(tags=["y", "x"])),
            True,
        ),
        ("a condition on everything", to("a"), to("b", unless=EventQuery()), False),
        (
            "a condition that it meets itself",
            to("a"),
            to("b", unless=EventQuery(streams=["b"])),
            True,
        ),
        ("anything after a condition", to("a", unless=EventQuery()), to("b"), True),
    ],
)
def test_a_second_request_joins_or_waits(
    why: str, first: AppendRequest, second: AppendRequest, joins: bool
) -> None:
    assert joined(first, second) == [True, joins], why


def test_the_first_request_always_joins_however_large() -> None:
    batch = Batch(max_events=1, max_bytes=1)
    assert joined(to("a", "b", "c", data="x" * 100), batch=batch) == [True]
    assert batch.is_full


def test_a_batch_is_bounded_in_events() -> None:
    batch = Batch(max_events=3)
    assert joined(to("a"), to("b", "c", "d"), to("e", "f"), to("g"), batch=batch) == [
        True, False, True, False
    ]  # fmt: skip
    assert batch.is_full


def test_a_batch_is_bounded_in_bytes() -> None:
    batch = Batch(max_bytes=30)
    one = to("a", data="x" * 10)
    assert one.size == 14
    assert joined(one, one, one, batch=batch) == [True, True, False]
    assert not batch.is_full


def test_one_that_waits_makes_later_ones_of_its_streams_wait() -> None:
    first, conflicting = to("a", expect=0), to("a", "b", expect=0)
    assert joined(first, conflicting, to("b"), to("a"), to("c")) == [
        True, False, False, False, True
    ]  # fmt: skip


def test_one_that_waits_for_room_makes_later_ones_of_its_stream_wait() -> None:
    batch = Batch(max_events=2)
    assert joined(to("a"), to("b", "b"), to("b"), batch=batch) == [True, False, False]


def planned(queue: Sequence[AppendRequest], max_events: int) -> list[list[AppendRequest]]:
    """Put a queue through batches as the appender does: what has to wait stays in front."""
    batches = []
    waiting = list(queue)
    while waiting:
        batch = Batch(max_events=max_events)
        waiting = [request for request in waiting if not batch.accept(request)]
        batches.append(batch.requests)
    return batches


@given(st.lists(requests(IDS), max_size=30), st.integers(1, 20))
def test_no_request_is_lost_or_doubled_or_overtaken_in_a_stream(
    queue: list[AppendRequest], max_events: int
) -> None:
    batches = planned(queue, max_events)
    sent = [request for batch in batches for request in batch]
    assert sorted(map(id, sent)) == sorted(map(id, queue))
    for stream in {append.stream_name for request in queue for append in request.appends}:
        named = [r for r in queue if any(a.stream_name == stream for a in r.appends)]
        assert [id(r) for r in sent if any(r is n for n in named)] == list(map(id, named))


@given(st.lists(requests(IDS), max_size=30))
def test_every_batch_keeps_the_rules(queue: list[AppendRequest]) -> None:
    for batch in planned(queue, 1_000):
        assert batch
        seen: set[str] = set()
        for request in batch:
            own: set[str] = set()
            for append in request.appends:
                assert append.expected == ANY.code or append.stream_name not in seen | own
                own.add(append.stream_name)
            seen |= own
        known = [event_id for r in batch if r.ids_known for event_id in r.event_ids]
        assert len(set(known)) == len(known)
