"""What every kind of projection says of itself: its name, its events, its tables, its failures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Required, TypeAlias, TypedDict, get_args

from eventstore.core.columns import Columns
from eventstore.core.errors import InvalidInput
from eventstore.core.functions import of
from eventstore.core.query import EventQuery, check_query

if TYPE_CHECKING:
    import sqlalchemy as sa

OnFailure: TypeAlias = Literal["park", "stop", "skip"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}").fullmatch


class Options(TypedDict, total=False):
    """What a definition takes beside its name: see `Definition`."""

    version: int
    query: EventQuery | None
    streams: Iterable[str]
    categories: Iterable[str]
    types: Iterable[str]
    tags: Iterable[str]
    tables: Required[Iterable[sa.Table]]
    partitions: int
    keys_within_streams: bool
    on_failure: OnFailure
    deadline: float


def is_projection_name(name: str) -> bool:
    """Whether a projection can be called so."""
    return _NAME(name) is not None


def check_options(name: str, given: Mapping[str, object], known: type) -> None:
    """Raise TypeError, which tells what there is, for an option that is not in a TypedDict."""
    if strange := given.keys() - known.__annotations__.keys():
        there_are = ", ".join(known.__annotations__)
        raise TypeError(f"{name}: there is no option {', '.join(sorted(strange))}: {there_are}")


class Definition:
    """A projection of any kind. Every event that its query means is applied once, in order.

    `name` is a-z, 0-9 and _, at most 41 characters; a change of what the tables hold needs a new
    `version` (default 1). The query is given whole or by its dimensions, as for `EventQuery`;
    default: every event. `tables` are all read tables that it writes, each with a primary key.

    `partitions` (default 1) is how many runners may share it, each with some of the streams; then
    `keys_within_streams=True` has to promise that no row is ever concerned by two streams.

    An event that cannot be applied is kept from harming the others by `on_failure`: "park"
    (default) holds back that stream in this projection until it is retried, "stop" stops the
    projection, "skip" leaves the event out and records that. `deadline` (seconds, default 30) is
    for a batch. Both may change under the same version: from the worker's next start on they are
    for what fails then, and what is parked already stays so.

    Raises InvalidInput for a definition that does not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        version: int = 1,
        query: EventQuery | None = None,
        streams: Iterable[str] = (),
        categories: Iterable[str] = (),
        types: Iterable[str] = (),
        tags: Iterable[str] = (),
        tables: Iterable[sa.Table],
        partitions: int = 1,
        keys_within_streams: bool = False,
        on_failure: OnFailure = "park",
        deadline: float = 30.0,
    ) -> None:
        if not is_projection_name(name):
            raise InvalidInput(f"a projection's name is a-z, 0-9 and _, at most 41: {name!r}")
        if version < 1:
            raise InvalidInput(f"{name}: a version is 1 or more: {version}")
        if not 1 <= partitions <= 64:
            raise InvalidInput(f"{name}: partitions are 1 to 64: {partitions}")
        if partitions > 1 and not keys_within_streams:
            raise InvalidInput(
                f"{name}: two partitions must never write the same row; if no row is concerned by "
                "two streams, say keys_within_streams=True"
            )
        if on_failure not in get_args(OnFailure):
            raise InvalidInput(f"{name}: on_failure is park, stop or skip: {on_failure!r}")
        with of(name):
            by_dimension = EventQuery(
                streams=streams, categories=categories, types=types, tags=tags
            )
        if query is not None and by_dimension:
            raise InvalidInput(f"{name}: give a query or its dimensions, not both")
        self.name = name
        self.version = version
        with of(name):
            self.query = by_dimension if query is None else check_query(query)
        self.tables = tuple(tables)
        self.partitions = partitions
        self.on_failure = on_failure
        self.deadline = deadline
        with of(name):
            self.columns: Final = {table.name: Columns(table) for table in self.tables}
        if len(self.columns) != len(self.tables) or not self.tables:
            raise InvalidInput(f"{name}: at least one read table is needed, each with its own name")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} version {self.version}>"
