"""What can be asked of consumer groups: every question once, as a SQL statement and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from eventstore.core.catalog import Question, Rows
from eventstore.core.definition import is_projection_name
from eventstore.core.delivery import (
    ConsumerGroup,
    Delivery,
    GroupStatus,
    ParkedDelivery,
    Settled,
    check_action,
    leases_of,
)
from eventstore.core.errors import InvalidInput, NotFound
from eventstore.core.query import EventQuery
from eventstore.core.reads import END
from eventstore.core.streams import check_stream_name, path_segment

MOST_PARKED: Final = 1_000
"""Parked deliveries that one answer names, at most."""


def create(group: ConsumerGroup) -> Question[bool]:
    """Make or change a group."""
    query = group.query.to_json()
    start = None if group.start == "head" else group.start
    settings = (group.ordering, group.buffer, group.lease, group.retries, group.backoff)
    return Question(
        statement="consumer_create",
        args=(group.name, query, start, *settings, list(group.after)),
        of_rows=lambda rows: bool(rows[0][0]),
        method="PUT",
        path=group_path(group.name),
        body={
            "query": json.loads(query),
            "start": group.start,
            "ordering": group.ordering,
            "buffer": group.buffer,
            "lease": group.lease,
            "retries": group.retries,
            "backoff": group.backoff,
            "after": list(group.after),
        },
        of_body=lambda body: bool(body["created"]),
    )


def delete(name: str) -> Question[None]:
    """Remove a group."""

    def of_rows(rows: Rows) -> None:
        if not rows[0][0]:
            raise no_group(name)

    return Question(
        statement="consumer_delete",
        args=(name,),
        of_rows=of_rows,
        method="DELETE",
        path=group_path(name),
        of_body=lambda _: None,
    )


def statuses() -> Question[list[GroupStatus]]:
    """Every group."""
    return Question(
        statement="consumer_statuses",
        args=(None,),
        of_rows=lambda rows: list(map(_status_of_row, rows)),
        path="/consumers",
        of_body=lambda body: list(map(_status, body["consumers"])),
    )


def status(name: str) -> Question[GroupStatus]:
    """One group."""

    def of_rows(rows: Rows) -> GroupStatus:
        if not rows:
            raise no_group(name)
        return _status_of_row(rows[0])

    return Question(
        statement="consumer_statuses",
        args=(name,),
        of_rows=of_rows,
        path=group_path(name),
        of_body=_status,
    )


def ack(name: str, deliveries: Iterable[Delivery | str]) -> Question[Settled]:
    """Deliveries are done."""
    positions, leases = leases_of(deliveries)
    return Question(
        statement="consumer_ack",
        args=(name, positions, leases),
        of_rows=_settled_of_rows,
        method="POST",
        path=f"{group_path(name)}/ack",
        body={"deliveries": _ids(positions, leases)},
        of_body=_settled,
    )


def renew(name: str, deliveries: Iterable[Delivery | str]) -> Question[Settled]:
    """Deliveries take longer."""
    positions, leases = leases_of(deliveries)
    return Question(
        statement="consumer_renew",
        args=(name, positions, leases),
        of_rows=_settled_of_rows,
        method="POST",
        path=f"{group_path(name)}/renew",
        body={"deliveries": _ids(positions, leases)},
        of_body=_settled,
    )


def nack(
    name: str,
    deliveries: Iterable[Delivery | str],
    action: str,
    delay: float | None,
    reason: str | None,
) -> Question[Settled]:
    """Deliveries are not done."""
    reason = check_action(action, delay, reason)
    positions, leases = leases_of(deliveries)
    return Question(
        statement="consumer_nack",
        args=(name, positions, leases, action, delay, reason),
        of_rows=_settled_of_rows,
        method="POST",
        path=f"{group_path(name)}/nack",
        body={
            "deliveries": _ids(positions, leases),
            "action": action,
            **({} if delay is None else {"delay": delay}),
            **({} if reason is None else {"reason": reason}),
        },
        of_body=_settled,
    )


def parked(name: str, limit: int) -> Question[list[ParkedDelivery]]:
    """What is set aside."""
    if not 1 <= limit <= MOST_PARKED:
        raise InvalidInput(f"a limit is 1 to {MOST_PARKED} deliveries: {limit}")

    def of_rows(rows: Rows) -> list[ParkedDelivery]:
        if not rows:
            raise no_group(name)
        return [ParkedDelivery(*row) for row in rows if row[0] is not None]

    return Question(
        statement="consumer_parked",
        args=(name, limit),
        of_rows=of_rows,
        path=f"{group_path(name)}/parked",
        params={"limit": str(limit)},
        of_body=lambda body: list(map(_parked, body["parked"])),
    )


def replay(name: str, stream_name: str | None, positions: Sequence[int] | None) -> Question[int]:
    """Deliver parked events again."""
    return _of_parked("replay", "replayed", name, stream_name, positions)


def drop(name: str, stream_name: str | None, positions: Sequence[int] | None) -> Question[int]:
    """Leave parked events out."""
    if stream_name is None and positions is None:
        raise InvalidInput("what is dropped is named: a stream or positions")
    return _of_parked("drop", "dropped", name, stream_name, positions)


def _of_parked(
    verb: str, told: str, name: str, stream_name: str | None, positions: Sequence[int] | None
) -> Question[int]:
    body: dict[str, object] = {}
    if stream_name is not None:
        body["stream"] = check_stream_name(stream_name)
    if positions is not None:
        body["positions"] = positions = list(positions)
        for n, position in enumerate(positions):
            if not isinstance(position, int) or not 1 <= position <= END:
                raise InvalidInput(f"no position: {position!r}", path=f"$.positions[{n}]")
    return Question(
        statement=f"consumer_{verb}",
        args=(name, stream_name, positions),
        of_rows=lambda rows: int(rows[0][0]),
        method="POST",
        path=f"{group_path(name)}/parked/{verb}",
        body=body,
        of_body=lambda answer: int(answer[told]),
    )


def no_group(name: str) -> NotFound:
    """Give the error where there is no such group."""
    return NotFound(f'there is no consumer group "{name}"')


def group_path(name: str) -> str:
    """Give the path of a group. Raises NotFound for what no group can be called."""
    if not is_projection_name(name):
        raise no_group(name)
    return f"/consumers/{path_segment(name)}"


def _ids(positions: Iterable[int], leases: Iterable[int]) -> list[str]:
    return [f"{position}-{lease}" for position, lease in zip(positions, leases, strict=True)]


def _settled_of_rows(rows: Rows) -> Settled:
    settled, parked, lost = rows[0]
    return Settled(settled, parked, tuple(lost))


def _settled(body: Mapping[str, Any]) -> Settled:
    return Settled(body["settled"], body["parked"], tuple(body["lost"]))


def _status_of_row(row: Sequence[Any]) -> GroupStatus:
    status = GroupStatus(*row)
    return status._replace(
        query=EventQuery.from_json(json.loads(row[1])),
        after=tuple(status.after),
        workers=tuple(status.workers),
        members=json.loads(row[GroupStatus._fields.index("members")]),
    )


def _status(body: Mapping[str, Any]) -> GroupStatus:
    known = {name: body[name] for name in GroupStatus._fields}
    return GroupStatus(**known)._replace(
        query=EventQuery.from_json(body["query"]),
        after=tuple(body["after"]),
        workers=tuple(body["workers"]),
        created_at=datetime.fromisoformat(body["created_at"]),
    )


def _parked(body: Mapping[str, Any]) -> ParkedDelivery:
    known = {name: body.get(name) for name in ParkedDelivery._fields}
    parked_at = datetime.fromisoformat(body["parked_at"])
    return ParkedDelivery(**{**known, "stream_name": body["stream"], "parked_at": parked_at})
