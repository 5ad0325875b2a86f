"""The bodies of the API as pydantic models: what the API description is made of."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Position = Annotated[int, Field(ge=1, description="Number in the log: 1-based, dense")]
Revision = Annotated[int, Field(ge=0, description="Number in the stream: 0-based, dense")]
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        pattern=PRINTABLE,
        description="1 to 255 bytes of UTF-8, NFC, no control characters",
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewEvent(_Strict):
    """An event to append."""

    type: Name
    data: Any = Field(default_factory=dict, description="Any JSON value")
    metadata: dict[str, Any] = Field(default_factory=dict)
    id: UUID | None = Field(None, description="Give it to make a retry the same append")
    tags: list[Name] = Field(default_factory=list, max_length=64)


class Append(_Strict):
    """An append to one of several streams."""

    stream: Name
    expected_revision: (
        Annotated[int, Field(ge=0, lt=2**63)] | Literal["no_stream", "stream_exists", "any"]
    ) = "any"
    events: list[NewEvent] = Field(min_length=1)


class QueryItem(_Strict):
    """One alternative: any of the streams, categories and types, all of the tags."""

    streams: list[Name] = Field(default_factory=list)
    categories: list[Name] = Field(default_factory=list)
    types: list[Name] = Field(default_factory=list)
    tags: list[Name] = Field(default_factory=list)


class EventQuery(_Strict):
    """Events that any of the items means; an empty item means every event."""

    any_of: list[QueryItem] = Field(min_length=1, max_length=64)


class Condition(_Strict):
    """Nothing that the query means may be stored after the position."""

    none_matching: EventQuery
    after: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Appends(_Strict):
    """Appends that are stored together or not at all."""

    appends: list[Append] = Field(min_length=1)
    condition: Condition | None = None


class Waited(BaseModel):
    """Whether the projection of `Prefer: wait=2; for="orders"` has applied the append.

    If not, `problem` says why and how far it is, as problem details do.
    """

    projection: str
    reached: bool
    problem: dict[str, Any] | None = None


class Appended(BaseModel):
    """Where an append was stored."""

    stream: str
    first_revision: Revision
    revision: Revision
    position: Position
    event_ids: list[UUID]
    wait: Waited | None = None


class AppendedMany(BaseModel):
    """Where appends were stored; `position` is the last event's."""

    appends: list[Appended]
    position: Position
    wait: Waited | None = None


class Event(BaseModel):
    """A recorded event."""

    position: Position
    stream: str
    revision: Revision
    id: UUID
    type: str
    data: Any
    metadata: dict[str, Any]
    tags: list[str]
    recorded_at: datetime


class Page(BaseModel):
    """Events, and the head (a revision for a stream, a position for the log)."""

    events: list[Event]
    head: int


class StreamHead(BaseModel):
    stream: str
    revision: Revision


class Streams(BaseModel):
    streams: list[StreamHead]


class CategoryCount(BaseModel):
    category: str
    events: int
    last_position: Position


class Categories(BaseModel):
    categories: list[CategoryCount]


class TypeCount(BaseModel):
    type: str
    events: int
    last_position: Position


class EventTypes(BaseModel):
    event_types: list[TypeCount]


class Root(BaseModel):
    """What this service is."""

    store_id: UUID
    epoch: int
    head: int
    version: str
    links: dict[str, str]


class Health(BaseModel):
    status: Literal["live", "ready", "degraded", "unready"]
    reasons: list[str]


Checkpoint = Annotated[
    int, Field(ge=0, description="Every event up to this position is applied, or its stream parked")
]


class Projection(BaseModel):
    """One version of a projection: what it does and how far it is."""

    projection: str
    version: int
    serving: bool
    state: Literal["running", "waiting", "paused", "stopped"]
    reason: str | None
    checkpoint: Checkpoint
    head: Annotated[int, Field(ge=0, description="Last position of the log")]
    lag_events: int
    lag_seconds: float
    partitions: int
    leased_partitions: int
    parked_streams: int
    skipped_events: int
    moved_at: datetime | None
    tables: list[str]


class Switched(Projection):
    """The version that serves now, and which one did until now."""

    served_before: int


class Projections(BaseModel):
    projections: list[Projection]


class Rebuild(_Strict):
    """Which version begins anew."""

    version: Annotated[int, Field(ge=1, lt=2**31)]


