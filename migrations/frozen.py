"""The one loader of frozen SQL files: what a release has run is never edited, only added to."""

import os
import re
from pathlib import Path

from alembic import context

SQL = Path(__file__).parent / "sql"
_NAME = re.compile(r"\beventstore(?=\b|_)")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,40}").fullmatch


def current_schema() -> str:
    """Give the store's schema. It also begins the names of its roles."""
    schema = context.config.attributes.get("schema") or os.environ.get(
        "EVENTSTORE_SCHEMA", "eventstore"
    )
    if not _SCHEMA(schema):
        raise ValueError(f"a schema name is a-z, 0-9 and _, at most 41 characters: {schema!r}")
    return str(schema)


def render(sql: str, schema: str) -> str:
    """Rewrite every name that begins with `eventstore` to the store's schema."""
    return sql if schema == "eventstore" else _NAME.sub(schema, sql)


def run_file(name: str) -> None:
    """Run (or, offline, print) a frozen file, as it is: no bind parameters, no escapes."""
    sql = render((SQL / name).read_text(encoding="utf-8"), current_schema())
    migration = context.get_context()
    if context.is_offline_mode():
        migration.impl.static_output(sql)
    else:
        assert migration.connection is not None  # noqa: S101 - always there when online
        migration.connection.execution_options(no_parameters=True).exec_driver_sql(sql)
