"""Functions that a definition is given: what cannot work is refused before an event comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import PurePath
from typing import Any

from eventstore.core.errors import InvalidInput


def check_function(
    function: Callable[..., Any], role: str, takes: Sequence[str], *, by_name: Sequence[str] = ()
) -> None:
    """Refuse what surely cannot be called with these arguments, some of them by name.

    `role` says whose function it is and what for. Raises InvalidInput with the function's place.
    """
    if not callable(function):
        raise InvalidInput(f"{role} is a function, not {function!r:.60}")
    try:
        if getattr(function, "__signature__", None) is not None:
            return  # what a decorator says, who may call it in another way
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # as of some that are written in C
        return
    try:
        signature.bind(*takes, **dict.fromkeys(by_name))
    except TypeError as fault:
        called = ", ".join([*takes, *(f"{name}=..." for name in by_name)])
        raise InvalidInput(
            f"{role} is called as ({called}), but {described(function)} takes {_bare(signature)}: "
            f"{fault}"
        ) from None


def check_pure(
    function: Callable[..., Any], role: str, takes: Sequence[str], *, by_name: Sequence[str] = ()
) -> None:
    """Refuse an `async def` function too, for the result is needed at once."""
    check_function(function, role, takes, by_name=by_name)
    if _is_async(function):
        raise InvalidInput(
            f"{role} is a plain function, which waits for nothing, but {described(function)} is "
            "'async def'"
        )


def described(function: Callable[..., Any]) -> str:
    """Name a function and its place: `ship (shop.py:12)`."""
    found: Any = function
    while isinstance(found, partial):
        found = found.func
    found = inspect.unwrap(found)
    code = getattr(found, "__code__", None)
    if not hasattr(found, "__qualname__"):  # an object that can be called
        found = type(found)
        code = getattr(found.__call__, "__code__", None)
    place = f" ({PurePath(code.co_filename).name}:{code.co_firstlineno})" if code else ""
    return f"{found.__qualname__.rpartition('<locals>.')[2]}{place}"


@contextmanager
def of(definition: str) -> Iterator[None]:
    """Let a fault that is found in its parts name the definition."""
    try:
        yield
    except InvalidInput as fault:
        raise InvalidInput(f"{definition}: {fault}") from None


def _is_async(function: Callable[..., Any]) -> bool:
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, type(function).__call__)
    )


def _bare(signature: inspect.Signature) -> inspect.Signature:
    empty = inspect.Parameter.empty
    parameters = [one.replace(annotation=empty) for one in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
