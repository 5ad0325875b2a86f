"""Checks on JSON text that jsonb cannot hold or that would come back enormous.

PostgreSQL parses every event once. What it would refuse, or give back a hundred thousand times
larger than it came, is refused here, before it can spoil a batch that it shares with others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from eventstore.core.errors import InvalidInput

MAX_DEPTH: Final = 512
"""Deepest nesting of arrays and objects. PostgreSQL's parser needs stack for each level."""
MIN_EXPONENT: Final = -324
MAX_EXPONENT: Final = 308
"""Decimal exponents, those of a double: jsonb writes 1e100000 out as 100,001 digits."""
MAX_DIGITS: Final = 1000
"""Longest number as jsonb writes it out, 1e3 as 1000: Python refuses to read integers of over
4,300 digits, many parsers earlier."""
MOST_EXPANSION: Final = 64
"""A text is stored as at most so many times its characters: 1e308 is written out as 309 digits."""

# Cheap tests that are true whenever a fault is there, and seldom else.
_SUSPICIOUS_NUMBER: Final = re.compile(
    rf"[0-9](?:[eE][+-]?[0-9]{{3}}|[0-9]{{{MAX_DIGITS // 2 - 1}}})"
).search
_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9][-+.eE0-9]*)|(?P<open>[\[{])|(?P<close>[\]}])'
)
_PIECE: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9][-+.eE0-9]*)|(?P<other>[^\s"0-9-]+)'
)
_EXPONENT: Final = re.compile(r"[0-9][eE][+-]?[0-9]").search
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000").search
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]").search
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode_json(value: Any, *, path: str = "") -> str:
    """Give the JSON text of a Python value, checked as `check_json_text` does.

    Strict: NaN, infinities, and types that JSON does not have raise InvalidInput.
    """
    try:
        text = _encode(value)
    except RecursionError:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH} levels", path=path) from None
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"not JSON: {error}", path=path) from error
    _check_strings_and_depth(text, path)
    if len(text) > MAX_DIGITS and _SUSPICIOUS_NUMBER(text):  # Python's exponents are a double's
        _check_numbers(text, path)
    return text


def check_json_text(text: str, *, path: str = "") -> None:
    """Raise InvalidInput if syntactically valid JSON text holds what the store cannot keep.

    Faults: `\\u0000`, lone surrogates, nesting beyond 512 levels, numbers of over 1,000 characters
    when written out, or with an exponent that no double has. Linear in the text; a few
    microseconds for small ones.
    """
    _check_strings_and_depth(text, path)
    if _SUSPICIOUS_NUMBER(text):
        _check_numbers(text, path)


def _check_strings_and_depth(text: str, path: str) -> None:
    if "\\u" in text:
        _check_escapes(text, path)
    if not text.isascii():
        _check_encodable(text, path)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text, path)


def _check_encodable(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a string has a lone surrogate (not a character)", path=path) from None


def _check_escapes(text: str, path: str) -> None:
    if "\\u0000" in text and _NUL(text):
        raise InvalidInput("a string has \\u0000, which PostgreSQL text cannot hold", path=path)
    if not _SURROGATE(text):
        return
    # Pairs become one character, what is left over is what UTF-8 refuses. Numbers are not read.
    try:
        _encode(json.loads(text, parse_int=str, parse_float=str)).encode()
    except UnicodeEncodeError:
        problem = "a string has a lone surrogate (\\ud800 to \\udfff)"
        raise InvalidInput(problem, path=path) from None
    except RecursionError:
        raise InvalidInput(f"nested deeper than {MAX_DEPTH} levels", path=path) from None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        yield match.lastgroup or "", match[0]


def _check_depth(text: str, path: str) -> None:
    depth = 0
    for kind, _ in _tokens(text):
        if kind == "open":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidInput(f"nested deeper than {MAX_DEPTH} levels", path=path)
        elif kind == "close":
            depth -= 1


def _check_numbers(text: str, path: str) -> None:
    for kind, token in _tokens(text):
        if kind != "number":
            continue
        exponent = token.lower().partition("e")[2]
        # Python refuses to read very long ones.
        is_long = len(exponent.lstrip("+-0")) > 3
        if exponent and (is_long or not MIN_EXPONENT <= int(exponent) <= MAX_EXPONENT):
            raise InvalidInput(
                f"a number's exponent is not within {MIN_EXPONENT} to {MAX_EXPONENT}: {token[:40]}",
                path=path,
            )
        if _written_out(token) > MAX_DIGITS:
            raise InvalidInput(f"a number has more than {MAX_DIGITS} characters", path=path)


def _written_out(number: str) -> int:
    """Return the characters of a JSON number as PostgreSQL's numeric writes it: no exponent."""
    mantissa, _, exponent = number.lower().partition("e")
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    shift = int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    before = max(len(digits) - len(fraction) + shift, 1) if digits else 1
    after = max(len(fraction) - shift, 0)
    is_negative = bool(digits) and mantissa.startswith("-")
    return is_negative + before + (after and 1 + after)


def json_size(text: str) -> int:
    """Return the bytes of JSON text as it is stored: compact UTF-8, with numbers written out.

    Of a member that comes twice both count.
    """
    size = 0
    for match in _PIECE.finditer(text):
        kind, piece = match.lastgroup, match[0]
        if kind == "number":
            size += _written_out(piece)
        elif kind == "string" and "\\" in piece:
            size += len(_encode(json.loads(piece)).encode())
        else:
            size += len(piece.encode())
    return size


def may_expand(text: str) -> bool:
    """Tell whether it may be stored as more bytes than it has itself."""
    return _EXPONENT(text) is not None
