"""Which faults are of an event, which concern everybody, and where a handler failed."""

from __future__ import annotations

import sys
import traceback
from pathlib import PurePath
from typing import Final

import asyncpg

_OF_A_ROW: Final = ("21", "22", "23", "54")
"""SQLSTATE classes that a row causes: cardinality, data, integrity, limits of an index."""
_OF_EVERYBODY: Final = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""SQLSTATE classes of the line, the transaction, other transactions, and the server."""
_OF_A_HANDLER: Final = ("25P02", "57014")
"""Of these what a handler meets that goes on after an error, or sets itself a timeout."""
_NOT_THEIRS: Final = sys.stdlib_module_names | {"eventstore", "asyncpg", "sqlalchemy"}
"""Top-level modules whose frames say nothing of a handler."""


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


def place_of(error: BaseException) -> str | None:
    """Tell where the user's code raised an error, as `shop.py:49 in order`; None if it did not.

    It is the last frame of the package that a handler or a key is in, and not what that calls.
    """
    package = place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        top = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package is None and top not in _NOT_THEIRS:
            package = top
        if package is not None and top == package:
            code = frame.f_code
            place = f"{PurePath(code.co_filename).name}:{line} in {code.co_name}"
    return place
