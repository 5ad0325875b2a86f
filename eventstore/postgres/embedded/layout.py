"""The data directory: which paths it has, and which paths it cannot have."""

import errno
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .account import Account
from .errors import EmbeddedPostgresError

PORT = 5432
"""No TCP port is opened; the number is only a part of the socket's name."""

SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 107 if sys.platform.startswith("linux") else 103
"""In bytes: `sockaddr_un.sun_path` without its final NUL."""


@dataclass(frozen=True)
class Layout:
    """Every path below one data directory (absolute; symbolic links are kept)."""

    data_dir: Path

    @property
    def pgdata(self) -> Path:
        return self.data_dir / "pgdata"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def socket(self) -> Path:
        return self.run_dir / SOCKET_NAME

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "log"

    @property
    def log(self) -> Path:
        return self.log_dir / "postgresql.log"

    @property
    def lock(self) -> Path:
        return self.data_dir / "eventstore.lock"


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where data goes when no --data-dir is given.

    /var/lib/eventstore for root; else $XDG_DATA_HOME/eventstore, ~/.local/share/eventstore, or
    ~/Library/Application Support/eventstore on macOS. Nothing is created.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/eventstore")
    variables = os.environ if environ is None else environ
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "eventstore"
    configured = variables.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is invalid and has to be ignored.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".local" / "share"
    return base / "eventstore"


def refuse_unusable_path(layout: Layout) -> None:
    """Raise if PostgreSQL or its clients could not use this path, wherever it may be."""
    text = os.fspath(layout.data_dir)
    if "," in text or "\n" in text or "\r" in text:
        raise EmbeddedPostgresError(
            f"the path {text!r} has a comma or a line break in it, which PostgreSQL clients cannot"
            " use as the directory of a socket; choose another --data-dir"
        )
    length = len(os.fsencode(layout.socket))
    if length > LONGEST_SOCKET_PATH:
        raise EmbeddedPostgresError(
            f"the path of the server's socket, {layout.socket}, has {length} bytes;"
            f" this system allows {LONGEST_SOCKET_PATH}."
            f" Choose a --data-dir that is shorter by at least {length - LONGEST_SOCKET_PATH} bytes"
        )


def create_data_dir(layout: Layout, account: Account) -> None:
    """Create the data directory where it is missing; an existing one keeps its permissions.

    Directories created for another OS user let that user (and everyone) pass through, not list.
    """
    path = layout.data_dir
    try:
        if not path.is_dir() and os.path.lexists(path):
            raise EmbeddedPostgresError(f"{path} is not a directory; choose another --data-dir")
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
            if account.switch:
                directory.chmod(0o711)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"cannot create the data directory {path}: {error.strerror} ({error.filename});"
            " choose another --data-dir"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise EmbeddedPostgresError(
            f"the data directory {path} is not writable for OS user {account.service_name};"
            " give that user the directory or choose another --data-dir"
        )


def own_directory(path: Path, account: Account) -> None:
    """Make `path` a directory of the server's OS user, 0700; never follows a symbolic link."""
    path.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, 0o700)
        if account.switch:
            os.fchown(handle, account.uid, account.gid)
    finally:
        os.close(handle)


def replace_file(path: Path, text: str, account: Account) -> None:
    """Write a file of the server's OS user, 0600, in one step.

    The directory may belong to that user while this process is root, so an existing file or
    link is replaced, never written through.
    """
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
        if account.switch:
            os.fchown(file.fileno(), account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def remove_folder(folder: Path) -> None:
    """Remove a folder in which somebody else may still work, or remove things too.

    An initdb whose service was killed clears up after itself, and needs a moment for it.
    """
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:  # the other one was faster
            continue
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
