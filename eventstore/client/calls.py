"""The calls of the HTTP contract: what is sent for each verb, how its answer is read. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import httpx
import msgspec

from eventstore.client.commands import CommandAnswer, CommandBody, decode_answer
from eventstore.client.wire import (
    NDJSON,
    decode_appended,
    decode_deliveries,
    decode_event,
    decode_rows,
    encode_append,
    json_object,
    stream_path,
)
from eventstore.core.append import MAX_KEY_LENGTH, Appended, AppendRequest
from eventstore.core.catalog import Question, no_projection
from eventstore.core.consumers import group_path
from eventstore.core.delivery import Delivery, check_most
from eventstore.core.errors import EventStoreError, InvalidInput, ProjectionBehind
from eventstore.core.events import RecordedEvent, check_event_id
from eventstore.core.progress import wait_of
from eventstore.core.query import EventQuery
from eventstore.core.reads import LogHead, NameCount, Scan, StreamHead
from eventstore.core.readtables import TablePage, TableQuery
from eventstore.core.streams import check_stream_name, path_segment

PAGE: Final = 1_000
"""Most streams or events that a service gives in one page."""

LONGEST_WAIT: Final = 30
"""Seconds that one request waits for a projection; a longer wait is several requests."""

JSON: Final = "application/json"
ACCEPTED: Final = 202
"""What was asked for is not reached yet."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, and how its answer is read as a `T`.

    `event_ids` are those of an append: what may be stored if nobody tells the outcome. `may_store`
    says so of a call that has none. `form` is the content type of an answer that is the store's.
    """

    method: str = "GET"
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    event_ids: tuple[str, ...] = ()
    may_store: bool = False
    form: str = JSON

    def is_answered_by(self, answer: httpx.Response) -> bool:
        """Whether a success is one of a store: in the form that was asked for."""
        if answer.status_code == 204:
            return self.method not in ("GET", "HEAD")
        given: str = answer.headers.get("content-type", "")
        return answer.is_success and given.partition(";")[0].strip().lower() == self.form

    def request(self, http: httpx.AsyncClient | httpx.Client) -> httpx.Request:
        """Give what is sent. Raises InvalidInput for text that cannot be sent."""
        try:
            return http.build_request(
                self.method,
                self.path,
                params=self.params,
                headers=self.headers,
                content=self.content,
            )
        except UnicodeEncodeError:
            raise InvalidInput("a text has a lone surrogate, not a character") from None


def append(
    request: AppendRequest, *, wait_for: str | None = None, seconds: float = 0
) -> Call[tuple[Appended, ...]]:
    """Append. Sent again, it is the same append: every event carries its id.

    With `wait_for`, the answer waits for a projection, for a part of the time.
    """
    path, headers, body = encode_append(request)
    headers = {**headers, **_prefer_applied(wait_for, seconds)}

    def read(answer: httpx.Response) -> tuple[Appended, ...]:
        replayed = answer.headers.get("idempotency-replayed") == "true"
        return decode_appended(request, answer.content, replayed=replayed)

    return Call(
        method="POST",
        path=path,
        headers=headers,
        content=body,
        event_ids=tuple(request.event_ids),
        read=read,
    )


def command(
    decider: str,
    name: str,
    asked: CommandBody,
    *,
    command_id: str,
    wait_for: str | None,
    seconds: float,
) -> Call[CommandAnswer]:
    """Send a command. Sent again, it is the same one: it has an id."""
    for what, given in (("a decider", decider), ("a command", name)):
        if not isinstance(given, str):
            raise InvalidInput(
                f"{what} is named, as command('order', 'PayOrder', {{'amount': 5}}): {given!r:.60}"
            )
    printable = command_id.isascii() and command_id.isprintable()
    if not 1 <= len(command_id) <= MAX_KEY_LENGTH or not printable:
        raise InvalidInput(f"a command id is 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    headers = {
        "content-type": "application/json",
        "idempotency-key": re.sub(r'(["\\])', r"\\\1", command_id).join('""'),
        **_prefer_applied(wait_for, seconds),
    }

    return Call(
        method="POST",
        path=f"/commands/{path_segment(decider)}/{path_segment(name)}",
        headers=headers,
        content=asked.encode(),
        may_store=True,
        read=lambda answer: decode_answer(answer.content),
    )


def _prefer_applied(projection: str | None, seconds: float) -> dict[str, str]:
    if projection is None:
        return {}
    if not (projection.isascii() and projection.isidentifier()):  # as every projection's name is
        raise no_projection(projection)
    return {"prefer": f'{_prefer(seconds)["prefer"]}; for="{projection}"'}


def events(
    path: str, scan: Scan, limit: int | None, query: EventQuery | None = None
) -> Call[None] | None:
    """Read events as NDJSON; None if there is nothing to ask for. Raises InvalidInput."""
    if limit is not None and limit < 0:
        raise InvalidInput(f"a limit is 0 or more: {limit}")
    if scan.is_empty or limit == 0:
        return None
    params = {**query_params(query), "after": str(scan.after), "before": str(scan.before)}
    if scan.backward:
        params["direction"] = "backward"
    if limit is not None and limit <= PAGE:  # a longer read is cut off where it is received
        params["limit"] = str(limit)
    return Call(path=path, params=params, headers={"accept": NDJSON}, read=_nothing, form=NDJSON)


def query_params(query: EventQuery | None) -> dict[str, str]:
    """Give the parameters of a query; none for everything."""
    return {"query": query.to_json()} if query else {}


def event(event_id: UUID | str) -> Call[RecordedEvent]:
    """Read one event."""
    return Call(
        path=f"/events/{check_event_id(event_id)}",
        read=lambda answer: decode_event(answer.content),
    )


def head(url: str) -> Call[LogHead]:
    """Read the log's head."""

    def read(answer: httpx.Response) -> LogHead:
        root = json_object(answer.content)
        try:
            return LogHead(UUID(root["store_id"]), root["epoch"], root["head"])
        except KeyError:
            raise EventStoreError(f"{url} answers, but not as an event store") from None

    return Call(path="/", read=read)


