"""The schema: which revision is installed, which one this code needs, and how to get there."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TextIO

from eventstore.core.errors import InvalidInput, SchemaMismatch
from eventstore.postgres.dsn import check_dsn

REQUIRED_REVISION = "0006"
"""The migration that this code needs; a test compares it with the newest file."""

DEFAULT_SCHEMA = "eventstore"
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,40}").fullmatch


def check_schema_name(schema: str) -> str:
    """Return the name, or raise InvalidInput. It is put into SQL text, so it is kept plain."""
    if not _SCHEMA(schema):
        raise InvalidInput(f"a schema name is a-z, 0-9 and _, at most 41 characters: {schema!r}")
    return schema


def migrations_dir() -> Path:
    """Give the folder of migrations: in the wheel, else in the checkout."""
    packaged = Path(str(resources.files("eventstore"))) / "_migrations"
    checkout = Path(__file__).parents[2] / "migrations"
    for folder in (packaged, checkout):
        if (folder / "env.py").is_file():
            return folder
    raise SchemaMismatch(f"no migrations at {packaged} or {checkout}: install eventstore again")


def migrate(dsn: str, *, schema: str = DEFAULT_SCHEMA, sql_output: TextIO | None = None) -> None:
    """Bring the database to the newest revision; with `sql_output`, print the SQL instead.

    One transaction under a lock: of several at once one migrates, the others wait and find it
    done; a failure leaves everything as it was. `dsn` needs a user that may create roles, or a
    member of `<schema>_owner` where an administrator has made the roles.
    """
    # Only a migration pays for importing alembic and SQLAlchemy.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(output_buffer=sql_output) if sql_output is not None else Config()
    folder = migrations_dir()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("prepend_sys_path", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["dsn"] = dsn if sql_output is not None else check_dsn(dsn)
    config.attributes["schema"] = check_schema_name(schema)
    command.upgrade(config, "head", sql=sql_output is not None)


def check_revision(installed: str | None, *, schema: str = DEFAULT_SCHEMA) -> None:
    """Raise SchemaMismatch, with what to do, unless the installed revision is the one needed."""
    if installed == REQUIRED_REVISION:
        return
    option = "" if schema == DEFAULT_SCHEMA else f" --schema {schema}"
    if installed is None:
        problem = f"there is no event store in schema {schema!r}; run: eventstore migrate{option}"
    elif installed < REQUIRED_REVISION:
        problem = (
            f"the store's schema is at revision {installed}, older than this eventstore needs "
            f"({REQUIRED_REVISION}); run: eventstore migrate{option}"
        )
    else:
        problem = (
            f"the store's schema is at revision {installed}, newer than this eventstore knows "
            f"({REQUIRED_REVISION}); run: pip install --upgrade eventstore"
        )
    raise SchemaMismatch(problem)
