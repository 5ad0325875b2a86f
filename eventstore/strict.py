"""Members of JSON objects that a type does not have, however deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec.inspect as types

Object: TypeAlias = types.DataclassType | types.StructType


def unknown_members(kind: types.Type, given: Any, path: str) -> Iterator[str]:
    """Give the paths of members in what was read as the type that this does not have."""
    if isinstance(given, dict):
        if isinstance(kind, types.DictType):
            for name, value in given.items():
                yield from unknown_members(kind.value_type, value, f"{path}.{name}")
        elif (found := _object(kind, given)) is not None:
            known = {field.encode_name: field.type for field in found.fields}
            for name, value in given.items():
                if name in known:
                    yield from unknown_members(known[name], value, f"{path}.{name}")
                elif name != _tag_field(found):
                    yield f"{path}.{name}"
    elif isinstance(given, list):
        for n, (item, value) in enumerate(zip(_items(kind, len(given)), given, strict=False)):
            yield from unknown_members(item, value, f"{path}[{n}]")


def _object(kind: types.Type, given: dict[str, Any]) -> Object | None:
    """Give the one type that an object was read as; None where any member will do."""
    found = [one for one in _choices(kind) if isinstance(one, Object)]
    if len(found) > 1:
        found = [one for one in found if _tag(one) == given.get(_tag_field(one) or "")]
    return found[0] if len(found) == 1 else None


def _tag_field(kind: Object) -> str | None:
    return kind.tag_field if isinstance(kind, types.StructType) else None


def _tag(kind: Object) -> str | int | None:
    return kind.tag if isinstance(kind, types.StructType) else None


def _items(kind: types.Type, count: int) -> list[types.Type]:
    """Give the types of a list's items."""
    for one in _choices(kind):
        if isinstance(one, types.TupleType):
            return list(one.item_types)
        if isinstance(one, types.CollectionType):
            return [one.item_type] * count
    return []


def _choices(kind: types.Type) -> tuple[types.Type, ...]:
    return kind.types if isinstance(kind, types.UnionType) else (kind,)
