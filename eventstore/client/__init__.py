"""The store over HTTP, with the verbs and the errors of EventStore. Needs no database driver."""

from eventstore.client.client import EventStoreClient
from eventstore.client.commands import CommandAnswer
from eventstore.client.sync import SyncEventStoreClient

__all__ = ["CommandAnswer", "EventStoreClient", "SyncEventStoreClient"]
