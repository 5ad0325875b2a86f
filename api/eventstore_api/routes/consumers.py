"""Consumer groups over HTTP: made, received from, settled, and what operators do."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from eventstore import (
    Delivery,
    EventQuery,
    GroupStatus,
    ParkedDelivery,
    Settled,
    Unavailable,
)
from eventstore.core.consumers import MOST_PARKED
from eventstore.core.delivery import Action, Ordering
from eventstore.core.errors import InvalidInput
from eventstore.core.streams import check_text
from eventstore.core.times import time_text
from eventstore_api import models
from eventstore_api.bodies import small_body, takes
from eventstore_api.dispatch import ClientGoneError, while_connected
from eventstore_api.headers import JSON, Headers, check_prefer
from eventstore_api.routes.listing import Store, accepts_json, integer
from eventstore_api.wire import decoded, event_json
from eventstore_api.wire import encode as to_json

router = APIRouter(tags=["consumers"], dependencies=[Depends(accepts_json)])
Name = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": "^[a-z][a-z0-9_]{0,40}$"},
        description="The consumer group's name",
    ),
]


class GroupIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a group is to be."""

    query: Any = msgspec.field(default_factory=lambda: {"any_of": [{}]})
    start: int | Literal["head"] = 0
    ordering: Ordering = "stream"
    buffer: int = 200
    lease: float = 30
    retries: int = 5
    backoff: float = 1
    after: list[str] = []


class ReceiveIn(msgspec.Struct, forbid_unknown_fields=True):
    """How many deliveries are asked for, and by whom."""

    max: int = 50
    member: str | None = None


class AckIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which deliveries are done, or take longer."""

    deliveries: list[str]


class NackIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which deliveries are not done, and what becomes of them."""

    deliveries: list[str]
    action: str = "retry"
    delay: float | None = None
    reason: str | None = None


class ParkedIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which parked deliveries are meant."""

    stream: str | None = None
    positions: list[int] | None = None


_group: Final = msgspec.json.Decoder(GroupIn)
_receive: Final = msgspec.json.Decoder(ReceiveIn)
_ack: Final = msgspec.json.Decoder(AckIn)
_nack: Final = msgspec.json.Decoder(NackIn)
_parked: Final = msgspec.json.Decoder(ParkedIn)


def _reply(body: object, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else to_json(body)
    headers = {"cache-control": "no-store"}
    return Response(content, status_code=status, media_type=JSON, headers=headers)


def _status_json(status: GroupStatus) -> dict[str, Any]:
    return {
        **status._asdict(),
        "query": json.loads(status.query.to_json()),
        "created_at": time_text(status.created_at),
    }


def _delivery_json(delivery: Delivery) -> str:
    return (
        f'{{"id":"{delivery.id}","attempt":{delivery.attempt},'
        f'"leased_until":"{time_text(delivery.leased_until)}",'
        f'"event":{event_json(delivery.event)}}}'
    )


def _parked_json(parked: ParkedDelivery) -> dict[str, Any]:
    members = parked._asdict()
    return {
        "position": members.pop("position"),
        "stream": members.pop("stream_name"),
        **members,
        "parked_at": time_text(parked.parked_at),
    }


def _settled(settled: Settled) -> Response:
    return _reply(settled._asdict())


@router.get("/consumers", response_model=models.Consumers, summary="Every consumer group")
async def list_consumers(store: Store) -> Response:
    return _reply({"consumers": [_status_json(one) for one in await store.consumers.all()]})


@router.put(
    "/consumers/{consumer}",
    response_model=models.CreatedConsumer,
    responses={201: {"model": models.CreatedConsumer, "description": "It is new"}},
    openapi_extra=takes("ConsumerGroup", needed=False),
    summary="Make a consumer group, or replace it but for its ordering; what is left out: defaults",
)
async def create(consumer: Name, request: Request, store: Store) -> Response:
    body = decoded(_group, await small_body(request, needed=False))
    created = await store.consumers.create(
        consumer,
        EventQuery.from_json(body.query, path="$.query", limits=store.limits),
        start=body.start,
        ordering=body.ordering,
        buffer=body.buffer,
        lease=body.lease,
        retries=body.retries,
        backoff=body.backoff,
        after=body.after,
    )
    status = _status_json(await store.consumers.get(consumer))
    return _reply({**status, "created": created}, 201 if created else 200)


@router.get(
    "/consumers/{consumer}",
    response_model=models.Consumer,
    summary="A consumer group: lag, buffered, in flight, parked, held, who holds what and runs it",
)
async def get_consumer(consumer: Name, store: Store) -> Response:
    return _reply(_status_json(await store.consumers.get(consumer)))


@router.delete(
    "/consumers/{consumer}",
    status_code=204,
    summary="Remove a consumer group that no worker runs, with all that it has not delivered yet",
)
async def delete(consumer: Name, store: Store) -> Response:
    await store.consumers.delete(consumer)
    return Response(status_code=204)


@router.post(
    "/consumers/{consumer}/receive",
    response_model=models.Deliveries,
    openapi_extra=takes("Receive", needed=False),
    summary="Receive the next deliveries, or wait for the first (Prefer: wait=20)",
)
async def receive(consumer: Name, request: Request, store: Store) -> Response:
    wait = check_prefer(Headers(request.scope["headers"]))
    asked = decoded(_receive, await small_body(request, needed=False))
    try:
        who = "a member's name"
        member = _client(request) if asked.member is None else check_text(asked.member, who)
    except InvalidInput as fault:
        raise InvalidInput(fault.problem, path="$.member") from None
    try:
        async with while_connected(request.receive):
            found = await store.consumers.receive(consumer, asked.max, wait=wait, member=member)
    except ClientGoneError:
        raise Unavailable("the client went away while it waited") from None
    return _reply(f'{{"deliveries":[{",".join(map(_delivery_json, found))}]}}'.encode())


def _client(request: Request) -> str:
    return "unknown" if request.client is None else f"{request.client.host}:{request.client.port}"


@router.post(
    "/consumers/{consumer}/ack",
    response_model=models.Settled,
    openapi_extra=takes("Ack"),
    summary="Deliveries are done",
)
async def ack(consumer: Name, request: Request, store: Store) -> Response:
    asked = decoded(_ack, await small_body(request))
    return _settled(await store.consumers.ack(consumer, asked.deliveries))


@router.post(
    "/consumers/{consumer}/renew",
    response_model=models.Settled,
    openapi_extra=takes("Ack"),
    summary="Deliveries take longer: their leases begin anew",
)
async def renew(consumer: Name, request: Request, store: Store) -> Response:
    asked = decoded(_ack, await small_body(request))
    return _settled(await store.consumers.renew(consumer, asked.deliveries))


@router.post(
    "/consumers/{consumer}/nack",
    response_model=models.Settled,
    openapi_extra=takes("Nack"),
    summary="Deliveries are not done: retry, park, skip or release them",
)
async def nack(consumer: Name, request: Request, store: Store) -> Response:
    asked = decoded(_nack, await small_body(request))
    return _settled(
        await store.consumers.nack(
            consumer,
            asked.deliveries,
            cast("Action", asked.action),  # looked at there, where those that are known are told
            delay=asked.delay,
            reason=asked.reason,
        )
    )


@router.get(
    "/consumers/{consumer}/parked",
    response_model=models.ParkedDeliveries,
    summary="Events that are set aside, each with the reason",
)
async def list_parked(
    consumer: Name,
    store: Store,
    limit: Annotated[
        int, Query(ge=1, le=MOST_PARKED), integer("query parameter limit")
    ] = MOST_PARKED,
) -> Response:
    found = await store.consumers.parked(consumer, limit=limit)
    return _reply({"parked": list(map(_parked_json, found))})


@router.post(
    "/consumers/{consumer}/parked/replay",
    response_model=models.Replayed,
    openapi_extra=takes("Replay", needed=False),
    summary="Deliver parked events again: all, those of a stream, or at these positions",
)
async def replay(consumer: Name, request: Request, store: Store) -> Response:
    asked = decoded(_parked, await small_body(request, needed=False))
    count = await store.consumers.replay(consumer, asked.stream, positions=asked.positions)
    return _reply({"replayed": count})


@router.post(
    "/consumers/{consumer}/parked/drop",
    response_model=models.Dropped,
    openapi_extra=takes("Drop"),
    summary="Leave parked events out for good: those of a stream, or at these positions",
)
async def drop(consumer: Name, request: Request, store: Store) -> Response:
    asked = decoded(_parked, await small_body(request))
    count = await store.consumers.drop(consumer, asked.stream, positions=asked.positions)
    return _reply({"dropped": count})
