"""A projection as SQL: a statement over a batch of events, which never leave the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Unpack

from eventstore.core.definition import Definition, Options, check_options
from eventstore.core.errors import InvalidInput

_WITH: Final = re.compile(r"\s*with\s+(recursive\s+)?", re.IGNORECASE)
_PLACE: Final = re.compile(r"\{([^{}]+)\}")


class SqlProjection(Definition):
    """Read tables as what a statement makes of a batch. What else it takes: see `Definition`.

    `statement` reads from `batch`, which has the columns of `events`, and writes read tables, each
    named in braces: what is being built beside a version that serves has other names.

        SqlProjection("totals", tables=[totals], types=["OrderPlaced"], statement='''
            INSERT INTO {totals} AS t (customer, total)
            SELECT data ->> 'customer', sum((data ->> 'total')::numeric) FROM batch GROUP BY 1
            ON CONFLICT (customer) DO UPDATE SET total = t.total + excluded.total''')

    It must come to the same however the events are divided into batches, each in order.

    With `inline=True` it runs inside the transaction that appends, once it has caught up: the
    tables are never behind. Then every append bears its cost, and one that it fails for is refused
    (InvalidInput). It has one partition, stops at an event that fails while it catches up, and has
    to write out the schemas of what it uses beside its read tables and PostgreSQL's own functions.
    """

    def __init__(
        self, name: str, *, statement: str, inline: bool = False, **options: Unpack[Options]
    ) -> None:
        check_options(name, options, Options)
        if inline and options.setdefault("on_failure", "stop") != "stop":
            raise InvalidInput(f"{name}: an inline projection can only stop at a failure")
        super().__init__(name, **options)
        self.statement = statement.strip().rstrip(";")
        self.inline = inline
        if inline and self.partitions > 1:
            raise InvalidInput(f"{name}: an inline projection has one partition")
        if not re.search(r"\bbatch\b", statement):
            raise InvalidInput(f"{name}: the statement has to read from batch")
        named = {name for name in _PLACE.findall(statement) if name in self.columns}
        if missing := self.columns.keys() - named:
            raise InvalidInput(
                f"{name}: the statement has to name its read tables in braces: "
                + ", ".join(f"{{{table}}}" for table in sorted(missing))
            )

    def sql(self, batch: str, name: Callable[[str], str]) -> str:
        """Give the statement with its tables' names, and `batch` as what this SELECT gives."""
        statement = self.named(self.statement, name)
        begun = _WITH.match(statement)
        if begun is None:
            return f"WITH batch AS ({batch}) {statement}"
        return f"WITH {begun[1] or ''}batch AS ({batch}), {statement[begun.end() :]}"

    def named(self, text: str, name: Callable[[str], str]) -> str:
        """Put the tables' names in."""
        return _PLACE.sub(lambda m: name(m[1]) if m[1] in self.columns else m[0], text)
