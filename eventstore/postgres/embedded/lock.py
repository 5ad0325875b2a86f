"""The lock of a data directory: held by one service process for as long as it lives."""

import fcntl
import os
import re
import socket
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedPostgresError


@dataclass(frozen=True)
class Owner:
    """Who holds the lock, as written into the lock file."""

    pid: int
    command: str
    host: str


def describe_command(argv: Sequence[str]) -> str:
    """Name a program and its subcommand: `eventstore serve`. Options may be secret, so no more."""
    program = Path(argv[0]) if argv and argv[0] else Path("python")
    if program.name == "__main__.py":
        program = program.parent
    name = "python" if program.name in ("", "-c", "-m") else program.name
    subcommand = argv[1] if len(argv) > 1 and re.fullmatch(r"[a-z][a-z-]*", argv[1]) else ""
    return f"{name} {subcommand}".strip()


def format_owner(owner: Owner) -> str:
    """The text of the lock file: pid, command and host, a line each."""
    return f"{owner.pid}\n{owner.command}\n{owner.host}\n"


def parse_owner(text: str) -> Owner | None:
    """Read the text of a lock file; None if it is empty or not (yet) complete."""
    lines = text.splitlines()
    if len(lines) != 3 or not lines[0].isdecimal():
        return None
    return Owner(int(lines[0]), lines[1], lines[2])


def in_use(data_dir: Path, owner: Owner | None, here: str) -> str:
    """The message for a data directory that another process has."""
    if owner is None:
        who = "another process"
    else:
        who = f"process {owner.pid} ({owner.command})"
        # A container that shares the volume counts its processes by itself.
        who += f" on host {owner.host}" if owner.host != here else ""
    return f"{data_dir} is in use by {who}; stop it or choose another --data-dir"


class DirectoryLock:
    """An flock: the kernel releases it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock and write this process into the file; raises at once if it is taken."""
        host = socket.gethostname()
        # 0600: whoever can read the file can also lock it, and so keep the service from starting.
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            owner = Owner(os.getpid(), describe_command(sys.argv), host)
            os.pwrite(handle, os.fsencode(format_owner(owner)), 0)
        except BlockingIOError:
            text = os.pread(handle, 4096, 0).decode("utf-8", "replace")
            os.close(handle)
            message = in_use(self.path.parent, parse_owner(text), host)
            raise EmbeddedPostgresError(message) from None
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        _held.add(self)

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held."""
        handle, self._handle = self._handle, None
        if handle is not None:
            _held.discard(self)
            os.close(handle)


_held: "weakref.WeakSet[DirectoryLock]" = weakref.WeakSet()


def _forget_in_child() -> None:
    # A forked worker shares the lock. If it outlived the service, the directory would stay locked
    # by a process that does not look after the server. Closing the copy leaves ours locked.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget_in_child)