class Rebuilding(BaseModel):
    projection: str
    version: int
    checkpoint: Literal[0]


class Switch(_Strict):
    """Which version serves from now on."""

    version: Annotated[int, Field(ge=1, lt=2**31)]
    even_if_behind: bool = Field(
        False, description="As it is: readers may see older rows than before until it catches up"
    )


class TableComparison(BaseModel):
    """A read table of a version beside that of the one that serves; null where one has none."""

    table: str
    columns: list[str] = Field(description="Those that both have: the checksums are of them")
    serving_version: int
    serving_checkpoint: int
    serving_rows: int | None
    serving_checksum: str | None
    checkpoint: int
    rows: int | None
    checksum: str | None
    is_equal: bool


class Comparison(BaseModel):
    tables: list[TableComparison]


class ProjectionPosition(BaseModel):
    """How far a projection is in the log; if it was not reached, how fast it moves."""

    model_config = ConfigDict(extra="allow")

    projection: str
    position: int
    reached: bool


class StreamPosition(BaseModel):
    """How far a projection is in a stream (-1: nothing of it), and where the stream ends."""

    model_config = ConfigDict(extra="allow")

    stream: str
    revision: int
    head: int | None
    reached: bool


class ParkedStream(BaseModel):
    """A stream that is held back, from the event on that could not be applied."""

    stream: str
    revision: Revision
    position: Position
    state: Literal["parked", "retrying", "stopped"]
    error: str
    attempts: int
    failed_at: datetime


class ParkedStreams(BaseModel):
    parked: list[ParkedStream]


class Retried(BaseModel):
    stream: str
    state: Literal["retrying"]


class RetriedAll(BaseModel):
    """How many streams are tried again."""

    retrying: int


class TableRows(BaseModel):
    """Rows of a read table as PostgreSQL writes them as JSON, and what they are as of."""

    rows: list[dict[str, Any]]
    position: Checkpoint


class Skipped(BaseModel):
    """`skipped` is the position of the event that is left out."""

    stream: str
    skipped: Position


class ConsumerGroup(_Strict):
    """What a consumer group is to be."""

    query: EventQuery = Field(default_factory=lambda: EventQuery(any_of=[QueryItem()]))
    start: Annotated[int, Field(ge=0, lt=2**63)] | Literal["head"] = Field(
        0, description="Events after this position are delivered; counts when the group is made"
    )
    ordering: Literal["stream", "none"] = Field(
        "stream", description="stream: an event waits until the earlier ones of its stream are done"
    )
    buffer: int = Field(200, ge=1, le=100_000, description="How many events may wait")
    lease: float = Field(
        30, ge=0.001, le=86_400, description="Seconds that a member has a delivery"
    )
    retries: int = Field(5, ge=0, le=1_000, description="Then the event is parked")
    backoff: float = Field(
        1,
        ge=0,
        le=3_600,
        description="Seconds before the first retry; then doubled",
    )
    after: list[str] = Field(
        default_factory=list, description="Projections that have to have applied an event before"
    )


class Consumer(BaseModel):
    """A consumer group: what it is, how far it is, and who holds how many deliveries."""

    name: str
    query: EventQuery
    ordering: Literal["stream", "none"]
    buffer: int
    lease: float
    retries: int
    backoff: float
    after: list[str]
    checkpoint: Checkpoint
    head: int
    lag_events: int = Field(description="Events of the log that it has not looked at yet")
    lag_seconds: float
    buffered: int = Field(description="Events that wait to be delivered: never more than buffer")
    returned: int = Field(description="Events that wait to be delivered again")
    in_flight: int = Field(description="Events that members have now")
    parked: int = Field(description="Events that wait for an operator")
    held: int = Field(description="Events that wait behind one that is parked")
    members: dict[str, int]
    workers: list[str] = Field(
        description="Workers that run it as their reactor: nobody else removes or changes it"
    )
    created_at: datetime


class CreatedConsumer(Consumer):
    """A consumer group, and whether it is new."""

    created: bool


class Consumers(BaseModel):
    consumers: list[Consumer]


class Receive(_Strict):
    """How many deliveries are asked for, and by whom."""

    max: int = Field(50, ge=1, le=1_000)
    member: Name | None = Field(None, description="Who asks, for the group's status")


