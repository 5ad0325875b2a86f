"""Asking the store that a command's options name, and ending in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer

from eventstore.cli.target import Store, Target, opened

T = TypeVar("T")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The projection.")]


def ask(target: Target, question: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, ask, and close it."""

    async def asked() -> T:
        async with opened(target) as store:
            return await question(store)

    return run(asked())


def run(work: Coroutine[Any, Any, T]) -> T:
    """Work; SIGTERM ends it in order, as Ctrl-C does."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio.run made it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
