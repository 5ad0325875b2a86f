"""What `postmaster.pid` says, and whether the process in it is a server on our directory."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path

from .account import Account
from .errors import EmbeddedPostgresError
from .layout import Layout, replace_file
from .process import STOP_STEPS, end


class Readiness(Enum):
    """How far a server process is, by its own account."""

    SILENT = "has not written its postmaster.pid yet"
    STARTING = "starting up (crash recovery can take long)"
    READY = "accepts connections"


@dataclass(frozen=True)
class PostmasterFile:
    """The lines of `postmaster.pid` that matter here."""

    pid: int
    status: str


def parse_postmaster_pid(text: str) -> PostmasterFile | None:
    """Read `postmaster.pid`, which may be half written; None without a process id."""
    lines = text.splitlines()
    try:
        pid = int(lines[0])
    except (IndexError, ValueError):
        return None
    # A single-user server writes its pid negated; it never says that it is ready.
    return PostmasterFile(abs(pid), lines[7].strip() if len(lines) > 7 else "")


def readiness(text: str, pid: int) -> Readiness:
    """How far the server with this process id is, by the text of `postmaster.pid`."""
    file = parse_postmaster_pid(text)
    if file is None or file.pid != pid:
        return Readiness.SILENT
    return Readiness.READY if file.status in {"ready", "standby"} else Readiness.STARTING


def read_postmaster_pid(pgdata: Path) -> str:
    """The text of `postmaster.pid`; empty if there is none."""
    try:
        return (pgdata / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def live_postmaster(pgdata: Path) -> int | None:
    """Process id of a server that runs on this directory, or None.

    A pid file outlives a killed server, and its number may belong to another process by now.
    """
    file = parse_postmaster_pid(read_postmaster_pid(pgdata))
    if file is None:
        return None
    return file.pid if serves(file.pid, pgdata) else None


def serves(pid: int, pgdata: Path) -> bool:
    """Whether process `pid` is a PostgreSQL server (not a child of one) on this directory."""
    return (_proc_says if Path("/proc/self/cmdline").exists() else ps_says)(pid, pgdata)


def ps_says(pid: int, pgdata: Path) -> bool:
    """`serves` for systems without /proc."""
    done = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return command_serves(done.stdout.strip().split(" -D ", 1), pgdata, spaces_lost=True)


def _proc_says(pid: int, pgdata: Path) -> bool:
    process = Path("/proc", str(pid))
    try:
        argv = [os.fsdecode(part) for part in (process / "cmdline").read_bytes().split(b"\0")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    if not is_server_command(argv):
        return False
    try:
        # A server works in its data directory, whatever name it was started with.
        return (process / "cwd").samefile(pgdata)
    except PermissionError:
        # Another user's process, and root without the capability SYS_PTRACE (a container).
        return command_serves(argv, pgdata)
    except FileNotFoundError:
        return False


def is_server_command(argv: Sequence[str]) -> bool:
    """Whether this is the command of a server; its children have titles, `postgres: writer`."""
    return bool(argv) and Path(argv[0]).name in {"postgres", "postmaster"}


def command_serves(argv: Sequence[str], pgdata: Path, *, spaces_lost: bool = False) -> bool:
    """Whether a command line is that of a server on this directory.

    With `spaces_lost`, `argv` is the program and everything after `-D`, as `ps` prints it.
    """
    if not is_server_command(argv):
        return False
    if spaces_lost:
        return len(argv) == 2 and f"{argv[1]} ".startswith(f"{pgdata} ")
    return any(option == "-D" and Path(value) == pgdata for option, value in pairwise(argv))


def stop_leftover(pgdata: Path, report: Callable[[str], None]) -> None:
    """Stop the server that a killed service left behind, if there is one; waits for its end."""
    pid = live_postmaster(pgdata)
    if pid is None:
        return
    report(f"stopping the server (process {pid}) that an earlier service left behind")

    def send(number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # It ended just now, which is what is wanted.
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"a PostgreSQL server (process {pid}) runs on {pgdata} as another OS user;"
                " stop it as that user or as root"
            ) from error

    def ended(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while serves(pid, pgdata):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    if not end(send, ended, STOP_STEPS):
        raise EmbeddedPostgresError(f"PostgreSQL server {pid} on {pgdata} cannot be stopped")


def clear_stale_files(layout: Layout, account: Account) -> None:
    """Keep a recycled process id in old pid files from stopping the next start.

    The caller holds the lock and found no live server. PostgreSQL itself refuses to start while
    any process has the number, which is common in containers, where the numbers are few.
    """
    for path in (layout.socket, layout.socket.with_name(f"{layout.socket.name}.lock")):
        path.unlink(missing_ok=True)
    text = read_postmaster_pid(layout.pgdata)
    file = parse_postmaster_pid(text)
    if file is not None and _exists(file.pid):
        # Not removed: its other lines let PostgreSQL see that processes of the old server still
        # use its shared memory. A server takes its parent's number for a stale one.
        _, _, rest = text.partition("\n")
        replace_file(layout.pgdata / "postmaster.pid", f"{os.getpid()}\n{rest}", account)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
