"""Which settings the server gets, and which environment."""

from collections.abc import Mapping
from pathlib import Path

from .layout import PORT

RESERVED = frozenset({"data_directory", "listen_addresses", "port", "unix_socket_directories"})
"""Settings that make the server private and findable; a caller cannot override them."""

_DEFAULTS: tuple[tuple[str, str, int], ...] = (
    # name, value, first major version that has it
    ("cluster_name", "eventstore", 15),
    ("fsync", "on", 15),
    ("full_page_writes", "on", 15),
    ("synchronous_commit", "on", 15),
    ("shared_buffers", "128MB", 15),
    ("max_connections", "100", 15),
    # The first change of a page after a checkpoint logs the whole page: pglz, all that this build
    # has, takes 100 us for each, and made appends three times as dear. Fewer checkpoints do more.
    ("wal_compression", "off", 15),
    ("checkpoint_timeout", "15min", 15),
    ("max_wal_size", "2GB", 15),
    ("unix_socket_permissions", "0700", 15),
    ("timezone", "UTC", 15),
    ("log_timezone", "UTC", 15),
    ("log_destination", "stderr", 15),
    ("logging_collector", "off", 15),
    ("log_line_prefix", "%m [%p] ", 15),
    # The log is read for the reason of a failed start, so it has to be in one language.
    ("lc_messages", "C", 15),
    ("log_startup_progress_interval", "3s", 15),
    # A transaction that appended and is not committed stops all other appends.
    ("idle_in_transaction_session_timeout", "5min", 15),
    # A connection that its client left is noticed while a statement runs, not after it.
    ("client_connection_check_interval", "10s", 15),
)


def refuse_reserved(settings: Mapping[str, str]) -> None:
    """Raise ValueError for settings that the embedded server needs for itself."""
    taken = sorted(RESERVED.intersection(name.lower() for name in settings))
    if taken:
        raise ValueError(f"the embedded PostgreSQL sets {', '.join(taken)} itself")


def server_settings(major: int, run_dir: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    """All settings for a server of this major version; `overrides` win over the defaults."""
    settings = {name: value for name, value, first in _DEFAULTS if major >= first}
    settings.update((name.lower(), value) for name, value in overrides.items())
    settings.update(
        listen_addresses="",
        port=str(PORT),
        # A list of names in SQL quoting; unquoted, spaces at the end would be lost.
        unix_socket_directories='"{}"'.format(str(run_dir).replace('"', '""')),
    )
    return settings


def is_off(settings: Mapping[str, str], name: str) -> bool:
    """Whether a boolean setting is given as off, in one of PostgreSQL's spellings."""
    values = {key.lower(): value.strip().lower() for key, value in settings.items()}
    return values.get(name) in {"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"}


def server_command(postgres: Path, pgdata: Path, settings: Mapping[str, str]) -> list[str]:
    """The command line: settings given there also win over what ALTER SYSTEM stored."""
    command = [str(postgres), "-D", str(pgdata)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return command


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the service's environment a server needs to run, and nothing else.

    Of the rest some would change it behind our back (PGPORT, LC_MESSAGES, NOTIFY_SOCKET), and some
    may be a secret, which its processes and their core dumps would then hold as well.
    """
    kept = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD")
    return {name: environ[name] for name in kept if name in environ} | {"LC_ALL": "C"}
