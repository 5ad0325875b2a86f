"""Connections whose prepared statements nobody else's can be taken for."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any, Final

import asyncpg

if TYPE_CHECKING:
    _Base = asyncpg.Connection[Any]
else:
    _Base = asyncpg.Connection

_MARK: Final = secrets.token_hex(6)
IN_UTC: Final = {"timezone": "UTC"}
"""Settings of a session in which times are UTC, whatever role, database or environment say.

PostgreSQL writes times into the rows of read tables, and user SQL reads dates out of times, as the
session's zone says. A pooler lets a session begin with this setting.
"""


class Connection(_Base):
    """asyncpg's connection, with names of prepared statements that are this process's own.

    asyncpg numbers them, so that every process has a `__asyncpg_stmt_1__`. A pooler that lends one
    server connection to several of them, and does not keep their statements apart (pgbouncer
    before 1.21), would let one run another's statement of the same number, and answer wrongly
    without a word. With names of their own it is an error that says what to do.
    """

    def _get_unique_id(self, prefix: str) -> str:
        made: str = super()._get_unique_id(prefix)  # type: ignore[misc]
        return f"{made}{os.getpid()}_{_MARK}"


async def leave_as_it_is(_connection: object) -> None:
    """Reset nothing between uses of a pool's connection, and save the round trip.

    For those on which nothing is run that sets anything beyond its transaction.
    """
