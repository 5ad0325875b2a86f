"""The one error of the embedded server."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot do what was asked; the message says why and what to do."""
