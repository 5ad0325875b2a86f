"""A projection of orders, its tables, and a connection as a runner has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eventstore.projections.connection import read_json_as_values
from tests.fix_database import Pg, new_pg


@pytest.fixture
async def worker(dsn: str) -> AsyncIterator[Pg]:
    """A connection as a runner has it."""
    async with new_pg(dsn) as made:
        await read_json_as_values(made)
        yield made
