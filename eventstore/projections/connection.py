"""Connections that run projections."""

from __future__ import annotations

import json
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
    """Let JSON columns of read tables come as Python values, not as text."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