def stream_head(stream_name: str, method: str = "HEAD") -> Call[int]:
    """Read a stream's head. By HEAD that there is none is told without the store's mark."""
    return Call(
        method=method,
        path=stream_path(check_stream_name(stream_name)),
        params={} if method == "HEAD" else {"limit": "1"},
        read=lambda answer: int(answer.headers["etag"].strip('"')),
    )


def wait(
    projection: str,
    *,
    position: int | None,
    stream: str | None,
    revision: int | None,
    seconds: float,
) -> Call[int | ProjectionBehind]:
    """Wait for a projection, for a part of the time: its position, or what to say if it is over.

    Raises InvalidInput for what cannot be waited for.
    """
    wanted = wait_of(projection, position=position, stream=stream, revision=revision)
    path = f"/projections/{path_segment(projection)}"
    if wanted.stream_name is None:
        path, params = f"{path}/position", {"at_least": str(position)}
    else:
        path, params = path + stream_path(wanted.stream_name), {"revision": str(revision)}

    def read(answer: httpx.Response) -> int | ProjectionBehind:
        facts = json_object(answer.content)
        if facts["reached"]:
            return int(facts["position"])
        return _behind(projection, facts)

    return Call(path=path, params=params, headers=_prefer(seconds), read=read)


def _prefer(seconds: float) -> dict[str, str]:
    return {"prefer": f"wait={min(LONGEST_WAIT, math.ceil(max(0, seconds)))}"}


def _behind(projection: str, facts: Mapping[str, Any]) -> ProjectionBehind:
    return ProjectionBehind(
        projection,
        facts["wanted"],
        checkpoint=facts["checkpoint"],
        events_per_second=facts["events_per_second"],
        is_run=facts["is_run"],
        is_stored=facts["is_stored"],
    )


def asked(question: Question[T]) -> Call[T]:
    """Ask something of projections."""
    headers = {} if question.seconds is None else _prefer(question.seconds)
    content = None
    if question.body is not None:
        headers["content-type"] = "application/json"
        content = msgspec.json.encode(question.body)
    return Call(
        method=question.method,
        path=question.path,
        params=question.params,
        headers=headers,
        content=content,
        read=lambda answer: question.of_body(json_object(answer.content)),
    )


def receive(name: str, most: int, member: str, seconds: float) -> Call[list[Delivery]]:
    """Receive, waiting for a part of the time."""
    return Call(
        method="POST",
        path=f"{group_path(name)}/receive",
        headers={"content-type": "application/json", **_prefer(seconds)},
        content=msgspec.json.encode({"max": check_most(most), "member": member}),
        read=lambda answer: decode_deliveries(answer.content),
    )


def table(query: TableQuery, seconds: float) -> Call[TablePage | ProjectionBehind]:
    """Read a table, waiting for a part of the time: a page, or what to say if it is over."""
    params = {"limit": str(query.limit), "offset": str(query.offset), **query.where}
    headers = {}
    if query.order is not None:
        params["order"] = query.order
    if query.position is not None:
        headers = {"event-position": str(query.position), **_prefer(seconds)}

    def read(answer: httpx.Response) -> TablePage | ProjectionBehind:
        if answer.status_code == ACCEPTED:
            return _behind(query.projection, json_object(answer.content))
        return decode_rows(answer.content, offset=query.offset, more="next" in answer.links)

    path = f"/projections/{path_segment(query.projection)}/tables/{path_segment(query.table)}"
    return Call(path=path, params=params, headers=headers, read=read)


def streams(prefix: str, category: str | None, after: str, limit: int) -> Call[list[StreamHead]]:
    """List one page of streams."""
    params = {"prefix": prefix, "after": after, "limit": str(limit)}
    if category is not None:
        params["category"] = category
    return Call(
        path="/streams",
        params=params,
        read=lambda answer: [
            StreamHead(one["stream"], one["revision"]) for one in _listed(answer, "streams")
        ],
    )


def categories() -> Call[list[NameCount]]:
    """List the categories."""
    return Call(path="/categories", read=lambda answer: _counts(answer, "categories", "category"))


def event_types() -> Call[list[NameCount]]:
    """List the event types."""
    return Call(path="/event-types", read=lambda answer: _counts(answer, "event_types", "type"))


def _counts(answer: httpx.Response, name: str, key: str) -> list[NameCount]:
    return [
        NameCount(one[key], one["events"], one["last_position"]) for one in _listed(answer, name)
    ]


def _listed(answer: httpx.Response, name: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json_object(answer.content)[name]
    return listed


def _nothing(_: httpx.Response) -> None:
    """What is read as it comes in has nothing to be read as a whole."""
