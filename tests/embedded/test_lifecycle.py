"""Start, stop and use of a server."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import psycopg
import pytest

from eventstore.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from eventstore.postgres.embedded.account import choose_account
from eventstore.postgres.embedded.log import ROTATE_ABOVE
from eventstore.postgres.embedded.process import ServerProcess, describe_exit, end
from tests.embedded.conftest import Make, query
from tests.embedded.service import environment


@pytest.mark.one_postgres
def test_the_constructor_touches_nothing(make: Make, room: Path) -> None:
    server = make(room / "none")
    assert server.poll() is None
    assert server.pid is None
    assert list(room.iterdir()) == []


def test_a_restart_keeps_the_data(make: Make) -> None:
    server = make()
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert server.poll() is None
    server.start()
    assert query(server, "SELECT answer FROM kept") == "42"


def test_every_client_connects_with_the_same_dsn_also_with_spaces_in_the_path(
    make: Make, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    server = make(room / "a data + dir & 100%")
    with server:
        dsn = server.dsn()
        with psycopg.connect(dsn) as connection:
            row = connection.execute("SELECT current_user::text, current_database()").fetchone()
        assert row == ("postgres", "postgres")

        async def with_asyncpg() -> object:
            connection = await asyncpg.connect(dsn)
            try:
                return await connection.fetchval("SELECT current_setting('server_version_num')")
            finally:
                await connection.close()

        assert str(asyncio.run(with_asyncpg())).startswith(str(server.major))
        query(server, 'CREATE ROLE "a@b/c" LOGIN')
        query(server, 'CREATE DATABASE "x y?"')
        other = server.dsn(user="a@b/c", dbname="x y?")
        with psycopg.connect(other) as connection:
            row = connection.execute("SELECT current_user::text, current_database()").fetchone()
        assert row == ("a@b/c", "x y?")


def test_a_new_cluster_is_private_utf8_and_has_checksums(make: Make, room: Path) -> None:
    data_dir = room / "missing" / "new"
    with make(data_dir) as server:
        settings = query(
            server,
            "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE"
            " name IN ('checkpoint_timeout', 'data_checksums', 'listen_addresses', 'max_wal_size',"
            " 'server_encoding', 'synchronous_commit', 'wal_compression')",
        )
        assert settings == (
            "checkpoint_timeout=900 data_checksums=on listen_addresses= max_wal_size=2048"
            " server_encoding=UTF8 synchronous_commit=on wal_compression=off"
        )
        assert query(server, "SELECT type, auth_method FROM pg_hba_file_rules") == "local|trust"
        assert query(server, "SELECT 'B' < 'a' COLLATE \"default\"") == "t"
        for name in ("pgdata", "run", "log"):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o700
        assert (data_dir / "run" / ".s.PGSQL.5432").is_socket()


@pytest.mark.one_postgres
def test_the_server_has_a_session_of_its_own_and_no_descriptor_of_ours(make: Make) -> None:
    with make() as server:
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid
        descriptors = Path("/proc", str(server.pid), "fd")
        if not descriptors.exists():
            pytest.skip("no /proc here")
        targets = {str(path.readlink()) for path in descriptors.iterdir()}
        assert str(server.data_dir / "eventstore.lock") not in targets
        assert (descriptors / "0").readlink() == Path("/dev/null")


@pytest.mark.one_postgres
def test_stopping_twice_or_before_a_start_does_nothing(make: Make) -> None:
    server = make()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(EmbeddedPostgresError, match="not started"):
        server.wait()
    with pytest.raises(EmbeddedPostgresError, match="not started"):
        server.restart_after_crash()


@pytest.mark.one_postgres
def test_starting_twice_is_refused_and_leaves_the_server_alone(make: Make) -> None:
    server = make()
    server.start()
    with pytest.raises(EmbeddedPostgresError, match="already started"):
        server.start()
    with pytest.raises(EmbeddedPostgresError, match="still runs"):
        server.restart_after_crash()
    assert query(server, "SELECT 1") == "1"


@pytest.mark.one_postgres
def test_wait_and_poll_tell_the_exit_code_of_a_server_that_ended_by_itself(make: Make) -> None:
    server = make()
    server.start()
    assert server.poll() is None
    assert server.pid is not None
    os.kill(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert server.poll() == 0
    assert server.pid is None


@pytest.mark.one_postgres
def test_settings_of_the_caller_win_and_those_that_keep_it_private_are_refused(make: Make) -> None:
    with make(settings={"Max_Connections": "7"}) as server:
        assert query(server, "SHOW max_connections") == "7"
    with pytest.raises(ValueError, match="sets listen_addresses, port itself"):
        EmbeddedPostgres(Path("x"), settings={"port": "1", "LISTEN_ADDRESSES": "*"})


@pytest.mark.one_postgres
def test_a_server_that_does_not_start_shows_the_end_of_its_log(make: Make) -> None:
    server = make(settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedPostgresError, match="did not start") as raised:
        server.start()
    text = str(raised.value)
    assert "exit code 1" in text
    assert str(server.log_path) in text
    assert 'unrecognized configuration parameter "no_such_setting"' in text
    # The directory is free again.
    with make() as other:
        assert query(other, "SELECT 1") == "1"


@pytest.mark.one_postgres
def test_a_large_log_becomes_the_old_one_at_the_next_start(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    old = server.log_path.with_name("postgresql.log.1")
    assert not old.exists()
    os.truncate(server.log_path, ROTATE_ABOVE + 1)
    server.start()
    server.stop()
    assert old.stat().st_size == ROTATE_ABOVE + 1
    assert 0 < server.log_path.stat().st_size < ROTATE_ABOVE


def test_a_process_that_ignores_gentle_signals_is_ended_by_the_next(room: Path) -> None:
    account = choose_account(None, room)
    read, write = os.pipe()
    command = ["/bin/sh", "-c", "trap '' INT; echo set; exec sleep 600"]
    process = ServerProcess(command, account=account, output=write)
    os.close(write)
    assert os.read(read, 3) == b"set"
    process.end([(signal.SIGINT, 0.05), (signal.SIGKILL, 10.0)])
    os.close(read)
    assert process.wait() == -signal.SIGKILL


def test_a_program_that_cannot_be_run_is_told(room: Path) -> None:
    account = choose_account(None, room)
    with pytest.raises(EmbeddedPostgresError, match=r"cannot run /no.*No such file"):
        ServerProcess(["/no/such/postgres"], account=account, output=1)


def test_signals_are_sent_in_turn_until_one_works() -> None:
    sent: list[int] = []
    steps = [(signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)]
    assert end(sent.append, lambda seconds: seconds == 10.0, steps)
    assert sent == [signal.SIGINT, signal.SIGQUIT]
    assert not end(sent.append, lambda seconds: False, steps)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exit code 1"),
        (-9, "killed by SIGKILL"),
        (-99, "killed by signal 99"),
    ],
)
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert describe_exit(code) == words


@pytest.mark.one_postgres
def test_a_program_that_forgets_to_stop_its_server_still_ends(
    make: Make, room: Path, bin_dir: Path | None
) -> None:
    server = make()
    program = (
        "import sys; from pathlib import Path\n"
        "from eventstore.postgres.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), bin_dir=eval(sys.argv[2], {'Path': Path}),"
        " settings={'fsync': 'off'})\n"
        "server.start(); print(server.pid)\n"
    )
    path = repr(bin_dir).replace("PosixPath", "Path")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, room / "data", path],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert int(done.stdout) > 0
    assert done.stderr == ""
    with server:
        assert query(server, "SELECT 1") == "1"
