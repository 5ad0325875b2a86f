"""Members of a JSON object as raw text, each of them once."""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec

from eventstore import InvalidInput

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_SPACE: Final = r"[ \t\n\r]*"
_NAME: Final = re.compile(rf'{_SPACE}("(?:[^"\\]|\\.)*"){_SPACE}:{_SPACE}').match
_END: Final = re.compile(rf"{_SPACE}([,}}])").match


def members_of(raw: bytes | msgspec.Raw, path: str) -> dict[str, msgspec.Raw]:
    """Return the members of an object, none of which is decoded.

    Raises InvalidInput for a name that comes twice, of which a decoder would keep the last without
    a word, and what msgspec raises for anything that is no object.
    """
    members = _decode(raw)
    text = str(raw, "utf-8")
    seen: set[str] = set()
    at = text.index("{") + 1
    while (found := _NAME(text, at)) is not None:
        name = json.loads(found[1])
        value = str(members[name], "utf-8")
        # Where another value stands than the one that was kept, that comes further on.
        end = _END(text, found.end() + len(value))
        if name in seen or end is None or not text.startswith(value, found.end()):
            raise InvalidInput("this member comes twice", path=f"{path}.{name[:60]}")
        seen.add(name)
        at = end.end()
    return members
