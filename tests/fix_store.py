"""Open stores on the test's database."""

from collections.abc import AsyncIterator, Iterator

import pytest

from eventstore import EventStore
from eventstore.sync import SyncEventStore


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[EventStore]:
    """An open EventStore on a fresh database."""
    async with EventStore(dsn) as opened:
        yield opened


@pytest.fixture
def sync_store(dsn: str) -> Iterator[SyncEventStore]:
    """An open SyncEventStore on the same database."""
    with SyncEventStore(dsn) as opened:
        yield opened
