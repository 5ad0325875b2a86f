"""The client against a real service: what EventStore does in process, it does over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from eventstore import (
    NO_STREAM,
    Append,
    AppendCondition,
    ConditionFailed,
    DuplicateEventId,
    EventData,
    EventQuery,
    EventStore,
    InvalidInput,
    LimitExceeded,
    NotFound,
    RevisionConflict,
)
from eventstore.client import EventStoreClient
from tests.fix_service import served

pytestmark = pytest.mark.one_postgres


@pytest.fixture
def url(dsn: str) -> Iterator[str]:
    """URL of a service on an empty store."""
    with served(EventStore(dsn)) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[EventStoreClient]:
    """A client of it."""
    async with EventStoreClient(url) as opened:
        yield opened


async def test_what_the_client_appends_the_library_reads_and_the_other_way_round(
    client: EventStoreClient, store: EventStore
) -> None:
    data = {"n": 2**70, "text": "ż\u2028\n", "list": [1.5, None]}
    first = await client.append("order-1", [EventData("A", data, {"by": "x"}, tags=["t", "s"])])
    second = await store.append("order-1", EventData("B"), expected_revision=first.revision)
    assert (first.position, second.position) == (1, 2)
    over_http = [event async for event in client.read()]
    assert over_http == [event async for event in store.read()]
    assert over_http[0].data == data
    assert over_http[0].tags == ["s", "t"]
    assert await client.event(over_http[1].event_id) == over_http[1]
    assert await client.head() == await store.head()


async def test_reads_are_bounded_filtered_and_turned_round_as_in_the_library(
    client: EventStoreClient, store: EventStore
) -> None:
    for n in range(6):
        await client.append(f"{'ab'[n % 2]}-1", EventData(f"T{n % 3}", tags=[f"n{n}"]))
    for query in (
        None,
        EventQuery(categories=["a"]),
        EventQuery(types=["T1", "T2"], tags=["n4"]) | EventQuery(streams=["b-1"]),
    ):
        for after, before, limit in ((None, None, None), (1, 5, None), (2, None, 1), (3, 4, 9)):
            wanted = [e async for e in store.read(query, after=after, before=before, limit=limit)]
            assert [
                e async for e in client.read(query, after=after, before=before, limit=limit)
            ] == wanted
    assert [e.position async for e in client.read(direction="backward", limit=2)] == [6, 5]
    assert [e.revision async for e in client.read_stream("a-1", after=0)] == [1, 2]
    assert [e.revision async for e in client.read_stream("a-1", before=0)] == []
    assert [e async for e in client.read_stream("none")] == []


async def test_a_read_that_is_longer_than_a_page_ends_where_it_should(
    client: EventStoreClient,
) -> None:
    await client.append("a", [EventData("T", {"n": n}) for n in range(2_500)])
    assert [e.position async for e in client.read()] == list(range(1, 2_501))
    assert [e.position async for e in client.read(limit=1_700)] == list(range(1, 1_701))
    assert (
        len([e async for e in client.read_stream("a", direction="backward", limit=1_001)]) == 1_001
    )


@pytest.mark.parametrize("name", ["..", ".", "a/b", "%2F", "ż 🐢", "a?b#c", "*", "a+b", "order-1"])
async def test_any_stream_name_survives_its_url(client: EventStoreClient, name: str) -> None:
    await client.append(name, EventData("T"), expected_revision=NO_STREAM)
    [event] = [e async for e in client.read_stream(name)]
    assert event.stream_name == name
    assert await client.stream_head(name) == 0
    assert await client.stream_head(name + "x") is None
    assert [s.stream_name for s in await client.list_streams(prefix=name)] == [name]


async def test_a_retry_is_answered_as_the_first_time(client: EventStoreClient) -> None:
    events = [EventData("T"), EventData("T")]
    first = await client.append("a", events, idempotency_key="ż")
    again = await client.append("a", events, idempotency_key="ż", expected_revision=NO_STREAM)
    assert again == first._replace(replayed=True)
    assert (await client.head()).position == 2


async def test_several_streams_and_a_condition_are_stored_together_or_not_at_all(
    client: EventStoreClient,
) -> None:
    appends = [
        Append("a", [EventData("T", tags=["t"])]),
        Append("b", [EventData("T")] * 2, NO_STREAM),
    ]
    condition = AppendCondition(EventQuery(tags=["t"]))
    first, second = await client.append_many(appends, condition=condition)
    assert (first.position, second.position, second.revision) == (1, 3, 1)
    with pytest.raises(ConditionFailed) as failed:
        await client.append_many(appends, condition=condition)
    assert failed.value.position == 1
    with pytest.raises(RevisionConflict) as conflict:
        await client.append_many(appends)
    assert conflict.value.facts == {
        "stream": "b",
        "expected_revision": "no_stream",
        "current_revision": 1,
    }


async def test_refusals_carry_the_same_facts_as_in_the_library(
    client: EventStoreClient, store: EventStore
) -> None:
    event_id = uuid.uuid4()
    await client.append("a", EventData("T", event_id=event_id))
    for face in (client, store):
        with pytest.raises(DuplicateEventId) as duplicate:
            await face.append("b", EventData("T", event_id=event_id))
        assert duplicate.value.facts == {"event_id": str(event_id), "stream": "a", "position": 1}
        with pytest.raises(RevisionConflict) as conflict:
            await face.append("a", EventData("T"), expected_revision=5)
        assert conflict.value.current_revision == 0
        with pytest.raises(NotFound):
            await face.event(uuid.uuid4())
        with pytest.raises(InvalidInput):
            await face.append("", EventData("T"))
        with pytest.raises(InvalidInput):
            face.read(after=-1)
        with pytest.raises(LimitExceeded):
            await face.append("a", EventData("T", {"x": "x" * (1 << 20)}))


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_text_that_cannot_be_sent_or_stored_is_bad_input(text: str) -> None:
    async with EventStoreClient("http://127.0.0.1:9", retry_for=0) as client:
        with pytest.raises(InvalidInput):
            await client.stream_head(text)
        with pytest.raises(InvalidInput):
            await client.append(text, EventData("T"))
        if text == "\ud800":
            with pytest.raises(InvalidInput):
                await client.list_streams(prefix=text)
        with pytest.raises(InvalidInput):
            await anext(client.read(limit=-1))


async def test_lists_are_whole_however_long(client: EventStoreClient) -> None:
    await client.append_many([Append(f"s-{n:04}", [EventData(f"T{n % 2}")]) for n in range(1_200)])
    streams = await client.list_streams(limit=5_000)
    assert [stream.stream_name for stream in streams] == [f"s-{n:04}" for n in range(1_200)]
    assert len(await client.list_streams(limit=7)) == 7
    assert len(await client.list_streams(category="s", after="s-1189")) == 10
    assert await client.list_streams(category="other") == []
    assert [(c.name, c.events, c.last_position) for c in await client.categories()] == [
        ("s", 1_200, 1_200)
    ]
    assert [(t.name, t.events, t.last_position) for t in await client.event_types()] == [
        ("T0", 600, 1_199),
        ("T1", 600, 1_200),
    ]


@pytest.mark.parametrize("url", ["", "service", "ftp://service", "http://", "http://[::1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="URL"):
        EventStoreClient(url)
