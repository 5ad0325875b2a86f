"""Reading postmaster.pid, and telling servers from other processes."""

import os
import shutil
from pathlib import Path

import pytest

from eventstore.postgres.embedded.postmaster import (
    PostmasterFile,
    Readiness,
    command_serves,
    live_postmaster,
    parse_postmaster_pid,
    ps_says,
    readiness,
    serves,
)
from eventstore.postgres.embedded.readiness import progress, says_memory_in_use
from tests.embedded.conftest import Make

FULL = "312\n/d/pgdata\n1700000000\n5432\n/d/run\n\n  5432001   131072\n{status}\n"


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (FULL.format(status="ready   "), PostmasterFile(312, "ready")),
        (FULL.format(status="starting"), PostmasterFile(312, "starting")),
        ("312\n/d/pgdata\n1700000000\n", PostmasterFile(312, "")),
        ("-312\n/d/pgdata\n", PostmasterFile(312, "")),
        ("", None),
        ("x\n", None),
    ],
)
def test_the_file_is_read_also_while_it_is_written(text: str, file: PostmasterFile | None) -> None:
    assert parse_postmaster_pid(text) == file


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", Readiness.SILENT),
        (FULL.format(status="ready").replace("312", "313", 1), Readiness.SILENT),
        ("312\n/d/pgdata\n", Readiness.STARTING),
        (FULL.format(status="starting"), Readiness.STARTING),
        (FULL.format(status="stopping"), Readiness.STARTING),
        (FULL.format(status="standby "), Readiness.READY),
        (FULL.format(status="ready   "), Readiness.READY),
    ],
)
def test_a_server_is_as_far_as_its_own_file_says(text: str, state: Readiness) -> None:
    assert readiness(text, 312) is state


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        (["/usr/bin/postgres", "-D", "/d/pgdata", "-c", "port=1"], True),
        (["postgres", "-c", "port=1", "-D", "/d/pgdata/"], True),
        (["/usr/bin/postgres", "-D", "/d/other"], False),
        (["/usr/bin/vi", "-D", "/d/pgdata"], False),
        (["postgres: checkpointer ", "-D", "/d/pgdata"], False),
        ([""], False),
        ([], False),
    ],
)
def test_a_command_line_tells_a_server_on_the_directory(argv: list[str], ours: bool) -> None:
    assert command_serves(argv, Path("/d/pgdata")) is ours


@pytest.mark.parametrize(
    ("argv", "ours"),
    [
        (["/my bin/postgres", "/my d/pgdata -c port=1"], True),
        (["/my bin/postgres", "/my d/pgdata"], True),
        (["/my bin/postgres", "/my d/pgdata2 -c port=1"], False),
        (["/my bin/postgres"], False),
    ],
)
def test_so_does_one_that_lost_its_spaces_in_ps(argv: list[str], ours: bool) -> None:
    assert command_serves(argv, Path("/my d/pgdata"), spaces_lost=True) is ours


def test_only_the_server_itself_serves_its_directory(make: Make, room: Path) -> None:
    with make() as server:
        pgdata = server.data_dir / "pgdata"
        link = room / "link"
        link.symlink_to(pgdata)
        assert server.pid is not None
        assert live_postmaster(pgdata) == server.pid
        assert serves(server.pid, link)
        assert not serves(server.pid, room)
        assert not serves(os.getpid(), pgdata)
        if shutil.which("ps"):
            assert ps_says(server.pid, pgdata)
            assert not ps_says(server.pid, room)
            assert not ps_says(os.getpid(), pgdata)
    assert live_postmaster(pgdata) is None
    assert not serves(server.pid or 0, pgdata)


@pytest.mark.parametrize(
    ("log", "in_use"),
    [
        ("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\nHINT: x", True),
        ('FATAL:  could not open file "x"', False),
    ],
)
def test_the_log_tells_that_the_old_memory_is_in_use(log: str, in_use: bool) -> None:
    assert says_memory_in_use(log) is in_use


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "LOG:  redo in progress, elapsed time: 9.00 s",
            "PostgreSQL starting up (crash recovery can take long); 9 s so far:"
            " LOG:  redo in progress, elapsed time: 9.00 s",
        ),
        ("", "PostgreSQL starting up (crash recovery can take long); 9 s so far"),
    ],
)
def test_progress_is_told_with_the_last_line_of_the_log(line: str, text: str) -> None:
    assert progress(Readiness.STARTING, 9.2, line) == text
