"""That a worker runs a consumer group as its reactor: said where the group is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from eventstore.core import consumers
from eventstore.core.delivery import ConsumerGroup, Settled, leases_of
from eventstore.progress import Fetch


class Beat(NamedTuple):
    """What a worker is told when it is heard of.

    `settled` tells of its leases. Whoever makes the group anew after `undone_after` passes over
    nothing but what is parked and held.
    """

    settled: Settled
    undone_after: int


class Presence:
    """What a worker says of a group: while it is heard of, nobody else removes or changes it.

    It counts as running the group for the group's lease after each word. Every method raises
    Unavailable, and NotFound if there is no such group.
    """

    def __init__(self, fetch: Fetch, member: str) -> None:
        """`fetch(statement, *args)` runs a named statement; `member` is the worker."""
        self._fetch: Final = fetch
        self._member: Final = member

    async def register(self, group: ConsumerGroup) -> bool:
        """Make the group, or take over what has changed of it. Gives whether it was made.

        Raises what ConsumerCatalog.create does.
        """
        question = consumers.create(group)
        rows = await self._fetch("consumer_run", *question.args, self._member)
        return question.of_rows(rows)

    async def beat(self, name: str, deliveries: Iterable[str]) -> Beat:
        """Say that the worker runs it, and takes longer with these deliveries."""
        held = list(deliveries)
        leases = leases_of(held) if held else ([], [])
        [(settled, parked, lost, undone_after)] = await self._fetch(
            "consumer_beat", name, self._member, *leases
        )
        return Beat(Settled(settled, parked, tuple(lost)), undone_after)

    async def leave(self, name: str) -> None:
        """Say that the worker does not run it any more."""
        await self._fetch("consumer_leave", name, self._member)
