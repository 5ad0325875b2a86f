"""Queries over the log: which events a read, a follower or an append condition means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from eventstore.core.errors import InvalidInput, LimitExceeded
from eventstore.core.limits import DEFAULT_LIMITS, Limits
from eventstore.core.streams import category, check_text


class QueryItem(NamedTuple):
    """One alternative of a query. An empty dimension means any; an empty item means every event."""

    streams: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Matchable(Protocol):
    """What of an event a query looks at."""

    @property
    def stream_name(self) -> str: ...
    @property
    def event_type(self) -> str: ...
    @property
    def tags(self) -> Iterable[str]: ...


_DIMENSIONS: Final = QueryItem._fields


@dataclass(frozen=True, slots=True, init=False)
class EventQuery:
    """Which events are meant.

    Streams, categories and types are any-of, tags are all-of, and different dimensions must all
    hold. `a | b` means events that either query means. `EventQuery()` means every event.
    """

    any_of: tuple[QueryItem, ...]

    def __init__(
        self,
        *,
        streams: Iterable[str] = (),
        categories: Iterable[str] = (),
        types: Iterable[str] = (),
        tags: Iterable[str] = (),
        any_of: Iterable[QueryItem] | None = None,
    ) -> None:
        if any_of is None:
            any_of = (QueryItem(*map(names, (streams, categories, types, tags), _DIMENSIONS)),)
        object.__setattr__(self, "any_of", tuple(any_of))
        if not self.any_of:
            raise InvalidInput("a query has at least one item; an empty item means every event")

    def __or__(self, other: EventQuery) -> EventQuery:
        return EventQuery(any_of=self.any_of + other.any_of)

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return all(any(item) for item in self.any_of)

    def matches(self, event: Matchable) -> bool:
        """Tell whether the query means this event."""
        return any(_matches(item, event) for item in self.any_of)

    @property
    def types(self) -> frozenset[str] | None:
        """The only types that the query can mean; None if it means any."""
        if not all(item.types for item in self.any_of):
            return None
        return frozenset(name for item in self.any_of for name in item.types)

    def to_json(self) -> str:
        """Give the JSON text of the query, in the shape that REST and SQL take."""
        items = [
            {name: list(values) for name, values in zip(_DIMENSIONS, item, strict=True) if values}
            for item in self.any_of
        ]
        return json.dumps({"any_of": items}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(
        cls, value: Any, *, path: str = "$", limits: Limits = DEFAULT_LIMITS
    ) -> EventQuery:
        """Read a query from decoded JSON, or raise InvalidInput with the path of the fault."""
        items = _member(value, ("any_of",), path).get("any_of")
        if not isinstance(items, list) or not items:
            raise InvalidInput("a list of at least one item is needed", path=f"{path}.any_of")
        if len(items) > limits.query_items:
            raise LimitExceeded(
                f"a query has at most {limits.query_items} items", path=f"{path}.any_of"
            )
        query = cls(any_of=[_item(it, f"{path}.any_of[{n}]") for n, it in enumerate(items)])
        if sum(len(values) for item in query.any_of for values in item) > limits.query_values:
            raise LimitExceeded(f"a query names at most {limits.query_values} values", path=path)
        return query


@dataclass(frozen=True, slots=True)
class AppendCondition:
    """Append only if nothing that `none_matching` means was stored after position `after`.

    `after` is the position up to which the decision has read (0: nothing).
    """

    none_matching: EventQuery
    after: int = 0


def check_query(query: EventQuery) -> EventQuery:
    """Return the query, or raise InvalidInput for what is none, as a list of types."""
    if not isinstance(query, EventQuery):
        raise InvalidInput(f"a query is an EventQuery(types=['SomeType'], ...): {query!r:.60}")
    return query


def names(values: Iterable[str], dimension: str) -> tuple[str, ...]:
    """Give the values of a dimension; raise InvalidInput if they are not texts, or only one."""
    if isinstance(values, str):
        raise InvalidInput(f"{dimension} is a list of texts, not one text")
    return tuple(check_text(value, f"a value of {dimension}") for value in values)


def _matches(item: QueryItem, event: Matchable) -> bool:
    return (
        (not item.types or event.event_type in item.types)
        and (not item.streams or event.stream_name in item.streams)
        and (not item.categories or category(event.stream_name) in item.categories)
        and (not item.tags or set(item.tags).issubset(event.tags))
    )


def _member(value: Any, allowed: Iterable[str], path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput("an object is needed", path=path)
    for name in value:
        if name not in allowed:
            raise InvalidInput(f"unknown member {name!r}; known: {', '.join(allowed)}", path=path)
    return value


def _item(value: Any, path: str) -> QueryItem:
    members = _member(value, _DIMENSIONS, path)
    found: dict[str, tuple[str, ...]] = {}
    for name, values in members.items():
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise InvalidInput("a list of texts is needed", path=f"{path}.{name}")
        try:
            found[name] = names(values, name)
        except InvalidInput as fault:
            raise InvalidInput(fault.problem, path=f"{path}.{name}") from None
    return QueryItem(**found)
