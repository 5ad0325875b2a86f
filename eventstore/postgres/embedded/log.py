"""The server's log file: one file, one old one, and the lines since the last start."""

import os
from pathlib import Path

from .account import Account

ROTATE_ABOVE = 10 * 1024 * 1024
"""In bytes; looked at only when the server starts."""

_TAIL_BYTES = 64 * 1024


class ServerLog:
    """Where the server's stderr goes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def rotate(self) -> None:
        """Make a log that has grown large the old one (`.1`), in place of the one before."""
        try:
            large = self.path.lstat().st_size > ROTATE_ABOVE
        except FileNotFoundError:
            return
        if large:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))

    def open(self, account: Account) -> int:
        """Open for appending and remember where this run begins; the caller closes it."""
        # The directory belongs to the server's user: a link there must not lead root elsewhere.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        handle = os.open(self.path, flags, 0o600)
        if account.switch:
            os.fchown(handle, account.uid, account.gid)
        self._start = os.fstat(handle).st_size
        return handle

    def tail(self, lines: int = 20) -> str:
        """The last lines since `open`; empty if there are none."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._start, size - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
