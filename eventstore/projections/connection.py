"""Connections that run projections."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
else:
    Connection = object

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that was closed while nobody looked at it
    OSError,
)
"""What a statement fails with."""


async def read_json_as_values(connection: Connection) -> None:
    """Let values of read tables come as handlers see them: JSON as Python values, not as text, and
    10000 as Decimal("10000"), not as Decimal("1E+4")."""
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=Decimal)
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
