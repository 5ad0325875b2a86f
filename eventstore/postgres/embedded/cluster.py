"""The database cluster in `pgdata/`: made once, complete or not at all."""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from .account import Account
from .binaries import Binaries
from .errors import EmbeddedPostgresError
from .layout import Layout, own_directory, remove_folder, replace_file
from .process import ServerProcess, describe_exit

SUPERUSER = "postgres"

HBA = """\
# Only the socket, which lies in a directory that only the server's OS user (and root) can enter.
local all all trust
"""


def initdb_options(major: int, *, sync: bool) -> list[str]:
    """Options of initdb: UTF8, byte order for text, checksums, superuser `postgres`."""
    options = [
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--data-checksums",
        "--no-instructions",
    ]
    if major >= 17:
        # Sorts like C, knows upper and lower case beyond ASCII, same on every system.
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    else:
        options += ["--no-locale"]
    return options if sync else [*options, "--no-sync"]


def cluster_version(pgdata: Path) -> str | None:
    """The major version in PG_VERSION; None if there is no cluster yet. Raises on anything else."""
    try:
        return (pgdata / "PG_VERSION").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise EmbeddedPostgresError(f"cannot read {pgdata / 'PG_VERSION'}: {error}") from error
    if not os.path.lexists(pgdata) or (pgdata.is_dir() and not any(pgdata.iterdir())):
        return None
    raise EmbeddedPostgresError(
        f"{pgdata} has no PG_VERSION in it, so it is no (or a damaged) database cluster;"
        " restore it from a backup, or move it away to start with an empty store"
    )


def wrong_version(pgdata: Path, made_by: str, binaries: Binaries) -> str:
    """The message for a cluster of another major version."""
    older = not made_by.isdecimal() or int(made_by) < binaries.major
    way = (
        f"dump with {made_by} and restore, or pass --dsn to use a server of version {made_by}"
        if older
        else f"use PostgreSQL {made_by} (a newer eventstore), or pass --dsn to use a server of it"
    )
    return f"{pgdata} was made by PostgreSQL {made_by}, {binaries.title}: {way}"


def ensure_cluster(
    layout: Layout,
    binaries: Binaries,
    account: Account,
    *,
    sync: bool,
    report: Callable[[str], None],
) -> None:
    """Make the cluster if there is none; refuse one of another major version.

    The caller holds the lock. What an interrupted initdb left behind is removed.
    """
    for leftover in layout.data_dir.glob("pgdata.new*"):
        report(f"removing {leftover}, left by an initialisation that was interrupted")
        remove_folder(leftover)
    made_by = cluster_version(layout.pgdata)
    if made_by is None:
        report(f"creating a PostgreSQL {binaries.major} cluster in {layout.pgdata}")
        _create(layout, binaries, account, sync=sync)
    elif made_by != str(binaries.major):
        raise EmbeddedPostgresError(wrong_version(layout.pgdata, made_by, binaries))


def _create(layout: Layout, binaries: Binaries, account: Account, *, sync: bool) -> None:
    # A name used once: an initdb that outlives its killed service cannot write into the next one.
    temporary = layout.pgdata.with_name(f"pgdata.new-{secrets.token_hex(4)}")
    try:
        own_directory(temporary, account)
        _initdb(temporary, binaries, account, sync=sync)
        replace_file(temporary / "pg_hba.conf", HBA, account)
        temporary.rename(layout.pgdata)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    handle = os.open(layout.data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _initdb(pgdata: Path, binaries: Binaries, account: Account, *, sync: bool) -> None:
    initdb = str(binaries.program("initdb"))
    command = [initdb, "-D", str(pgdata), *initdb_options(binaries.major, sync=sync)]
    with tempfile.TemporaryFile() as output:
        process = ServerProcess(command, account=account, output=output.fileno())
        try:
            # In steps: a signal that comes just before a wait begins does not end that wait.
            while not process.ended(0.2):
                pass
        except BaseException:  # Ctrl-C
            process.end([(signal.SIGKILL, 10.0)])
            raise
        if code := process.wait():
            output.seek(0)
            said = output.read().decode("utf-8", "replace").strip()
            raise EmbeddedPostgresError(
                f"initdb could not create a cluster below {pgdata.parent}"
                f" ({describe_exit(code)}):\n{said}"
            )
