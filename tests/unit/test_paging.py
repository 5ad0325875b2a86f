"""Pages: as large as bytes allow, whatever comes."""

from __future__ import annotations

import pytest

from eventstore import RecordedEvent
from eventstore.core.paging import FIRST, PAGE_BYTES, PageSize, size_of
from tests.unit.test_tail import event


def page(count: int, size: int) -> list[RecordedEvent]:
    return [event(n, size=size - 2) for n in range(count)]


def test_pages_of_small_events_grow_to_the_most() -> None:
    size = PageSize(1_000)
    sizes = []
    for _ in range(4):
        sizes.append(size())
        size.read(page(sizes[-1], 200))
    assert sizes == [100, 400, 1_000, 1_000]


@pytest.mark.parametrize("bytes_each", [10_000, 100_000, 1 << 20])
def test_pages_of_large_events_stay_within_their_bytes(bytes_each: int) -> None:
    size = PageSize(1_000)
    size.read(page(FIRST, bytes_each))
    for _ in range(3):
        assert size_of(page(size(), bytes_each)) <= PAGE_BYTES
        size.read(page(size(), bytes_each))


def test_one_event_that_is_larger_than_a_page_is_read_alone() -> None:
    size = PageSize(1_000)
    size.read(page(1, 2 * PAGE_BYTES))
    assert size() == 1


def test_a_short_page_says_nothing_of_the_size_of_events() -> None:
    size = PageSize(1_000)
    for count in (100, 400, 1):
        size.read(page(count, 200))
    assert size() == 1_000


def test_no_more_is_asked_for_than_is_wanted() -> None:
    assert PageSize(1_000)(7) == 7
    assert PageSize(10)() == 10
    size = PageSize(1_000)
    size.read([])
    assert size() == FIRST
