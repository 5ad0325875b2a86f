"""App: what a user registers to be run by a worker."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput


class App:
    """One bounded context: `App(projections=[orders])`, run by `eventstore worker myapp:app`.

    A projection may be there in two versions: the worker that runs both keeps the one up to date
    that serves, and builds the other beside it. Raises InvalidInput if a version is there twice,
    or two projections write one read table.
    """

    def __init__(self, *, projections: Iterable[Definition] = ()) -> None:
        # In a new store the first one to be known serves: the oldest.
        self.projections = tuple(sorted(projections, key=lambda made: (made.name, made.version)))
        for one, next_one in pairwise(self.projections):
            if (one.name, one.version) == (next_one.name, next_one.version):
                raise InvalidInput(f"two projections are {one.name!r} version {one.version}")
        writers: dict[str, str] = {}
        for projection in self.projections:
            for table in projection.columns:
                if writers.setdefault(table, projection.name) != projection.name:
                    raise InvalidInput(f"two projections write table {table!r}")
