"""An embedded PostgreSQL: a private server for one event store, started and stopped by its service.

Runs on Linux and macOS. Import it only when no DSN was given: it needs `fcntl` and `pwd`.
"""

from .errors import EmbeddedPostgresError
from .layout import default_data_dir
from .server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "default_data_dir"]
