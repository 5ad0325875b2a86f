"""Types as JSON: names, versions, upcasts, and what does not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from eventstore import EventTypes, InvalidInput, UnreadableEvent, decode_event
from eventstore.codec import decode_strictly, encode_event, json_schema
from eventstore.testing import event


@dataclass(frozen=True)
class Line:
    """What is ordered."""

    sku: str
    price: Decimal


@dataclass(frozen=True)
class AsDataclass:
    """An event as a dataclass."""

    id: UUID
    at: datetime
    lines: tuple[Line, ...]
    count: int = 1


class AsStruct(msgspec.Struct, frozen=True):
    """An event as a struct."""

    id: UUID
    at: datetime
    lines: tuple[Line, ...]
    count: int = 1


class PydanticLine(pydantic.BaseModel):
    """What is ordered."""

    sku: str
    price: Decimal


class AsModel(pydantic.BaseModel):
    """An event as a pydantic model."""

    id: UUID
    at: datetime
    lines: tuple[PydanticLine, ...]
    count: int = 1


ID = UUID("0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42")
AT = datetime(2026, 12, 1, 10, 30, tzinfo=UTC)
BIG = 10**30
KINDS = [
    AsDataclass(ID, AT, (Line("a", Decimal("1.50")),), BIG),
    AsStruct(ID, AT, (Line("a", Decimal("1.50")),), BIG),
    AsModel(id=ID, at=AT, lines=(PydanticLine(sku="a", price=Decimal("1.50")),), count=BIG),
]
by_kind = pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)


def stored(types: EventTypes, value: Any, **metadata: Any) -> Any:
    made = encode_event(types, value, metadata=metadata, tags=["a"])
    return event("a-1", made.event_type, made.data, metadata=made.metadata, tags=made.tags)


@by_kind
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    types = EventTypes([type(value)])
    written = stored(types, value, by="x")
    assert written.data == {
        "id": str(ID),
        "at": "2026-12-01T10:30:00Z",
        "lines": [{"sku": "a", "price": "1.50"}],
        "count": BIG,
    }
    assert (written.event_type, written.metadata) == (type(value).__name__, {"by": "x"})
    assert decode_event(types, written) == value


@by_kind
def test_data_that_does_not_fit_names_event_and_path(value: Any) -> None:
    types = EventTypes([type(value)])
    data = stored(types, value).data | {"lines": [{"sku": "a", "price": "1"}, {"sku": 5}]}
    bad = event("a-1", type(value).__name__, data)._replace(position=17, revision=3)
    with pytest.raises(UnreadableEvent) as failed:
        decode_event(types, bad)
    facts = failed.value.facts
    assert facts.pop("path").startswith("$.data.lines[1]")
    assert facts.pop("problem")
    assert facts == {
        "event_id": str(bad.event_id),
        "event_type": type(value).__name__,
        "stream": "a-1",
        "revision": 3,
        "position": 17,
    }
    for said in ("position 17", str(bad.event_id), "$.data.lines[1]", "'a-1'"):
        assert said in str(failed.value)


@by_kind
def test_the_schema_says_what_is_needed(value: Any) -> None:
    schema = json_schema(type(value))
    name = schema.get("$ref", "").rpartition("/")[2]
    described = schema["$defs"][name] if name else schema
    assert described["required"] == ["id", "at", "lines"]
    assert {"id", "at", "lines", "count"} == set(described["properties"])


def test_an_unknown_type_is_passed_over_and_unknown_members_of_stored_data_too() -> None:
    types = EventTypes([Line])
    assert decode_event(types, event("a-1", "Other", {"sku": 5})) is None
    more = event("a-1", "Line", {"sku": "a", "price": "1", "more": 1})
    assert decode_event(types, more) == Line("a", Decimal(1))


@dataclass(frozen=True)
class Placed:
    """An order was placed; the third shape of it."""

    customer: str
    total: Decimal
    currency: str


def three_versions() -> EventTypes:
    types = EventTypes([Placed])

    @types.upcast("Placed", from_version=1)
    def named(data: Any) -> Any:
        return {"customer": data["by"], "total": data["total"]}

    @types.upcast("Placed", from_version=2)
    def in_euros(data: Any) -> Any:
        return {**data, "currency": "EUR"}

    return types


def test_old_shapes_are_upcast_one_version_after_the_other() -> None:
    types = three_versions()
    first = event("a-1", "Placed", {"by": "ada", "total": 12.5})
    second = event("a-1", "Placed", {"customer": "ada", "total": 12.5}, metadata=version(2))
    new = Placed("ada", Decimal("12.5"), "EUR")
    for old in (first, second, stored(types, new)):
        assert decode_event(types, old) == new
    assert stored(types, new, by="x").metadata == {"by": "x", "schema_version": 3}
    assert first.data == {"by": "ada", "total": 12.5}


def version(number: Any) -> dict[str, Any]:
    return {"schema_version": number}


@pytest.mark.parametrize("number", [0, -1, 4, "1", True, None, 1.0, [1]])
def test_a_version_that_is_not_known_is_said(number: Any) -> None:
    bad = event("a-1", "Placed", {"by": "ada", "total": 12}, metadata=version(number))
    with pytest.raises(UnreadableEvent, match="versions 1 to 3 are known here") as failed:
        decode_event(three_versions(), bad)
    assert failed.value.path == "$.metadata.schema_version"


def test_an_upcast_that_fails_is_said() -> None:
    with pytest.raises(UnreadableEvent, match=r"its upcast fails: KeyError\('by'\)"):
        decode_event(three_versions(), event("a-1", "Placed", {"total": 12}))


def test_upcasts_come_in_order() -> None:
    types = EventTypes([Placed])
    for wrong in (0, 2):
        with pytest.raises(InvalidInput, match="the next is from_version=1"):
            types.upcast("Placed", from_version=wrong)
    with pytest.raises(InvalidInput, match="the next is from_version=3"):
        three_versions().upcast("Placed", from_version=2)


def test_a_name_stands_for_one_class_and_a_class_has_one_name() -> None:
    types = EventTypes({"line": Line})
    assert types.add(Line) is Line
    assert (list(types), types["line"], types.name_of(Line)) == (["line"], Line, "line")
    with pytest.raises(InvalidInput, match="'line'"):
        types.add(Placed, name="line")
    with pytest.raises(InvalidInput, match="'Line'"):
        types.add(Line, name="Line")
    with pytest.raises(InvalidInput, match="Placed is no event type that is known"):
        types.name_of(Placed)
    with pytest.raises(InvalidInput, match="control character"):
        types.add(Placed, name="a\n")


@dataclass
class Strange:
    """What JSON cannot have."""

    what: complex
    more: Any = field(default_factory=object)


def test_a_class_that_json_cannot_have_is_refused() -> None:
    for bad in (int, dict, "Line", Line("a", Decimal(1))):
        with pytest.raises(InvalidInput, match="a type is a dataclass"):
            EventTypes([bad])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="Strange"):
        json_schema(Strange)


def test_what_a_caller_gives_is_read_strictly() -> None:
    assert decode_strictly(Line, '{"sku": "a", "price": "1"}', path="$.data").sku == "a"
    for text, path in [
        ('{"sku": "a", "price": "1", "more": 1}', "$.data.more"),
        ('{"sku": "a", "price": "x"}', "$.data.price"),
        ('{"sku": "a"}', "$.data"),
        ("[]", "$.data"),
    ]:
        with pytest.raises(InvalidInput) as failed:
            decode_strictly(Line, text, path="$.data")
        assert failed.value.path == path
    with pytest.raises(InvalidInput) as failed:
        decode_strictly(PydanticLine, '{"sku": "a", "price": "x"}', path="$.data")
    assert failed.value.path == "$.data.price"


class Card(msgspec.Struct, tag="card"):
    """One way to pay."""

    number: str


class Voucher(msgspec.Struct, tag="voucher", rename="camel"):
    """Another one."""

    issued_by: str = ""


@dataclass
class Basket:
    """Types within types."""

    lines: list[Line]
    by_sku: dict[str, Line | None]
    pair: tuple[int, Line]
    paid: Card | Voucher
    note: Any = None
    part: Basket | None = None


def test_members_that_a_type_within_a_type_does_not_have_are_refused() -> None:
    line = {"sku": "a", "price": 1}
    basket = {
        "lines": [line],
        "by_sku": {"a": line, "b": None},
        "pair": [1, line],
        "paid": {"type": "voucher", "issuedBy": "us"},
        "note": {"any": [{"thing": 1}]},
    }
    given: Any = {**basket, "part": basket}
    assert decode_strictly(Basket, json.dumps(given), path="$.data").part is not None
    odd = {**line, "more": 1}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"lines": [line, odd]}, ".lines[1].more"),
        ({"by_sku": {"a": odd}}, ".by_sku.a.more"),
        ({"pair": [1, odd]}, ".pair[1].more"),
        ({"paid": {"type": "card", "number": "1", "issuedBy": "us"}}, ".paid.issuedBy"),
        ({"part": {**basket, "more": 1}}, ".part.more"),
    ]
    for change, path in changes:
        with pytest.raises(InvalidInput, match="no such member") as failed:
            decode_strictly(Basket, json.dumps({**given, **change}), path="$.data")
        assert failed.value.path == f"$.data{path}"


def test_pydantic_is_imported_for_its_own_types_only() -> None:
    code = (
        "import sys, dataclasses, eventstore\n"
        "from eventstore.codec import codec_of\n"
        "@dataclasses.dataclass\nclass A: x: int\n"
        "codec_of(A)\n"
        "assert 'pydantic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
