"""Values of a read table's columns, made in Python what PostgreSQL would make of them.

A handler that sees what an earlier event left has to see the same whether that event was in the
same batch, and so only in memory, or in an earlier one, and so read from the table. So every value
is brought into the form that is read back, and one that the column cannot hold is refused at once.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import sqlalchemy as sa

Make: TypeAlias = Callable[[Any], Any]
"""Gives a value as it is read back. Raises ValueError or TypeError if a column cannot hold it."""

_EXACT: Final = Context(prec=2_000)
_MOST_BEFORE, _MOST_BEHIND = 131_072, 16_383
"""Digits of a numeric before and behind the point."""


_NO_ZERO: Final = "PostgreSQL's texts have no character 0"
_HAS_ZERO: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000").search


def maker(column: sa.Column[Any]) -> Make | None:
    """Give what makes values of a column; None for a type that is not known here.

    Such values go to PostgreSQL as they are: a handler has to give them as they are read.
    """
    return _maker(column.type)


def is_key_type(column: sa.Column[Any]) -> bool:
    """Whether values of the column are known to be equal here when they are equal there."""
    return _name(column.type) in _KINDS.keys() - {"array", "json", "jsonb"}


def is_plain(column: sa.Column[Any]) -> bool:
    """Whether every value of the column is written in JSON as it is."""
    return _KINDS.get(_name(column.type)) in {_text, _int2, _int4, _int8, _numeric, _bool}


def is_mutable(column: sa.Column[Any]) -> bool:
    """Whether a value of the column could be changed in place."""
    return _name(column.type) not in _KINDS or _name(column.type) in {"array", "json", "jsonb"}


def is_json(column: sa.Column[Any]) -> bool:
    """Whether it holds JSON, of which Python takes 0 and False for equal."""
    return _name(column.type) in {"json", "jsonb"}


def _maker(kind: Any) -> Make | None:
    found = _KINDS.get(_name(kind))
    return None if found is None else found(kind)


def _name(kind: Any) -> str:
    # SQLAlchemy's own Interval is a decorator of the dialects'.
    name = "interval" if type(kind).__name__ == "Interval" else str(kind.__visit_name__).lower()
    if name == "time" and kind.timezone:
        return ""
    if name in {"time", "timestamp", "interval"} and _is_rounded(kind):
        return ""
    return name


def _is_rounded(kind: Any) -> bool:
    limits = ("precision", "second_precision", "fields")
    return any(getattr(kind, limit, None) is not None for limit in limits)


def _text(kind: Any) -> Make:
    most, choices = kind.length, frozenset(getattr(kind, "enums", ()))

    def make(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"a text is needed, not {value!r:.60}")
        if most is not None and len(value) > most:
            raise ValueError(f"at most {most} characters are held: {value!r:.60}")
        if choices and value not in choices:
            raise ValueError(f"not one of {', '.join(sorted(choices))}: {value!r:.60}")
        if "\0" in value:
            raise ValueError(_NO_ZERO)
        if not value.isascii():
            value.encode()  # raises ValueError for half of a pair
        return value if type(value) is str else str.__str__(value)

    return make


def _integer(bits: int, _: Any) -> Make:
    limit = 1 << bits - 1

    def make(value: Any) -> int:
        if type(value) is str:
            value = int(value)
        if type(value) is not int:
            raise TypeError(f"a whole number is needed, not {value!r:.60}")
        if not -limit <= value < limit:
            raise ValueError(f"{value} is beyond {bits} bits")
        return value

    return make


def _numeric(kind: Any) -> Make:
    digits = kind.precision
    scale = kind.scale if kind.scale is not None or digits is None else 0
    unit = None if scale is None else Decimal(1).scaleb(-scale)

    def make(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (Decimal, int, float, str)):
            raise TypeError(f"a number is needed, not {value!r:.60}")
        try:
            number = value if type(value) is Decimal else Decimal(str(value))
            if number.is_nan():
                return Decimal("NaN")
            if number.is_infinite():
                if digits is not None:
                    raise ValueError(f"{digits} digits cannot hold {value}")
                return number
            if number.adjusted() >= _MOST_BEFORE or number.adjusted() < -_MOST_BEHIND:
                raise ValueError("it has more digits than PostgreSQL holds")
            if unit is not None:
                number = number.quantize(unit, ROUND_HALF_UP, _EXACT)
        except InvalidOperation:
            raise ValueError(f"not a number that can be held: {value!r:.60}") from None
        if digits is not None and number and number.adjusted() >= digits - scale:
            raise ValueError(f"{value} has more than {digits - scale} digits before the point")
        return Decimal(format(number if number else abs(number), "f"))

    return make


def _float(kind: Any) -> Make:
    single = kind.__visit_name__ == "REAL" or (kind.precision or 53) <= 24

    def make(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (float, int, Decimal, str)):
            raise TypeError(f"a number is needed, not {value!r:.60}")
        number = float(value)
        if single:
            (number,) = struct.unpack("f", struct.pack("f", number))
        return number

    return make


def _of_type(kind: type, name: str, _: Any) -> Make:
    def make(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{name} is needed, not {value!r:.60}")
        return value

    return make


def _from_iso(kind: type[Any], text: str, needed: str) -> Any:
    try:
        return kind.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{needed} is needed, not {text!r:.60}") from None


def _day(_: Any) -> Make:
    def make(value: Any) -> date:
        if isinstance(value, str):
            value = _from_iso(date, value, "a date like 2026-12-01")
        if type(value) is not date:
            raise TypeError(f"a date, or its text, is needed, not {value!r:.60}")
        return value

    return make


def _clock(_: Any) -> Make:
    def make(value: Any) -> time:
        if isinstance(value, str):
            value = _from_iso(time, value, "a time of day like 10:30")
        if not isinstance(value, time) or value.tzinfo is not None:
            raise TypeError(f"a time of day without a zone, or its text, is needed: {value!r:.60}")
        return value.replace(fold=0)

    return make


def _uuid(_: Any) -> Make:
    def make(value: Any) -> uuid.UUID:
        if isinstance(value, str):
            value = uuid.UUID(value)
        if not isinstance(value, uuid.UUID):  # asyncpg reads a class of its own
            raise TypeError(f"a UUID, or its text, is needed, not {value!r:.60}")
        return value

    return make


def _moment(kind: Any) -> Make:
    with_zone = bool(kind.timezone)

    def make(value: Any) -> datetime:
        if isinstance(value, str):
            value = _from_iso(datetime, value, "a date and time like 2026-12-01T10:30:00Z")
        if not isinstance(value, datetime) or (value.utcoffset() is not None) is not with_zone:
            zone = "with" if with_zone else "without"
            raise TypeError(f"a date and time {zone} its zone is needed, not {value!r:.60}")
        return (value.astimezone(UTC) if with_zone else value).replace(fold=0)

    return make


def _bytes(_: Any) -> Make:
    def make(value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"bytes are needed, not {value!r:.60}")
        return bytes(value)

    return make


def _json(kind: Any) -> Make:
    is_binary = kind.__visit_name__ == "JSONB"
    as_read: dict[str, Any] = (
        {"object_pairs_hook": _sorted_dict, "parse_float": _as_numeric} if is_binary else {}
    )

    def make(value: Any) -> Any:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()  # raises ValueError for half of a pair
        if _HAS_ZERO(text):
            raise ValueError(_NO_ZERO)
        return json.loads(text, **as_read)

    return make


def _as_numeric(number: str) -> int | float:
    """Read a number of jsonb, which is written without an exponent, and has no -0."""
    exact = Decimal(number)
    text = format(exact if exact else abs(exact), "f")
    return float(text) if "." in text else int(text)


def _sorted_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Order keys as jsonb does: by length in bytes, then by bytes."""
    return dict(sorted(pairs, key=lambda pair: (len(key := pair[0].encode()), key)))


