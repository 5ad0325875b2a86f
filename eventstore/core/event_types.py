"""Event types: a class for each name, and how events of an older shape become the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, Final, TypeAlias, TypeVar

from eventstore.core.errors import InvalidInput
from eventstore.core.functions import check_pure
from eventstore.core.streams import check_text

SCHEMA_VERSION: Final = "schema_version"
"""Member of an event's metadata: which shape of its type the data has; 1 where there is none."""

Upcast: TypeAlias = Callable[[Any], Any]
"""Gives data of the next version's shape. Pure; both are JSON as Python values."""

C = TypeVar("C", bound=type)
U = TypeVar("U", bound=Upcast)


class EventTypes:
    """Classes by the names of their event types: `EventTypes([OrderPlaced, OrderPaid])`.

    A class is a dataclass, a msgspec Struct or a pydantic model; its event type has its own name,
    unless a mapping gives another one: `EventTypes({"order-placed": OrderPlaced})`.
    Raises InvalidInput for another class, and for a name that stands for two.
    """

    def __init__(self, types: Iterable[type] | Mapping[str, type] = ()) -> None:
        self._by_name: dict[str, type] = {}
        self._names: dict[type, str] = {}
        self._upcasts: dict[str, list[Upcast]] = {}
        if isinstance(types, Mapping):
            for name, cls in types.items():
                self.add(cls, name=name)
        else:
            for cls in types:
                self.add(cls)

    def add(self, cls: C, *, name: str | None = None) -> C:
        """Add a class. To add it again changes nothing; also a decorator: `@events.add`."""
        if not is_model(cls):
            raise InvalidInput(f"a type is a dataclass, msgspec Struct or pydantic model: {cls!r}")
        known = self._names.get(cls)
        if known is not None and name in (None, known):
            return cls
        name = check_text(cls.__name__ if name is None else name, "an event type")
        if known is not None or name in self._by_name:
            other = known or self._by_name[name].__qualname__
            raise InvalidInput(f"{cls.__qualname__} is {name!r}, but there is {other!r} already")
        self._by_name[name] = cls
        self._names[cls] = name
        return cls

    def upcast(self, name: str, *, from_version: int) -> Callable[[U], U]:
        """Make the decorated function what turns data of an old version into the next one's.

        Upcasts of a type are given in order, the first `from_version=1`; each makes the present
        version of the type one more. They run on read, one after the other; what is stored stays.
        """
        upcasts = self._upcasts.setdefault(name, [])
        if from_version != len(upcasts) + 1:
            raise InvalidInput(
                f"{name}: upcasts come in order, the next is from_version={len(upcasts) + 1}: "
                f"{from_version}"
            )

        def register(upcast: U) -> U:
            check_pure(upcast, f"{name}: the upcast from version {from_version}", ["data"])
            upcasts.append(upcast)
            return upcast

        return register

    def knows(self, cls: type) -> bool:
        """Whether it has the class."""
        return cls in self._names

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __getitem__(self, name: str) -> type:
        return self._by_name[name]

    def get(self, name: str) -> type | None:
        """Give the class of an event type, None for one that is not known."""
        return self._by_name.get(name)

    def name_of(self, cls: type) -> str:
        """Give the event type of a class. Raises InvalidInput for one that is not known."""
        try:
            return self._names[cls]
        except KeyError:
            raise InvalidInput(f"{cls.__qualname__} is no event type that is known") from None

    def version_of(self, name: str) -> int:
        """Give the present version of an event type."""
        return len(self._upcasts.get(name, ())) + 1

    def upcasts_from(self, name: str, version: int) -> list[Upcast]:
        """Give what turns a version's data into that of the present one, in order."""
        return self._upcasts.get(name, [])[version - 1 :]

    def take(self, other: EventTypes) -> None:
        """Add another registry's types. Raises InvalidInput where the two contradict each other."""
        if strange := other._upcasts.keys() - other._by_name.keys():
            raise InvalidInput(f"upcasts of unknown event types: {', '.join(sorted(strange))}")
        for name, cls in other._by_name.items():
            upcasts = other._upcasts.get(name, [])
            if name in self._by_name and self._upcasts.get(name, []) != upcasts:
                raise InvalidInput(
                    f"{name!r} has other upcasts in another place: share one EventTypes"
                )
            self.add(cls, name=name)
            self._upcasts[name] = upcasts


def is_model(cls: object) -> bool:
    """Whether values of a class can be read from JSON and written as JSON."""
    return isinstance(cls, type) and (
        is_dataclass(cls) or hasattr(cls, "__struct_fields__") or hasattr(cls, "model_fields")
    )
