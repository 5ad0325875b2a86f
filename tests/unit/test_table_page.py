"""A page of a read table, as people see it."""

from __future__ import annotations

from eventstore.core.readtables import TablePage


def test_a_page_shows_its_rows() -> None:
    page = TablePage('[{"n": 1}]', 7, None)
    assert repr(page) == "TablePage(rows=[{'n': 1}], position=7, next_offset=None)"
