"""Two services and a psql user append to one store at once, while readers follow by polling."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import psycopg
import pytest

from eventstore.core.append import Appended
from tests.service.checker import Checker
from tests.service.load import HOT, Load
from tests.service.running import Service, facts, serving

APPENDS = 300


def append_by_sql(dsn: str, load: Load, first_mark: int) -> None:
    """Append one event after the other with eventstore.append(...), as a psql user would."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(APPENDS):
            stream, mark = f"hot-{number % HOT}", first_mark + number
            event_id = str(uuid.uuid4())
            row = connection.execute(
                "SELECT position, revision, replayed FROM eventstore.append"
                "(%s, 'Marked', %s::jsonb, event_id => %s::uuid)",
                [stream, json.dumps({"mark": mark}), event_id],
            ).fetchone()
            assert row is not None
            position, revision, replayed = row
            assert not replayed
            load.told.append(Appended(stream, revision, revision, position, (event_id,)))


@pytest.mark.slow
async def test_positions_and_revisions_are_dense_for_every_writer_and_reader(
    service: Service, data_dir: Path
) -> None:
    admin = facts(data_dir)["dsn"]
    writer = admin.replace("postgres@", "eventstore_service@")
    first, second, by_sql = Load(1), Load(2, first_mark=10**6), Load(3)
    with serving("--dsn", writer) as other:
        async with first.running(service.url, 8), second.running(other.url, 8):
            await asyncio.gather(
                asyncio.to_thread(append_by_sql, writer, by_sql, 2 * 10**6),
                first.until_told(APPENDS),
                second.until_told(APPENDS),
            )
        for load, url in ((first, service.url), (second, other.url)):
            await load.finish(url)
            assert not load.unknown

    for reader in (first, second):
        assert len(reader.seen) > APPENDS  # while the others appended, not afterwards
        together = Load(0)
        for load in (first, second, by_sql):
            together.told += load.told
            together.refused += load.refused
        together.seen = reader.seen
        await asyncio.to_thread(Checker().check, together, admin)
    assert len(by_sql.told) == APPENDS
