"""An event that Python cannot read, which earlier releases let psql store, harms nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventstore import EventData, EventStore, UnreadableEvent
from eventstore.client import SyncEventStoreClient
from eventstore.client.wire import decode_lines
from eventstore.sync import SyncEventStore
from tests.cli.conftest import Cli
from tests.fix_database import Psql
from tests.fix_service import served

pytestmark = pytest.mark.one_postgres

DEEP = "[" * 3_000 + '"}],{\\""' + "]" * 3_000
LONG = "[" + "9" * 5_000 + "]"
PLANT = """
INSERT INTO eventstore.events (position, revision, recorded_at, event_id, stream_name, event_type,
                               data, metadata, tags)
VALUES (%s, %s, now(), gen_random_uuid(), 'bad', 'T', %s::jsonb, '{}', '{}')
"""


@pytest.fixture
def store(sql: Psql, sync_store: SyncEventStore) -> SyncEventStore:
    """A store with a good event, two that cannot be read, and a good one."""
    sync_store.append("good", EventData("T", 1))
    for number, data in enumerate((DEEP, LONG)):
        sql.execute(PLANT, [2 + number, number, data])
    sync_store.append("good", EventData("T", 4))
    return sync_store


@pytest.fixture
def client(dsn: str) -> Iterator[SyncEventStoreClient]:
    with (
        served(EventStore(dsn)) as (host, port),
        SyncEventStoreClient(f"http://{host}:{port}") as made,
    ):
        yield made


def test_every_reader_goes_past_it_and_is_told_where_it_is_when_it_looks(
    store: SyncEventStore, client: SyncEventStoreClient
) -> None:
    for reader in (store, client):
        events = list(reader.read())
        assert [event.position for event in events] == [1, 2, 3, 4]
        assert (events[0].data, events[3].data) == (1, 4)
        for position, path in ((2, "$.data"), (3, "$.data")):
            with pytest.raises(UnreadableEvent, match=f"at position {position}") as told:
                print(events[position - 1].data)
            assert (told.value.position, told.value.path) == (position, path)
            assert events[position - 1].metadata == {}
    following = client.follow()
    assert [next(following).position for _ in range(4)] == [1, 2, 3, 4]


def test_it_is_exported_read_and_verified(store: SyncEventStore, dsn: str) -> None:
    run = Cli(EVENTSTORE_DSN=dsn)
    for command in ("export", "read"):
        assert len(run(command).out.splitlines()) == 4
    assert "4 events" in run("verify").out
    store.close()


def test_a_deep_event_is_read_as_it_was_written() -> None:
    deep = '{"a":' * 2_000 + '"x,}]\\"y"' + "}" * 2_000
    line = (
        '{"position":7,"stream":"a,\\"b","revision":0,"id":"0193b6a1-7c52-7e59-9d2e-6d1f7b0c5a42",'
        f'"type":"T","data":{deep},"metadata":{{"m":[1,2]}},"tags":["a,b","c"],'
        '"recorded_at":"2026-12-01T10:00:00.000000+00:00"}'
    )
    [event] = decode_lines(line.encode())
    assert (event.data_json, event.metadata_json) == (deep, '{"m":[1,2]}')
    assert (event.position, event.stream_name, event.tags) == (7, 'a,"b', ["a,b", "c"])
