"""Templates over columns: what they give, and what is refused before anything is stored."""

from __future__ import annotations

import pytest

from eventstore import InvalidInput
from eventstore.cli.template import (
    EmptyColumnError,
    check_columns,
    column_or_template,
    parse_template,
)

ROW = {"case:concept:name": "case-1", "a": "x", "b {c}": "y", "": "z", "empty": ""}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("permit-{case:concept:name}", "permit-case-1"),
        ("{a}", "x"),
        ("{a}{a}-{case:concept:name}!", "xx-case-1!"),
        ("constant", "constant"),
        ("{{{a}}}", "{x}"),
        ("{{a}}", "{a}"),
        ("{}", "z"),
        ("{a!r:>10}", None),
        ("{b {c}}", None),
    ],
)
def test_a_template_is_filled_from_columns(template: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises((InvalidInput, KeyError)):
            parse_template(template).fill(ROW)
    else:
        assert parse_template(template).fill(ROW) == expected


@pytest.mark.parametrize("template", ["{", "}", "a{b", "a}b", "{a}}", "{{a}", "{{{a}}"])
def test_a_single_brace_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput, match="single"):
        parse_template(template)


def test_an_empty_column_leaves_no_name() -> None:
    with pytest.raises(EmptyColumnError) as empty:
        parse_template("permit-{empty}").fill(ROW)
    assert empty.value.column == "empty"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "x"), ("case:concept:name", "case-1"), ("{a}/{a}", "x/x"), ("b {c}", "y")],
)
def test_a_type_is_a_column_or_a_template(text: str, expected: str) -> None:
    assert column_or_template(text, list(ROW)).fill(ROW) == expected


def test_a_mistyped_column_does_not_become_a_constant_type() -> None:
    with pytest.raises(InvalidInput, match=r"no column 'concept:nam'.*'concept:name'"):
        column_or_template("concept:nam", ["concept:name"])


def test_columns_that_are_not_in_the_file_are_named_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match=r"no column 'x'; the columns are: 'a', 'b'"):
        check_columns(["a", "x"], ["a", "b"])
