"""The README says what is true."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore import EventStore
from eventstore.client import EventStoreClient, SyncEventStoreClient
from eventstore.sync import SyncEventStore
from tests.packaging import quickstart

README = quickstart.README.read_text(encoding="utf-8")
CI = (quickstart.README.parent / ".ci" / "run").read_text(encoding="utf-8")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that the server's OS user may enter, unlike pytest's own when run as root."""
    folder = Path(tempfile.mkdtemp(prefix="eventstore-readme-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's blocks use curl")
def test_every_code_block_of_the_readme_runs_in_order(data_dir: Path) -> None:
    root = quickstart.run_readme(Path(sys.executable).parent, data_dir)

    assert root["head"] == 7


def test_stores_and_clients_have_the_methods_that_the_readme_says() -> None:
    def lacks(store: type, client: type) -> set[str]:
        names = {name for name in dir(client) if not name.startswith("_")}
        return names - set(dir(store)) - {"request", "append_request"}  # what the CLI is made of

    assert lacks(EventStore, EventStoreClient) == {"command"}
    assert lacks(SyncEventStore, SyncEventStoreClient) == {"command", "follow"}
    assert hasattr(EventStore, "handle")


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    [command] = re.findall(r"^```sh test\n(python3 .*)\n```$", README, re.MULTILINE)
    environment, installation, tests = command.replace(".venv/bin/", "").split(" && ")
    assert environment == "python3 -m venv .venv"
    assert f"\n{tests.replace('pytest', 'pytest -q')}\n" in CI
    assert installation.removeprefix("pip install") in CI
