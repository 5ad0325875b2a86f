"""Values of a read table's columns, made in Python what PostgreSQL would make of them.

A handler that sees what an earlier event left has to see the same whether that event was in the
same batch, and so only in memory, or in an earlier one, and so read from the table. So every value
is brought into the form that is read back, and one that the column cannot hold is refused at once.
"""

from __future__ import annotations

import json
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


def maker(column: sa.Column[Any]) -> Make | None:
    """Give what makes values of a column; None for a type that is not known here.

    Such values go to PostgreSQL as they are: a handler has to give them as they are read.
    """
    return _maker(column.type)


def is_key_type(column: sa.Column[Any]) -> bool:
    """Whether values of the column are known to be equal here when they are equal there."""
    return _name(column.type) in _KINDS.keys() - {"array", "json", "jsonb"}


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
    if type(kind).__name__ == "Interval":
        return "interval"  # SQLAlchemy's own is a decorator of the dialects'
    if getattr(kind, "timezone", False) and kind.__visit_name__.lower() == "time":
        return ""
    if kind.__visit_name__ == "TIMESTAMP" and kind.precision is not None:
        return ""
    return str(kind.__visit_name__).lower()


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
            raise ValueError("PostgreSQL's texts have no character 0")
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
            if not number.is_finite():
                return number
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


def _parsed(kind: type[Any], name: str, parse: Make, _: Any) -> Make:
    def make(value: Any) -> Any:
        if isinstance(value, str):
            value = parse(value)
        if type(value) is not kind:
            raise TypeError(f"{name}, or its text, is needed, not {value!r:.60}")
        return value

    return make


def _moment(kind: Any) -> Make:
    with_zone = bool(kind.timezone)

    def make(value: Any) -> datetime:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, datetime) or (value.utcoffset() is not None) is not with_zone:
            zone = "with" if with_zone else "without"
            raise TypeError(f"a date and time {zone} its zone is needed, not {value!r:.60}")
        return value.astimezone(UTC) if with_zone else value.replace(fold=0)

    return make


def _bytes(_: Any) -> Make:
    def make(value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"bytes are needed, not {value!r:.60}")
        return bytes(value)

    return make


def _json(kind: Any) -> Make:
    # jsonb has its keys in an order of its own: by length in bytes, then by bytes.
    in_order = _sorted_dict if kind.__visit_name__ == "JSONB" else None

    def make(value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False), object_pairs_hook=in_order)

    return make


def _sorted_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(sorted(pairs, key=lambda pair: (len(key := pair[0].encode()), key)))


def _array(kind: Any) -> Make:
    of = _maker(kind.item_type) or (lambda value: value)

    def make(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"a list is needed, not {value!r:.60}")
        return [
            None if one is None else make(one) if isinstance(one, (list, tuple)) else of(one)
            for one in value
        ]

    return make


_int2, _int4, _int8 = (partial(_integer, bits) for bits in (16, 32, 64))
_day = partial(_parsed, date, "a date", date.fromisoformat)
_clock = partial(_parsed, time, "a time of day", time.fromisoformat)
_uuid = partial(_parsed, uuid.UUID, "a UUID", uuid.UUID)
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
