"""Paths: where data goes, and where it cannot go."""

import os
import sys
from pathlib import Path

import pytest

from eventstore.postgres.embedded import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    default_data_dir,
    layout,
)
from eventstore.postgres.embedded.account import Account
from eventstore.postgres.embedded.layout import Layout, own_directory, refuse_unusable_path
from tests.embedded.conftest import Make


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has a directory of its own")
@pytest.mark.parametrize(
    ("uid", "environ", "path"),
    [
        (0, {"XDG_DATA_HOME": "/x"}, Path("/var/lib/eventstore")),
        (1000, {"XDG_DATA_HOME": "/x"}, Path("/x/eventstore")),
        (1000, {"XDG_DATA_HOME": "x"}, Path.home() / ".local/share/eventstore"),
        (1000, {}, Path.home() / ".local/share/eventstore"),
    ],
)
def test_data_goes_by_default_where_the_system_wants_it(
    uid: int, environ: dict[str, str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert default_data_dir(environ) == path


def test_a_socket_path_may_be_exactly_as_long_as_the_system_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layout, "LONGEST_SOCKET_PATH", 107)
    socket_part = len("/run/.s.PGSQL.5432")
    refuse_unusable_path(Layout(Path("/" + "d" * (107 - socket_part - 1))))
    too_long = Path("/" + "é" * 50)
    with pytest.raises(EmbeddedPostgresError) as raised:
        refuse_unusable_path(Layout(too_long))
    assert str(raised.value) == (
        f"the path of the server's socket, {too_long}/run/.s.PGSQL.5432, has 119 bytes;"
        " this system allows 107. Choose a --data-dir that is shorter by at least 12 bytes"
    )


@pytest.mark.one_postgres
def test_the_longest_path_works_and_a_longer_one_is_refused_before_anything_is_made(
    make: Make, room: Path
) -> None:
    free = layout.LONGEST_SOCKET_PATH - len(os.fsencode(room / "run" / layout.SOCKET_NAME)) - 1
    with make(room / ("d" * free)) as server:
        assert server.pid is not None
    with pytest.raises(EmbeddedPostgresError, match="Choose a --data-dir that is shorter"):
        make(room / ("d" * (free + 1))).start()
    assert len(list(room.iterdir())) == 1


@pytest.mark.parametrize("name", ["a,b", "a\nb"])
def test_a_path_that_clients_cannot_name_is_refused(name: str, room: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="comma or a line break"):
        EmbeddedPostgres(room / name).start()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "file is not a directory; choose another --data-dir"),
        ("file/below", "cannot create the data directory .*Not a directory"),
        ("dangling", "dangling is not a directory"),
    ],
)
def test_what_is_not_a_directory_is_refused(room: Path, path: str, message: str) -> None:
    (room / "file").write_text("precious")
    (room / "dangling").symlink_to(room / "nowhere")
    with pytest.raises(EmbeddedPostgresError, match=message):
        EmbeddedPostgres(room / path).start()
    assert (room / "file").read_text() == "precious"
    assert not (room / "nowhere").exists()


def test_a_link_in_place_of_a_directory_of_the_server_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (tmp_path / "run").symlink_to(victim)
    with pytest.raises(NotADirectoryError):
        own_directory(tmp_path / "run", Account("me", os.getuid(), os.getgid(), switch=False))
    assert victim.stat().st_mode & 0o777 == 0o755


@pytest.mark.one_postgres
def test_permissions_of_a_directory_that_existed_stay_as_they_are(make: Make, room: Path) -> None:
    data_dir = room / "mine"
    data_dir.mkdir()
    data_dir.chmod(0o775)
    with make(data_dir):
        pass
    assert data_dir.stat().st_mode & 0o777 == 0o775
