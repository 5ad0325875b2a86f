"""Which OS user the server runs as, and what that user can reach."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError, account
from eventstore.postgres.embedded.account import Account, choose_account, first_refusal
from eventstore.postgres.embedded.binaries import find_binaries
from tests.embedded.conftest import Make, as_root, query
from tests.embedded.service import Service


def nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)


def owner(path: Path) -> int:
    return path.stat().st_uid


@as_root
@pytest.mark.one_postgres
def test_root_gives_the_server_to_another_user_and_keeps_the_directory(
    make: Make, room: Path
) -> None:
    data_dir = room / "new"
    with make(data_dir, os_user="nobody") as server:
        uid = nobody().uid
        assert owner(data_dir) == owner(data_dir / "eventstore.lock") == 0
        assert data_dir.stat().st_mode & 0o777 == 0o711
        for path in ("pgdata", "pgdata/pg_hba.conf", "run", "log", "log/postgresql.log"):
            assert owner(data_dir / path) == uid
        assert server.pid is not None
        status = Path("/proc", str(server.pid), "status")
        if status.exists():
            assert f"Uid:\t{uid}\t{uid}\t{uid}" in status.read_text()
            assert "Groups:\t \n" in status.read_text()


@as_root
@pytest.mark.one_postgres
def test_data_stays_with_its_user_unless_another_is_named(make: Make) -> None:
    server = make(os_user="nobody")
    with server:
        query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    pgdata = server.data_dir / "pgdata"
    assert owner(pgdata) == owner(pgdata / "base") == nobody().uid
    assert choose_account(None, pgdata).name == "nobody"
    with make() as again:
        assert query(again, "SELECT answer FROM kept") == "42"
    assert owner(pgdata) == nobody().uid


@as_root
def test_an_ordinary_user_runs_its_own_server(
    make: Make, room: Path, launch: Callable[..., Service], bin_dir: Path | None
) -> None:
    me = nobody()
    if bin_dir is None and first_refusal(me, [("x", EmbeddedPostgres(room).psql())]):
        pytest.skip("the virtual environment lies in a private directory")
    home = room / "home"
    home.mkdir()
    os.chown(home, me.uid, me.gid)
    service = launch(home / "data", uid=me.uid)
    service.ready()
    assert owner(home / "data" / "pgdata") == owner(home / "data" / "eventstore.lock") == me.uid
    assert (home / "data").stat().st_mode & 0o777 == 0o700
    service.stop()
    # Root takes it over as the same user, who can have it back.
    with make(home / "data") as server:
        assert query(server, "SELECT 1") == "1"
    service = launch(home / "data", uid=me.uid)
    service.ready()
    service.stop()


@as_root
@pytest.mark.one_postgres
def test_data_of_a_user_that_this_machine_does_not_have_is_given_to_one_that_it_has(
    make: Make,
) -> None:
    server = make()
    pgdata = server.data_dir / "pgdata"
    for path in (pgdata, *pgdata.rglob("*")):
        os.chown(path, 54321, 54321)
    with server:
        assert query(server, "SELECT 1") == "1"
    assert owner(pgdata) == owner(pgdata / "base") == choose_account(None, pgdata).uid != 54321


@as_root
@pytest.mark.one_postgres
def test_an_ordinary_user_is_told_what_it_may_not_use(
    make: Make, room: Path, launch: Callable[..., Service]
) -> None:
    uid = nobody().uid
    assert launch(room / "new", uid=uid).outcome() == (
        "error",
        f"cannot create the data directory {room}/new: Permission denied ({room}/new);"
        " choose another --data-dir",
    )
    (room / "readonly").mkdir()
    word, text = launch(room / "readonly", uid=uid).outcome()
    assert word == "error"
    assert f"{room}/readonly is not writable for OS user nobody" in text
    server = make()
    server.data_dir.chmod(0o777)
    word, text = launch(server.data_dir, uid=uid).outcome()
    assert word == "error"
    assert "belongs to the OS user with uid" in text
    assert "start as that user or choose another --data-dir" in text


@as_root
def test_a_directory_that_the_user_cannot_enter_is_named_and_left_as_it_is(room: Path) -> None:
    private = room / "private"
    private.mkdir(mode=0o700)
    for data_dir in (private / "a" / "b", room / "link" / "data"):
        if not (room / "link").is_symlink():
            (room / "link").symlink_to(private)
        server = EmbeddedPostgres(data_dir, os_user="nobody")
        refusing = private if data_dir.is_relative_to(private) else room / "link"
        with pytest.raises(EmbeddedPostgresError) as raised:
            server.start()
        assert str(raised.value) == (
            f"PostgreSQL runs as OS user nobody, who cannot enter {refusing};"
            " choose another --data-dir such as /var/lib/eventstore"
        )
    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


@as_root
@pytest.mark.parametrize(
    ("os_user", "message"),
    [
        ("no-such-user", "there is no OS user 'no-such-user'"),
        ("root", "PostgreSQL does not run as root, and OS user 'root' is root"),
    ],
)
def test_a_user_that_cannot_run_the_server_is_refused(
    room: Path, os_user: str, message: str
) -> None:
    with pytest.raises(EmbeddedPostgresError, match=message):
        EmbeddedPostgres(room / "data", os_user=os_user).start()
    assert not (room / "data").exists()


def test_only_root_can_name_another_user(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: nobody().uid)
    assert not choose_account("nobody", room / "data").switch
    with pytest.raises(EmbeddedPostgresError, match="only root can run PostgreSQL as OS user 'x'"):
        choose_account("x", room / "data")


def test_a_user_is_created_if_there_is_none_or_it_says_why_not(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = room / "arguments"
    useradd = room / "useradd"
    useradd.write_text(f'#!/bin/sh\necho "$@" > {arguments}\necho "no luck" >&2\nexit 1\n')
    useradd.chmod(0o755)
    monkeypatch.setenv("PATH", str(room))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(account, "PREFERRED", ("no-such-user",))
    with pytest.raises(EmbeddedPostgresError) as raised:
        choose_account(None, room / "data")
    assert str(raised.value) == (
        "PostgreSQL does not run as root, and the system user 'no-such-user' could not be created"
        " for it: no luck. Name an existing one with --os-user, or run as an ordinary user"
    )
    assert arguments.read_text() == (
        "--system --no-create-home --shell /usr/sbin/nologin no-such-user\n"
    )
    useradd.unlink()
    with pytest.raises(EmbeddedPostgresError, match="No such file or directory"):
        choose_account(None, room / "data")


@as_root
def test_the_first_refusing_path_is_found_by_the_user_itself(room: Path) -> None:
    secret = room / "with space"
    secret.mkdir(mode=0o700)
    (secret / "file").touch()
    me = nobody()
    assert first_refusal(me, []) is None
    assert first_refusal(me, [("x", room), ("r", room)]) is None
    assert first_refusal(me, [("x", room), ("x", secret), ("r", secret / "file")]) == secret
    assert first_refusal(me, [("r", secret / "file")]) == secret / "file"


@as_root
def test_programs_given_that_the_user_cannot_use_are_refused(room: Path) -> None:
    private = room / "private"
    private.mkdir(mode=0o700)
    (private / "bin").symlink_to(find_binaries(None).bin_dir)
    server = EmbeddedPostgres(room / "data", bin_dir=private / "bin", os_user="nobody")
    refused = f"nobody, who cannot use {private}/bin/postgres"
    with pytest.raises(EmbeddedPostgresError, match=refused):
        server.start()