def _array(kind: Any) -> Make:
    of = _maker(kind.item_type) or (lambda value: value)

    def make(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"a list is needed, not {value!r:.60}")
        made = [
            None if one is None else make(one) if isinstance(one, (list, tuple)) else of(one)
            for one in value
        ]
        if not any(isinstance(one, list) for one in made):
            return made
        if len({_shape(one) for one in made}) > 1:
            raise ValueError(f"the lists in it differ in length: {value!r:.60}")
        return [] if made[0] == [] else made

    return make


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, list) and value else ()


_int2, _int4, _int8 = (partial(_integer, bits) for bits in (16, 32, 64))
_bool = partial(_of_type, bool, "True or False")
_span = partial(_of_type, timedelta, "a timedelta")
_KINDS: Final[Mapping[str, Callable[[Any], Make]]] = {
    **dict.fromkeys(("text", "string", "unicode", "unicode_text", "varchar", "enum"), _text),
    **dict.fromkeys(("small_integer", "smallint"), _int2),
    "integer": _int4,
    **dict.fromkeys(("big_integer", "bigint"), _int8),
    **dict.fromkeys(("numeric", "decimal"), _numeric),
    **dict.fromkeys(("float", "real", "double", "double_precision"), _float),
    "boolean": _bool,
    "date": _day,
    "time": _clock,
    **dict.fromkeys(("datetime", "timestamp"), _moment),
    "interval": _span,
    "uuid": _uuid,
    **dict.fromkeys(("large_binary", "bytea"), _bytes),
    **dict.fromkeys(("json", "jsonb"), _json),
    "array": _array,
}
"""By SQLAlchemy's name of the type, in small letters."""
