"""Finding a user's App: `module:name`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from traceback import StackSummary, TracebackException

from eventstore.app import App
from eventstore.core.errors import EventStoreError


def load_app(reference: str) -> App:
    """Import the App that `package.module:name` names, from the current directory too.

    Raises EventStoreError with what is wrong; of an exception in the module, with its own frames.
    """
    module_name, separator, name = reference.partition(":")
    if module_name.endswith(".py"):
        named = ".".join(Path(module_name).with_suffix("").parts)
        raise EventStoreError(
            f"an app is named by its module, not by the file: {named}:{name or 'app'}"
        )
    if not separator or not module_name or not name:
        raise EventStoreError(f"an app is named like myapp:app (module, colon, name): {reference}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except EventStoreError:
        raise  # says what is wrong
    except Exception as error:
        name_of_missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if name_of_missing and f"{module_name}.".startswith(f"{name_of_missing}."):
            raise EventStoreError(
                f"there is no module {module_name!r} in {here} or among the installed packages"
            ) from None
        raise EventStoreError(f"cannot import {module_name}:\n{_own_frames(error)}") from error
    found = getattr(module, name, None)
    if not isinstance(found, App):
        what = "is not there" if found is None else f"is no App but {type(found).__name__}"
        raise EventStoreError(
            f"{reference}: {name} {what}; write: {name} = eventstore.App(projections=[...])"
        )
    return found


def _own_frames(error: Exception) -> str:
    """Tell an error as Python does, without the frames that led to the module."""
    told = TracebackException.from_exception(error)
    theirs = (__file__, importlib.__file__, "<frozen importlib")
    told.stack = StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(theirs)]
    )
    return "".join(told.format()).rstrip()
