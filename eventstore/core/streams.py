"""Stream names: what is one, and which category it belongs to."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final
from urllib.parse import quote

from eventstore.core.errors import InvalidInput

MAX_STREAM_NAME_BYTES: Final = 255
_PLAIN: Final = re.compile(r"[!-~]{1,255}").fullmatch  # printable ASCII without space: most names
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


def category(stream_name: str) -> str:
    """Give the category of a stream: the text before the first `-`, or the whole name."""
    return stream_name.partition("-")[0]


def partition_of(stream_name: str, partitions: int) -> int:
    """Give the partition of a stream, 0-based: as `eventstore.partition_of` does in SQL."""
    digest = hashlib.md5(stream_name.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4]) % partitions


def check_stream_name(stream_name: str) -> str:
    """Return the name, or raise InvalidInput that says what is wrong with it.

    A stream name is 1 to 255 bytes of UTF-8 in Unicode normal form C without control characters.
    """
    return check_text(stream_name, "a stream name")


def check_text(text: str, what: str) -> str:
    """Return text that is fit to be a name (stream, event type, tag), or raise InvalidInput."""
    if not isinstance(text, str):
        raise InvalidInput(f"{what} is text{_in_place_of(text)}")
    if _PLAIN(text):
        return text
    if not text:
        raise InvalidInput(f"{what} must not be empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} has a lone surrogate, which is not a character") from None
    if size > MAX_STREAM_NAME_BYTES:
        raise InvalidInput(f"{what} is at most {MAX_STREAM_NAME_BYTES} bytes of UTF-8: {size}")
    if control := _CONTROL(text):
        raise InvalidInput(f"{what} has a control character (U+{ord(control[0]):04X})")
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidInput(f"{what} is not in Unicode normal form C (NFC): normalise it first")
    return text


def _in_place_of(given: object) -> str:
    if isinstance(given, type):
        return f": give {given.__name__!r}, not the class"
    return f", not {type(given).__name__}"


def path_segment(name: str) -> str:
    """Give a name as one percent-encoded segment of a URL's path."""
    encoded = quote(name, safe="", errors="surrogatepass")
    # A segment of dots alone would be folded away.
    return encoded.replace(".", "%2E") if encoded in (".", "..") else encoded


def listing_range(prefix: str, category_name: str | None) -> tuple[str | None, str] | None:
    """Give the names that have both a prefix and a category: one exact name, and a prefix.

    A category's streams are the name itself and all that begin with it and a `-`. None: no name
    can have both.
    """
    if category_name is None:
        return None, prefix
    of_category = f"{category_name}-"
    if prefix.startswith(of_category):
        return None, prefix
    if of_category.startswith(prefix):
        return (category_name if category_name.startswith(prefix) else None), of_category
    return None
