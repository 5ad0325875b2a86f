"""A log of 50,000 events, and how many rows and index entries a statement touches of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.fix_database import Pg, janitor, new_pg
from tests.fix_server import Server

EVENTS = 50_000

FILL = f"""
INSERT INTO eventstore.events (position, revision, recorded_at, event_id, stream_name, event_type,
                               data, metadata, tags)
SELECT n, row_number() OVER (PARTITION BY stream ORDER BY n) - 1, now(),
       ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
       stream, CASE WHEN n % 1000 = 500 THEN 'Rare' ELSE 'Common' END, '{{}}', '{{}}', tags
  FROM (SELECT n,
               CASE WHEN n % 2 = 0 THEN 'order-long' WHEN n % 1000 = 1 THEN 'audit-' || n % 7
                    ELSE 'order-' || n % 2000 END AS stream,
               CASE WHEN n % 4 = 0 THEN ARRAY['hot'] ELSE '{{}}'::text[] END
               || CASE WHEN n % 2500 = 8 THEN ARRAY['cold'] ELSE '{{}}'::text[] END AS tags
          FROM generate_series(1, {EVENTS}) AS n) AS made;
INSERT INTO eventstore.event_tags SELECT unnest(tags), position FROM eventstore.events;
"""

TOUCHED = """
SELECT sum(pg_stat_get_xact_tuples_returned(r.oid))::bigint FROM (
    SELECT oid FROM pg_class
     WHERE relnamespace = 'eventstore'::regnamespace AND relkind IN ('r', 'i')
) AS r
"""


@pytest.fixture(scope="session")
def large_log(server: Server, template: str) -> Iterator[str]:
    """The DSN of a database whose log has 50,000 events in 1,007 streams."""
    with janitor(server, "large_log", template) as database:
        dsn = server.database(database.dbname)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM ANALYZE eventstore.events, eventstore.event_tags")
        yield dsn


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
async def large(request: pytest.FixtureRequest, large_log: str) -> AsyncIterator[Pg]:
    """A connection to it, under each kind of plan that PostgreSQL may choose."""
    async with new_pg(large_log) as connection:
        await connection.execute(f"SET plan_cache_mode = {request.param}")
        yield connection


Touched = Callable[..., Awaitable[tuple[int, list[Any]]]]


@pytest.fixture
def touched(large: Pg) -> Touched:
    """Run a statement and take it back; give how many rows and index entries it has touched."""

    async def measure(statement: str, *arguments: Any) -> tuple[int, list[Any]]:
        prepared = await large.prepare(statement)
        transaction = large.transaction()
        await transaction.start()
        try:
            before = await large.fetchval(TOUCHED)
            rows = await prepared.fetch(*arguments)
            return await large.fetchval(TOUCHED) - before, rows
        finally:
            await transaction.rollback()

    return measure
