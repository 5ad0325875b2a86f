"""Which settings and which environment a server gets."""

from pathlib import Path

import pytest

from eventstore.postgres.embedded import settings
from eventstore.postgres.embedded.settings import (
    is_off,
    server_command,
    server_environment,
    server_settings,
)


def test_a_version_is_not_given_settings_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_DEFAULTS", (("old", "1", 15), ("new", "2", 18)))
    assert "new" not in server_settings(17, Path("/r"), {})
    assert server_settings(18, Path("/r"), {})["new"] == "2"


def test_what_is_durable_by_default_can_be_overridden_and_what_is_private_cannot() -> None:
    defaults = server_settings(18, Path("/r"), {})
    assert defaults["fsync"] == defaults["synchronous_commit"] == "on"
    changed = server_settings(18, Path("/r"), {"FSYNC": "off", "port": "1"})
    assert changed["fsync"] == "off"
    assert changed["port"] == "5432"
    assert changed["listen_addresses"] == ""


@pytest.mark.parametrize(
    ("run_dir", "value"), [("/a b/run", '"/a b/run"'), ('/a"b/run', '"/a""b/run"')]
)
def test_the_socket_directory_is_quoted(run_dir: str, value: str) -> None:
    assert server_settings(18, Path(run_dir), {})["unix_socket_directories"] == value


def test_the_command_runs_the_server_itself() -> None:
    command = server_command(Path("/b/postgres"), Path("/d/pgdata"), {"a": "1", "b": "x y"})
    assert command == ["/b/postgres", "-D", "/d/pgdata", "-c", "a=1", "-c", "b=x y"]


@pytest.mark.parametrize(
    ("given", "off"),
    [({"fsync": "off"}, True), ({"Fsync": "FALSE "}, True), ({"fsync": "on"}, False), ({}, False)],
)
def test_off_has_many_spellings(given: dict[str, str], off: bool) -> None:
    assert is_off(given, "fsync") is off


def test_the_environment_has_what_a_server_needs_and_no_secret() -> None:
    environment = {
        "PATH": "/bin",
        "TZ": "UTC",
        "PGPORT": "1",
        "LANG": "de_DE",
        "LC_MESSAGES": "de_DE",
        "NOTIFY_SOCKET": "/run/notify",
        "API_TOKEN": "secret",
        "EVENTSTORE_DSN": "postgresql://app:secret@db/shop",
    }
    assert server_environment(environment) == {"PATH": "/bin", "TZ": "UTC", "LC_ALL": "C"}