class Delivery(BaseModel):
    """An event that the member has until then; its `id` is needed to settle it."""

    id: str
    attempt: int
    leased_until: datetime
    event: Event


class Deliveries(BaseModel):
    deliveries: list[Delivery]


DeliveryIds = Annotated[
    list[Annotated[str, Field(pattern="^[1-9][0-9]{0,17}-[1-9][0-9]{0,17}$")]],
    Field(min_length=1, max_length=1_000),
]


class Ack(_Strict):
    """Which deliveries are done, or take longer."""

    deliveries: DeliveryIds


class Nack(_Strict):
    """Which deliveries are not done, and what becomes of them."""

    deliveries: DeliveryIds
    action: Literal["retry", "park", "park_event", "park_stream", "skip", "release"] = Field(
        "retry",
        description="park: the stream, or without ordering the event; skip: left out for good; "
        "release: given back untried, which is not counted",
    )
    delay: Annotated[float, Field(ge=0, le=86_400)] | None = Field(
        None, description="Seconds until a retry; default: the group's backoff"
    )
    reason: str | None = None


class Settled(BaseModel):
    """For how many deliveries it was carried out; `lost` are not this member's any more."""

    settled: int
    parked: int
    lost: list[str]


class ParkedDelivery(BaseModel):
    """An event that is set aside; `held` later events of its stream wait for it, unless null."""

    position: Position
    stream: str
    revision: Revision
    event_type: str
    attempts: int
    reason: str
    member: str | None
    parked_at: datetime
    held: int | None


class ParkedDeliveries(BaseModel):
    parked: list[ParkedDelivery]


class Replay(_Strict):
    """Which parked deliveries; all of them, if nothing is said."""

    stream: Name | None = None
    positions: list[Annotated[int, Field(ge=1, lt=2**63)]] | None = None


class Drop(Replay):
    """Which parked deliveries: a stream or positions have to be named."""


class Replayed(BaseModel):
    replayed: int


class Dropped(BaseModel):
    dropped: int


class Command(_Strict):
    """A command to one stream: `stream` names it whole, or `id` is what is behind its category."""

    stream: Name | None = None
    id: Annotated[str | None, Field(min_length=1, max_length=255)] = None
    data: Any = Field(default_factory=dict, description="As GET /commands describes it")
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Of every event that it causes"
    )
    tags: list[Name] = Field(default_factory=list, max_length=64)


class CausedEvent(BaseModel):
    """An event that a command has caused."""

    position: Position
    revision: Revision
    id: UUID
    type: str
    data: Any
    metadata: dict[str, Any]
    tags: list[str]


class HandledCommand(BaseModel):
    """What a command has caused; nothing is possible. Revision and position are the stream's."""

    stream: str
    events: list[CausedEvent]
    position: Annotated[int, Field(ge=0, description="0: the stream has no event")]
    replayed: bool = Field(description="It had been handled before: the first answer again")
    revision: Revision = Field(default=0, description="Left out: the stream has no event")
    wait: Waited | None = None


class CommandType(BaseModel):
    """A command that is taken: POST /commands/{decider}/{command} with `data` of this schema."""

    decider: str
    command: str
    category: str
    schema_: dict[str, Any] = Field(alias="schema")


class Commands(BaseModel):
    commands: list[CommandType]


class EventSchema(BaseModel):
    """An event type; `version` is that of the shape which is written now."""

    type: str
    version: Annotated[int, Field(ge=1)]
    schema_: dict[str, Any] = Field(alias="schema")


class Schemas(BaseModel):
    schemas: list[EventSchema]


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in the JSON format. Source and id together are its identity.

    Further members are extension attributes: text, 32-bit integers or booleans.
    """

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1, description="A URI reference")]
    type: Name
    subject: Annotated[str | None, Field(min_length=1)] = None
    time: Annotated[str | None, Field(min_length=1, description="As RFC 3339 has it")] = None
    dataschema: Annotated[str | None, Field(min_length=1, description="A URI")] = None
    datacontenttype: Annotated[
        str | None, Field(min_length=3, description="A media type; JSON if it is left out")
    ] = None
    data: Any = None
    data_base64: Annotated[
        str | None, Field(description="Data that are bytes, in base64; not together with `data`")
    ] = None


class Problem(BaseModel):
    """RFC 9457 problem details; further members carry the facts."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
