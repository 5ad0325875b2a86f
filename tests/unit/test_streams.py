"""Stream names: what is one, what is not, and where its category ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from eventstore import EventData, EventQuery, InvalidInput, Reactor
from eventstore.core.events import encode_event
from eventstore.core.streams import category, check_stream_name, check_text, listing_range
from tests.fix_examples import names, short, texts


@pytest.mark.parametrize(
    ("stream_name", "expected"),
    [
        ("order-42", "order"),
        ("order", "order"),
        ("order-42-item-7", "order"),
        ("order:line-1", "order:line"),
        ("-", ""),
        ("-42", ""),
        ("żółw-🐢", "żółw"),
    ],
)
def test_the_category_is_the_text_before_the_first_hyphen(stream_name: str, expected: str) -> None:
    assert category(stream_name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "order-1",
        "a" * 255,
        "é" * 127,
        " order 1 ",
        "..",
        "../../etc/passwd",
        "%2F%00",
        "a/b?c=d#e",
        "*",
        "'; DROP TABLE events; --",
        '"quoted"',
        "back\\slash",
        "🐘-\u200d-👩\u200d👧",
        "\u05e2\u05d1\u05e8\u05d9\u05ea-\u202e1",
        "NULL",
    ],
    ids=short,
)
def test_any_printable_name_is_legal(name: str) -> None:
    assert check_stream_name(name) == name


@given(names)
def test_whatever_is_nfc_without_controls_and_short_is_legal(name: str) -> None:
    assert check_stream_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("a" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("a" * 1_000_000, "255 bytes"),
        ("a\x00b", r"U\+0000"),
        ("a\nb", r"U\+000A"),
        ("a\x7f", r"U\+007F"),
        ("a\x85", r"U\+0085"),
        ("e\u0301", "NFC"),
        ("\ud800", "surrogate"),
    ],
    ids=short,
)
def test_an_illegal_name_is_refused_with_what_is_wrong(name: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        check_stream_name(name)


def test_a_class_in_place_of_its_name_is_refused_with_the_name() -> None:
    given: Any = InvalidInput
    for refused in (
        lambda: EventQuery(types=[given]),
        lambda: Reactor("emails").on(given),
        lambda: EventQuery(streams=[given]),
        lambda: check_stream_name(given),
        lambda: encode_event(EventData(given)),
    ):
        with pytest.raises(InvalidInput, match="is text: give 'InvalidInput', not the class"):
            refused()


@pytest.mark.parametrize("name", [None, 1, b"order-1", ["order-1"]])
def test_a_name_that_is_not_text_is_refused(name: object) -> None:
    with pytest.raises(InvalidInput, match="is text"):
        check_stream_name(name)  # type: ignore[arg-type]


@given(texts)
def test_a_refusal_names_what_was_checked(text: str) -> None:
    try:
        assert check_text(text, "a tag") == text
    except InvalidInput as refusal:
        assert str(refusal).startswith("a tag ")  # noqa: PT017


LISTED = ["order", "order-", "order-1", "order-12", "order-2", "orders-1", "orderly", "x-1"]


@pytest.mark.parametrize("prefix", ["", "o", "order", "order-", "order-1", "orders", "x", "z"])
@pytest.mark.parametrize("of_category", [None, "order", "orders", "orderly", "x", "none"])
def test_a_listing_range_holds_what_has_both_prefix_and_category(
    prefix: str, of_category: str | None
) -> None:
    found = listing_range(prefix, of_category)
    exact, begins = found if found is not None else (None, None)
    ranged = {n for n in LISTED if n == exact or (begins is not None and n.startswith(begins))}
    assert ranged == {
        name for name in LISTED if name.startswith(prefix) and of_category in (None, category(name))
    }
