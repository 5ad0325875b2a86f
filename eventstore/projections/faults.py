"""Which faults are of an event, and which concern everybody."""

from __future__ import annotations

from typing import Final

import asyncpg

_OF_A_ROW: Final = ("21", "22", "23", "54")
"""SQLSTATE classes that a row causes: cardinality, data, integrity, limits of an index."""
_OF_EVERYBODY: Final = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""SQLSTATE classes of the line, the transaction, other transactions, and the server."""
_OF_A_HANDLER: Final = ("25P02", "57014")
"""Of these what a handler meets that goes on after an error, or sets itself a timeout."""


class RowFault(Exception):
    """Some event of a batch cannot be applied; in a batch of one it is known which."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def is_of_a_row(error: asyncpg.PostgresError) -> bool:
    """Whether a row is at fault. All else passes, or concerns everybody."""
    return str(error.sqlstate)[:2] in _OF_A_ROW


def is_of_everybody(error: Exception) -> bool:
    """Whether a handler that raises this with a connection is not to blame for it."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate)
        return state not in _OF_A_HANDLER and state[:2] in _OF_EVERYBODY
    return isinstance(error, asyncpg.InternalClientError | ConnectionError)
