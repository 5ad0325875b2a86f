"""JSON text that jsonb cannot hold is refused; what merely looks like it is not."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from eventstore import InvalidInput
from eventstore.core.jsontext import check_json_text, encode_json
from tests.fix_examples import json_values, short


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def nested_value(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        '"plain"',
        '"\\u0041"',
        '"\\\\u0000"',  # an escaped backslash, then the letters u0000
        '"\\\\\\\\u0000"',
        '"\\\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\uD83D\\uDE00"',
        '"a\\ud83d\\ude00b\\ud83d\\ude00"',
        '"\\uFFFF\\ufffe"',
        '"\\n\\t\\"\\/\\b"',
        '"😀"',
        "1e308",
        "-1.5E-308",
        "5e-324",
        "1e+007",
        "123456789012345678901234567890",
        "9" * 1000,
        '"' + "9" * 2000 + '"',
        '"1e999"',
        '"1e100000"',
        '{"1e999": "[[[["}',
        nested(512),
        '{"a":' * 512 + "1" + "}" * 512,
        '"' + "[" * 10_000 + '"',
        "[" + ",".join(["[]"] * 5_000) + "]",
        '["\\"[", ' + '"{\\\\", ' * 600 + "1]",
    ],
    ids=short,
)
def test_text_that_jsonb_can_hold_passes(text: str) -> None:
    json.loads(text)
    check_json_text(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"\\u0000"', "u0000"),
        ('{"a\\u0000": 1}', "u0000"),
        ('"\\\\\\u0000"', "u0000"),  # an escaped backslash, then an escaped NUL
        ('"\\ud800"', "surrogate"),
        ('"\\udc00"', "surrogate"),
        ('"\\uDBFF x"', "surrogate"),
        ('"\\ud83d\\u0041"', "surrogate"),
        ('"\\ud83d\\n"', "surrogate"),
        ('"\\ud83d \\ude00"', "surrogate"),
        ('"\\ude00\\ud83d"', "surrogate"),
        ('"\\ud83d\\ud83d\\ude00"', "surrogate"),
        ('"\\ud83d\\ude00\\ude00"', "surrogate"),
        ('{"\\ud800": 1}', "surrogate"),
        ('"\ud800"', "surrogate"),
        ("1e309", "exponent"),
        ("1e400", "exponent"),
        ("[1e100000]", "exponent"),
        ('{"a": -1.5E+100000}', "exponent"),
        ("1e-400", "exponent"),
        ("1e-325", "exponent"),
        ("9" * 1001, "1000 characters"),
        ("0." + "1" * 1000, "1000 characters"),
        ("[1," + "9" * 20_000 + "]", "1000 characters"),
        (nested(513), "512 levels"),
        (nested(10_000), "512 levels"),
        ('{"a":' * 513 + "1" + "}" * 513, "512 levels"),
        ('[{"a":' * 257 + "1" + "}]" * 257, "512 levels"),
    ],
    ids=short,
)
def test_text_that_jsonb_cannot_hold_is_refused_with_its_path(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        check_json_text(text, path="$[3].data")
    assert refused.value.facts == {"path": "$[3].data"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("\x00", "u0000"),
        ({"\x00": 1}, "u0000"),
        (["\ud800"], "surrogate"),
        ("\udfff", "surrogate"),
        ("\ud83d\ude00", "surrogate"),  # two halves as two characters are no character
        (math.nan, "not JSON"),
        ([math.inf], "not JSON"),
        (-math.inf, "not JSON"),
        (object(), "not JSON"),
        (Decimal("1.5"), "not JSON"),
        (b"bytes", "not JSON"),
        ({1, 2}, "not JSON"),
        ({(1, 2): 3}, "not JSON"),
        (10**1_000, "1000 characters"),
        (nested_value(513), "512 levels"),
        (nested_value(10_000), "512 levels"),
    ],
    ids=short,
)
def test_a_value_that_is_not_json_is_refused(value: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        encode_json(value, path="$")


def test_an_integer_that_python_does_not_write_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not JSON"):
        encode_json(10**5_000)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidInput, match="not JSON"):
        encode_json(loop)


@pytest.mark.parametrize(
    "value",
    ["\\u0000", "\\\\u0000", "\\ud800", "1e999", "[" * 10_000, "😀", 10**29 + 1, nested_value(512)],
    ids=short,
)
def test_a_value_that_only_looks_like_a_fault_passes(value: Any) -> None:
    assert json.loads(encode_json(value)) == value


@given(json_values)
def test_every_json_value_comes_back(value: Any) -> None:
    text = encode_json(value)
    check_json_text(text)
    assert json.loads(text) == value


@given(json_values)
def test_text_with_every_character_escaped_is_judged_alike(value: Any) -> None:
    text = json.dumps(value)
    if "\\u0000" not in text:
        check_json_text(text)
