"""The one error of the embedded server."""

from eventstore.core.errors import EventStoreError


class EmbeddedPostgresError(EventStoreError):
    """The embedded server cannot run; the message says why and what to do."""
