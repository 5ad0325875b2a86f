"""Processes of PostgreSQL, the server and initdb: started, watched and ended."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

from .account import Account
from .errors import EmbeddedPostgresError
from .settings import server_environment

STOP_STEPS: tuple[tuple[signal.Signals, float], ...] = (
    (signal.SIGINT, 30.0),  # fast: sessions are ended, a checkpoint is written
    (signal.SIGQUIT, 10.0),  # immediate: the next start does crash recovery
    (signal.SIGKILL, 10.0),
)
"""Signals and how many seconds each is given."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before exec so that the kernel sends it SIGINT when we are gone.

    None where the system has no such thing. The signal is sent when the *thread* that started the
    child ends, so that thread has to stay. The change of user comes first: it clears the request.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Everything is looked up here: between fork and exec the child must not take locks.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the request.
            os._exit(1)

    return ask


def end(
    send: Callable[[signal.Signals], None],
    ended: Callable[[float], bool],
    steps: Sequence[tuple[signal.Signals, float]],
) -> bool:
    """Send each signal in turn until `ended(seconds)` says that the process is gone."""
    for number, seconds in steps:
        send(number)
        if ended(seconds):
            return True
    return False


def describe_exit(code: int) -> str:
    """An exit code in words: `exit code 1`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class ServerProcess:
    """A running server or initdb, with a thread that starts it and waits for its end.

    The thread is what makes the server end with the service (`die_with_parent`) and not with
    whatever thread called `start()`: it lives exactly as long as the server. And a Ctrl-C, which
    only ever interrupts the main thread, cannot leave a process half started.
    """

    def __init__(self, command: Sequence[str], *, account: Account, output: int) -> None:
        """Start the command with its output going to the descriptor `output`."""
        started: Future[subprocess.Popen[bytes]] = Future()
        self._code: Future[int] = Future()

        def live() -> None:
            try:
                process = _spawn(command, account, output)
            except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
                started.set_exception(error)
                return
            started.set_result(process)
            self._code.set_result(process.wait())

        # A daemon: a service that ends without stop() must not hang on its server.
        thread = threading.Thread(target=live, name="embedded-postgres", daemon=True)
        try:
            thread.start()
            self._process = started.result()
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedPostgresError(f"cannot run {command[0]}: {error}") from error
        except BaseException:  # Ctrl-C
            started.result().kill()
            self._code.result()
            raise

    @property
    def pid(self) -> int:
        """Process id of the server, also after its end."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: a signal), or None while it runs."""
        return self._code.result() if self._code.done() else None

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        return self._code.result()

    def ended(self, seconds: float) -> bool:
        """Wait for the end at most this long; say whether it came."""
        return bool(wait([self._code], seconds).done)

    def end(self, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        """End the server, first gently; does nothing if it has ended."""
        if self.poll() is None and not end(self._process.send_signal, self.ended, steps):
            raise EmbeddedPostgresError(f"PostgreSQL server {self.pid} cannot be stopped")


def _spawn(command: Sequence[str], account: Account, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=server_environment(os.environ),
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
        umask=0o077,
        # Ctrl-C in a terminal is for the service, which then stops the server.
        start_new_session=True,
        # Safe beside threads: it calls prctl and getppid, and takes no lock.
        preexec_fn=die_with_parent(),  # noqa: PLW1509
    )
