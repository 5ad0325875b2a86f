"""App: what a user registers to be run by a worker."""

from __future__ import annotations

from collections.abc import Iterable

from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput


class App:
    """One bounded context: `App(projections=[orders])`, run by `eventstore worker myapp:app`.

    Raises InvalidInput if two projections have one name, or two write one read table.
    """

    def __init__(self, *, projections: Iterable[Definition] = ()) -> None:
        self.projections = tuple(projections)
        names = [projection.name for projection in self.projections]
        tables = [table for projection in self.projections for table in projection.columns]
        for what, found in (("projections are named", names), ("projections write table", tables)):
            for name in found:
                if found.count(name) > 1:
                    raise InvalidInput(f"two {what} {name!r}")
