"""Where the user's code is: what of it raised an error."""

from __future__ import annotations

import sys
import traceback
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Final

_NOT_THEIRS: Final = sys.stdlib_module_names | {"eventstore", "asyncpg", "sqlalchemy"}
"""Top-level modules whose frames say nothing of a handler."""
_LONGEST: Final = 2_000
"""Characters of an error that are told, at most."""


def place_of(error: BaseException) -> str | None:
    """Tell where the user's code raised an error, as `shop.py:49 in order`; None if it did not.

    It is the last frame of the package that a handler or a key is in, and not what that calls.
    """
    package = place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        top = _package(frame)
        if package is None and top not in _NOT_THEIRS:
            package = top
        if package is not None and top == package:
            code = frame.f_code
            place = f"{PurePath(code.co_filename).name}:{line} in {code.co_name}"
    return place


def reason_of(error: BaseException) -> str:
    """Give an error as a text that PostgreSQL takes, with the place in the user's code."""
    place = place_of(error)
    # A text of PostgreSQL's has neither.
    told = f"{type(error).__name__}: {error}".replace("\0", "").encode("utf-8", "replace")
    return told.decode()[:_LONGEST] + (f" ({place})" if place else "")


def own_frames(error: BaseException) -> TracebackType | None:
    """Give an error's traceback from the user's first frame on; None without one."""
    trace = error.__traceback__
    while trace is not None and _package(trace.tb_frame) in _NOT_THEIRS:
        trace = trace.tb_next
    return trace


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]
