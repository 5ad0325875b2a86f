"""App: what a user registers to be run by a worker."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput
from eventstore.core.projection import Projection


class App:
    """One bounded context: `App(projections=[orders])`, run by `eventstore worker myapp:app`.

    A projection may be there in two versions: the worker that runs both keeps the one up to date
    that serves, and builds the other beside it. Raises InvalidInput if a version is there twice,
    two projections write one read table, or a Projection has no fold and nothing to execute yet.
    """

    def __init__(self, *, projections: Iterable[Definition] = ()) -> None:
        # In a new store the first one to be known serves: the oldest.
        self.projections = tuple(sorted(projections, key=lambda made: (made.name, made.version)))
        for one, next_one in pairwise(self.projections):
            if (one.name, one.version) == (next_one.name, next_one.version):
                raise InvalidInput(f"two projections are {one.name!r} version {one.version}")
        for made in self.projections:
            if isinstance(made, Projection) and not (made.folds or made.is_executed):
                raise InvalidInput(
                    f"{made.name} version {made.version} has neither a fold nor anything to execute"
                )
        writers: dict[str, str] = {}
        for projection in self.projections:
            for table in projection.columns:
                if writers.setdefault(table, projection.name) != projection.name:
                    raise InvalidInput(f"two projections write table {table!r}")
