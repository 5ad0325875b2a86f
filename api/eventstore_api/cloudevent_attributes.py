"""Context attributes of CloudEvents 1.0.2: what they may be called, and what each may hold. Pure.

Faults are named by the attribute's place: `$.time` in a body, `ce-time` in a header.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Final, TypeAlias

from eventstore import InvalidInput

Value: TypeAlias = str | int | bool
Attributes: TypeAlias = dict[str, Value]

SPECVERSION: Final = "1.0"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_IDS: Final = uuid.UUID("0193b6a5-2f0e-7a4b-8c1d-3e9f60a7b852")
_NAME: Final = re.compile(r"[a-z0-9]+").fullmatch
_PLANE_ENDS: Final = "".join(
    chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)
)
FORBIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_PLANE_ENDS}]")
"""Characters that no text of a CloudEvent has: controls, surrogates and noncharacters."""

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(
    rf'({_WORD})/({_WORD})[ \t]*(?:;[ \t]*(?:{_WORD}=(?:{_WORD}|"(?:[^"\\]|\\.)*")[ \t]*)?)*'
).fullmatch
_ENCODED: Final = "%[0-9A-Fa-f]{2}"
_CHARS: Final = r"A-Za-z0-9._~!$&'()*+,;=@\-"
_SEGMENTS: Final = rf"(?:[{_CHARS}:/]|{_ENCODED})*"
_AUTHORITY: Final = rf"//(?:[{_CHARS}:]|{_ENCODED}|\[[0-9A-Fa-fvV:.]+\])*(?:/{_SEGMENTS})?"
_BEHIND: Final = rf"(?:\?(?:[{_CHARS}:/?]|{_ENCODED})*)?(?:#(?:[{_CHARS}:/?]|{_ENCODED})*)?"
_ABSOLUTE: Final = rf"[A-Za-z][A-Za-z0-9+.-]*:(?:{_AUTHORITY}|(?!//){_SEGMENTS})"
_RELATIVE: Final = rf"(?:{_AUTHORITY}|(?!//)(?:[{_CHARS}]|{_ENCODED})*(?:/{_SEGMENTS})?)"
_URI: Final = re.compile(_ABSOLUTE + _BEHIND).fullmatch
_URI_REFERENCE: Final = re.compile(f"(?:{_ABSOLUTE}|{_RELATIVE}){_BEHIND}").fullmatch
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))"
).fullmatch
_TAG: Final = re.compile(r"(?:\\[,\\]|[^,])+").findall


def check_attributes(given: Mapping[str, object], place: str) -> Attributes:
    """Return the attributes of a CloudEvent as they came, without those that are null (unset).

    Raises InvalidInput whose path is `place` and the name of the first attribute at fault.
    """
    attributes = {name: value for name, value in given.items() if value is not None}
    for name in _REQUIRED:
        if not isinstance(value := attributes.get(name), str) or not value:
            raise InvalidInput("a required attribute, text", path=place + name)
        if name == "specversion" and value != SPECVERSION:
            raise InvalidInput(
                f"CloudEvents {value[:20]} are not taken: the version is {SPECVERSION}",
                path=place + name,
            )
    checked: Attributes = {}
    for name, value in attributes.items():
        if not _NAME(name) or name == "data":
            raise InvalidInput(
                "the name of an attribute is small letters a-z and digits, and not data",
                path=place + name[:60],
            )
        checked[name] = _value(value, place + name)
        if (fault := _FAULTS.get(name, _no_fault)(checked[name])) is not None:
            raise InvalidInput(fault, path=place + name)
    return checked


def _value(value: object, path: str) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise InvalidInput("an integer of a CloudEvent has 32 bits; send it as text", path=path)
        return value
    if not isinstance(value, str):
        raise InvalidInput("an attribute is text, an integer, true or false", path=path)
    if found := FORBIDDEN.search(value):
        raise InvalidInput(
            f"text of a CloudEvent has no control or other non-character (U+{ord(found[0]):04X})",
            path=path,
        )
    return value


def _no_fault(_: Value) -> None:
    return None


def _text_fault(value: Value) -> str | None:
    return None if isinstance(value, str) and value else "text that is not empty"


def _source_fault(value: Value) -> str | None:
    if _text_fault(value) is None and _URI_REFERENCE(str(value)):
        return None
    return "a URI reference (RFC 3986): percent-encode what it cannot have"


def _dataschema_fault(value: Value) -> str | None:
    return None if isinstance(value, str) and _URI(value) else "a URI (RFC 3986) with its scheme"


def _datacontenttype_fault(value: Value) -> str | None:
    is_one = isinstance(value, str) and is_media_type(value)
    return None if is_one else "a media type, like application/json"


def _time_fault(value: Value) -> str | None:
    fault = "a time as RFC 3339 has it, like 2018-04-05T17:31:00Z"
    found = _TIME(value) if isinstance(value, str) else None
    if found is None:
        return fault
    year, month, day, hour, minute, second, *offset = (int(part or 0) for part in found.groups())
    try:
        date(year or 400, month, day)  # there was a year 0 in the calendar, and it was a leap year
    except ValueError:
        return fault
    # A leap second is one wherever a minute may end in UTC.
    in_range = hour < 24 and minute < 60 and second < 61 and offset[0] < 24 and offset[1] < 60
    return None if in_range else fault


_FAULTS: Final[dict[str, Callable[[Value], str | None]]] = {
    "source": _source_fault,
    "subject": _text_fault,
    "time": _time_fault,
    "dataschema": _dataschema_fault,
    "datacontenttype": _datacontenttype_fault,
}


def event_id_of(source: str, identity: str) -> str:
    """Return the event id that stands for a CloudEvent: a UUIDv5 of its source and id together.

    The same id of another source is another event. A source that is checked has no line break, so
    that no two pairs are written alike.
    """
    return str(uuid.uuid5(_IDS, f"{source}\n{identity}"))


def is_media_type(text: str) -> bool:
    """Whether a text is a media type (RFC 9110), with parameters or without."""
    return _MEDIA_TYPE(text) is not None


def media_type_of(datacontenttype: str) -> tuple[str, str]:
    """Return type and subtype of a checked media type, in small letters."""
    main, _, rest = datacontenttype.partition("/")
    return main.lower(), rest.partition(";")[0].strip().lower()


def tags_of(text: str) -> list[str]:
    r"""Return the tags that the attribute `tags` lists: between commas; `\,` is a comma in one."""
    return [re.sub(r"\\([,\\])", r"\1", tag) for tag in _TAG(text)]


def tag_list(tags: Iterable[str]) -> str:
    """Return tags as one text that `tags_of` reads as the same tags."""
    return ",".join([re.sub(r"([,\\])", r"\\\1", tag) for tag in tags])
