"""The REST face of the event store."""

from eventstore_api.app import create_app

__all__ = ["create_app"]
