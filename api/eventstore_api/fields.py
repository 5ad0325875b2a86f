"""The syntax that header fields share: lists, parameters, tokens and quoted strings (RFC 9110)."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - of a header
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_PIECES: Final = {
    # Up to the next separator that is in no quoted string; one that is not closed goes to the end.
    separator: re.compile(rf'(?:[^"{separator}]|{_QUOTED}?)*+').match
    for separator in ",;"
}
_PAIR: Final = re.compile(rf"({_TOKEN})(?:[ \t]*=[ \t]*({_TOKEN}|{_QUOTED}|))?").fullmatch
_ESCAPED: Final = re.compile(r"\\(.)")


def elements(value: str, separator: str = ",") -> list[str]:
    """Return the elements of a list, without the empty ones that a recipient has to ignore."""
    if '"' not in value:
        parts = value.split(separator)
    else:
        parts, start = [], 0
        while start <= len(value):
            found = _PIECES[separator](value, start)
            assert found is not None  # noqa: S101 - it matches an empty text
            parts.append(found[0])
            start = found.end() + 1
    return [stripped for part in parts if (stripped := part.strip(" \t"))]


def pair(text: str) -> tuple[str, str] | None:
    """Return the name, in lower case, and the value of `name=value`; None if it is none.

    A name alone has an empty value, as an empty quoted string has.
    """
    found = _PAIR(text)
    return None if found is None else (found[1].lower(), unquoted(found[2] or ""))


def unquoted(text: str) -> str:
    """Return what a token or a quoted string says."""
    return _ESCAPED.sub(r"\1", text[1:-1]) if text[:1] == '"' else text
