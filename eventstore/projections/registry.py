"""Making a projection known to the database: its row, its partitions and its tables."""

from __future__ import annotations

import logging
from typing import Final

import asyncpg

from eventstore.core.definition import Definition
from eventstore.core.errors import DefinitionChanged, InvalidInput
from eventstore.postgres.errors import translate
from eventstore.postgres.statements import statements
from eventstore.projections.connection import FAILURES, Connection
from eventstore.projections.fingerprint import fingerprint, known_with
from eventstore.projections.tables import ReadTable

logger: Final = logging.getLogger("eventstore.projections")


async def register(connection: Connection, projection: Definition, *, schema: str) -> bool:
    """Make a version known and create its tables; tell whether it was new.

    It is new, too, with other facts (see `fingerprint`) than it is known with, as long as it has
    applied nothing and no worker runs it; else that raises DefinitionChanged. All or nothing, and
    safe to call from any number of workers at once. Raises InvalidInput if a table of that
    name is not its own, AccessDenied if the connected user is no member of `<schema>_worker`, and
    Unavailable.
    """
    tables = read_tables(projection, schema=schema)
    try:
        async with connection.transaction():
            is_new: bool = await connection.fetchval(
                statements(schema)["projection_register"],
                projection.name,
                projection.version,
                projection.query.to_json(),
                [table.name for table in tables],
                fingerprint(projection),
                projection.partitions,
            )
            if is_new:
                serves: int = await connection.fetchval(
                    statements(schema)["projection_serves"], projection.name
                )
                serving = serves == projection.version
                # So that every worker may change them, whoever it logs in as.
                await connection.execute(f"SET LOCAL ROLE {schema}_worker")
                for table in tables:
                    for statement in table.ddl(serving=serving):
                        await connection.execute(statement)
                    name = table.physical_name(serving=serving)
                    await connection.execute(
                        f"GRANT SELECT ON {name} TO {schema}_reader, {schema}_writer"
                    )
                await connection.execute("RESET ROLE")  # others may follow in this transaction
                if serves > projection.version:
                    logger.warning(
                        "%r is older than version %d, which serves, and is built anew beside it; "
                        "if it was dropped, take it out of the App",
                        projection,
                        serves,
                    )
    except asyncpg.DuplicateTableError as error:
        raise InvalidInput(
            f"projection {projection.name!r} cannot make its tables in schema {schema}_read: "
            f"{error}, and it belongs to something else"
        ) from error
    except FAILURES as error:
        if getattr(error, "sqlstate", None) == "ST007":
            known = await connection.fetch(
                statements(schema)["projection_known"],
                projection.name,
                projection.version,
                f"{schema}_read",
            )
            raise DefinitionChanged(
                projection.name, projection.version, known_with(projection, list(map(tuple, known)))
            ) from error
        raise translate(error) from error
    return is_new


def read_tables(projection: Definition, *, schema: str) -> list[ReadTable]:
    """Give the tables of a projection as they are in a store's database."""
    return [
        ReadTable(table, schema=f"{schema}_read", version=projection.version)
        for table in projection.tables
    ]
