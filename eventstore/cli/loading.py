"""Finding a user's App: `module:name`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from eventstore.app import App
from eventstore.core.errors import EventStoreError


def load_app(reference: str) -> App:
    """Import the App that `package.module:name` names, from the current directory too.

    Raises EventStoreError with what is wrong; an exception of the module's own goes through.
    """
    module_name, separator, name = reference.partition(":")
    if not separator or not module_name or not name:
        raise EventStoreError(f"an app is named like myapp:app (module, colon, name): {reference}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and lacks something itself
        raise EventStoreError(
            f"there is no module {module_name!r} in {here} or among the installed packages"
        ) from None
    found = getattr(module, name, None)
    if not isinstance(found, App):
        what = "is not there" if found is None else f"is no App but {type(found).__name__}"
        raise EventStoreError(
            f"{reference}: {name} {what}; write: {name} = eventstore.App(projections=[...])"
        )
    return found
