"""Rows of a projection's read tables: loaded by the keys of a batch, stored as it leaves them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from eventstore.core.columns import Key
from eventstore.core.folding import Rows
from eventstore.projections.connection import Connection
from eventstore.projections.faults import RowFault
from eventstore.projections.tables import ReadTable


class RowStore:
    """The read tables of one version of a projection; `serving` says under which names they are."""

    def __init__(self, tables: Iterable[ReadTable]) -> None:
        self._tables = {table.name: table for table in tables}

    async def load(
        self, connection: Connection, keys: Mapping[str, Iterable[Key]], *, serving: bool
    ) -> Rows:
        """Give the rows with these keys, by table: one statement a table.

        Raises RowFault for a key that cannot be sent.
        """
        rows: Rows = {}
        for name, wanted in keys.items():
            rows[name] = {}
            if asked := list(wanted):
                table = self._tables[name]
                with _encoding():
                    text = table.encode_keys(asked)
                records = await connection.fetch(table.statements(serving=serving).load, text)
                for number, row in map(table.decode, records):
                    rows[name][asked[number]] = row
        return rows

    async def store(self, connection: Connection, rows: Rows, *, serving: bool) -> None:
        """Write rows, and remove the keys without one: two statements a table.

        Raises RowFault for a value that cannot be sent.
        """
        for name, changed in rows.items():
            table = self._tables[name]
            statements = table.statements(serving=serving)
            with _encoding():
                removed = [key for key, row in changed.items() if row is None]
                kept = [row for row in changed.values() if row is not None]
                keys, values = table.encode_keys(removed), table.encode_rows(kept)
            if removed:
                await connection.execute(statements.delete, keys)
            if kept:
                await connection.execute(statements.upsert, values)


@contextmanager
def _encoding() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise RowFault(error) from error
