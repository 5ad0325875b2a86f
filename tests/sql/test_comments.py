"""psql explains the store: everything in the schema has a comment."""

from __future__ import annotations

from tests.fix_database import Psql
from tests.fix_psql import Run

UNEXPLAINED = """
SELECT 'schema ' || nspname FROM pg_namespace
 WHERE nspname = 'eventstore' AND obj_description(oid, 'pg_namespace') IS NULL
UNION ALL
SELECT 'relation ' || relname FROM pg_class
 WHERE relnamespace = 'eventstore'::regnamespace AND relkind NOT IN ('i', 't')
   AND obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column ' || relname || '.' || attname
  FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
 WHERE relnamespace = 'eventstore'::regnamespace AND relkind NOT IN ('i', 't')
   AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
UNION ALL
SELECT 'function ' || proname FROM pg_proc
 WHERE pronamespace = 'eventstore'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
"""


def test_everything_in_the_schema_has_a_comment(sql: Psql) -> None:
    assert [row[0] for row in sql.execute(UNEXPLAINED)] == []


def test_describing_the_events_table_explains_its_columns(psql: Run) -> None:
    described = psql("\\d+ eventstore.events")
    assert "1-based, dense, in commit order" in described
    assert "0-based, dense, in position order" in described


def test_describing_the_functions_shows_how_to_append(psql: Run) -> None:
    described = psql("\\df+ eventstore.*")
    assert "SELECT eventstore.append('order-1', 'OrderPlaced'" in described
    assert "SELECT * FROM eventstore.read_stream('order-1')" in described
