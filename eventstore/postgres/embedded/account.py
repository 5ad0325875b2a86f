"""The OS user that the server runs as. PostgreSQL refuses to run as root."""

import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedPostgresError

PREFERRED = ("eventstore", "postgres")
"""Looked for in this order when root runs the service; the first is created if none exists."""


@dataclass(frozen=True)
class Account:
    """An OS user, and whether this process has to change to it (`switch`: it runs as root)."""

    name: str
    uid: int
    gid: int
    switch: bool

    @property
    def user(self) -> int | None:
        """For `subprocess`: None leaves the user as it is."""
        return self.uid if self.switch else None

    @property
    def group(self) -> int | None:
        return self.gid if self.switch else None

    @property
    def extra_groups(self) -> list[int] | None:
        return [] if self.switch else None

    @property
    def service_name(self) -> str:
        """Name of the OS user that this process itself runs as."""
        return "root" if self.switch else self.name


def choose_account(os_user: str | None, pgdata: Path) -> Account:
    """Say who runs the server; as root this creates the user `eventstore` if there is no other.

    An ordinary user runs it as itself. Root takes `os_user`, else the owner of an existing
    cluster (so that it stays usable for the user who made it), else the first of `PREFERRED`.
    """
    if os.geteuid() != 0:
        return _ordinary(os_user, pgdata)
    if os_user is not None:
        entry = _lookup(os_user)
        if entry is None:
            raise EmbeddedPostgresError(f"there is no OS user {os_user!r}; name another --os-user")
    else:
        entry = _owner(pgdata) or _first_of(PREFERRED) or _create(PREFERRED[0])
    if entry.pw_uid == 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and OS user {entry.pw_name!r} is root;"
            " choose another --os-user"
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)


def _ordinary(os_user: str | None, pgdata: Path) -> Account:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        # Containers run with any uid. initdb wants a name for it, and says so in its output.
        name = str(uid)
    if os_user is not None and os_user != name:
        raise EmbeddedPostgresError(
            f"only root can run PostgreSQL as OS user {os_user!r}; this process runs as {name}:"
            " leave out --os-user, or start as root"
        )
    owner = _stat_uid(pgdata)
    if owner not in (None, uid):
        raise EmbeddedPostgresError(
            f"{pgdata} belongs to the OS user with uid {owner}, this process runs as {name}"
            f" (uid {uid}); start as that user or choose another --data-dir"
        )
    return Account(name, uid, os.getegid(), switch=False)


def _stat_uid(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        # Missing, or out of reach; the latter is reported when the directory is used.
        return None


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _owner(pgdata: Path) -> pwd.struct_passwd | None:
    uid = _stat_uid(pgdata)
    if not uid:
        return None
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        # A volume from another machine; the files are given to a user of this one.
        return None


def _first_of(names: Sequence[str]) -> pwd.struct_passwd | None:
    return next((entry for entry in map(_lookup, names) if entry is not None), None)


def _create(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
    except OSError as error:
        output = f"{error.strerror} ({error.filename})"
    # Looked up whatever useradd said: another service may have created the user meanwhile.
    entry = _lookup(name)
    if entry is None:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and the system user"
            f" {name!r} could not be created for it: {output}."
            " Name an existing one with --os-user, or run as an ordinary user"
        )
    return entry


def first_refusal(account: Account, wanted: Sequence[tuple[str, Path]]) -> Path | None:
    """Return the first path that the server's OS user may not use, or None.

    `wanted` pairs "x" (enter or execute) or "r" (read) with a path. A process of that user looks
    itself: ACLs, mount options and network file systems decide as well, not only mode bits.
    """
    script = 'while [ $# -gt 0 ]; do test "-$1" "$2" || { printf %s "$2"; exit 1; }; shift 2; done'
    arguments = [os.fspath(part) for pair in wanted for part in pair]
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *arguments],
        capture_output=True,
        check=False,
        cwd="/",
        user=account.user,
        group=account.group,
        extra_groups=account.extra_groups,
    )
    if done.returncode == 0:
        return None
    return Path(os.fsdecode(done.stdout) or arguments[1])


def require_way_in(account: Account, path: Path) -> None:
    """Raise unless the server's OS user can enter every existing directory down to `path`."""
    ways = [*reversed(path.parents), path]
    resolved = path.resolve()
    ways += [p for p in (*reversed(resolved.parents), resolved) if p not in ways]
    try:
        refusing = first_refusal(account, [("x", p) for p in ways if p.is_dir()])
    except FileNotFoundError:
        raise
    except OSError as error:  # EPERM without the capability, EINVAL in a user namespace.
        raise EmbeddedPostgresError(_cannot_switch(account, error)) from error
    if refusing is not None:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as OS user {account.name}, who cannot enter {refusing};"
            " choose another --data-dir such as /var/lib/eventstore"
        )


def _cannot_switch(account: Account, error: OSError) -> str:
    return (
        f"this process runs as root but may not change to OS user {account.name}"
        f" ({error.strerror}); give it the capabilities SETUID and SETGID,"
        " or run as an ordinary user"
    )


def give(account: Account, directory: Path, report: Callable[[str], None]) -> None:
    """Make the server's OS user the owner of a whole existing directory; follows no links."""
    if not account.switch or directory.stat().st_uid == account.uid:
        return
    report(f"giving {directory} to OS user {account.name}")
    for _, directories, files, handle in os.fwalk(directory, follow_symlinks=False):
        for name in (*directories, *files):
            os.chown(name, account.uid, account.gid, dir_fd=handle, follow_symlinks=False)
    # Last, so that an interrupted change is taken up again by the next start.
    os.chown(directory, account.uid, account.gid, follow_symlinks=False)
