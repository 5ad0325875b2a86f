"""Alembic's entry: one transaction under one lock, as the store's owner, for any schema name.

Configured by `config.attributes` (`dsn`, `schema`), else by EVENTSTORE_DSN and EVENTSTORE_SCHEMA.
"""

import os

import psycopg
import sqlalchemy as sa
from alembic import context
from frozen import current_schema, run_file

MIGRATION_LOCK = 0x65766E74  # "evnt": any number, as long as every release takes the same


def configure(**options: object) -> None:
    context.configure(
        target_metadata=None,
        version_table="alembic_version",
        version_table_schema=current_schema(),
        **options,  # type: ignore[arg-type]
    )


def run_offline() -> None:
    """Print the SQL instead of running it."""
    configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        run_file("bootstrap.sql")
        context.run_migrations()


def run_online() -> None:
    """Migrate. Others that start at the same time wait here, then find nothing left to do."""
    dsn = context.config.attributes.get("dsn") or os.environ["EVENTSTORE_DSN"]
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, application_name="eventstore migrate"),
        poolclass=sa.NullPool,
    )
    with engine.connect() as connection:
        configure(connection=connection)
        with context.begin_transaction():
            connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(:lock, hashtext(:schema))"),
                {"lock": MIGRATION_LOCK, "schema": current_schema()},
            )
            run_file("bootstrap.sql")
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
