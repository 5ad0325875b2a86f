"""Asking the store that a command's options name, and ending in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from eventstore.cli.target import Store, Target, opened
from eventstore.core.errors import NotFound

if TYPE_CHECKING:
    from eventstore.core.catalog import ProjectionStatus

T = TypeVar("T")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The projection.")]


def ask(target: Target, question: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, ask, and close it."""

    async def asked() -> T:
        async with opened(target) as store:
            return await question(store)

    return run(asked())


def ask_of(
    target: Target,
    projection: str,
    question: Callable[[Store], Awaitable[T]],
    *,
    version: int | None = None,
) -> T:
    """Ask of a projection; where there is no such one, say which there are."""

    async def asked(store: Store) -> T:
        try:
            return await question(store)
        except NotFound as error:
            known = await store.projections.all()
            if any(
                one.projection == projection and version in (None, one.version) for one in known
            ):
                raise
            raise NotFound(f"{error}; {there_are(known)}") from error

    return ask(target, asked)


def there_are(known: Sequence[ProjectionStatus]) -> str:
    """Say which projections there are."""
    if not known:
        return "there is none yet; a worker makes them: eventstore worker MODULE:NAME"
    return "there are: " + ", ".join(f"{one.projection} version {one.version}" for one in known)


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
