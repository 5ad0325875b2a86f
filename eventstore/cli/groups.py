"""What a consumer group is made or changed to: what is given, over what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventstore.core.errors import NotFound

if TYPE_CHECKING:
    from eventstore.cli.target import Store
    from eventstore.core.delivery import GroupStatus

SETTINGS: Final = ("query", "ordering", "buffer", "lease", "retries", "backoff", "after")


class Created(NamedTuple):
    """A group before, if it was there, and after."""

    before: GroupStatus | None
    made: bool
    after: GroupStatus


async def create(store: Store, name: str, given: dict[str, Any]) -> Created:
    """Make a group, or change one: what is None in `given` is the default, or stays as it is."""
    try:
        before = await store.consumers.get(name)
    except NotFound:
        before = None
    wanted = {} if before is None else {one: getattr(before, one) for one in SETTINGS}
    wanted |= {one: value for one, value in given.items() if value is not None}
    made = await store.consumers.create(name, **wanted)
    return Created(before, made, await store.consumers.get(name))


def told(name: str, created: Created) -> list[str]:
    """Say what has become of the group, in lines."""
    before, made, after = created
    if made or before is None:
        return [f"{name} is made" if made else f"{name} is made by somebody else just now"]
    changes = [
        f"  {one}: {_shown(getattr(before, one))} -> {_shown(getattr(after, one))}"
        for one in SETTINGS
        if getattr(before, one) != getattr(after, one)
    ]
    return [f"{name} is changed", *changes] if changes else [f"{name} is there: nothing changes"]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.to_json() if hasattr(value, "to_json") else value)
