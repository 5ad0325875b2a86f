"""Fixtures of all tests. PostgreSQL is real everywhere: see fix_server.py."""

from __future__ import annotations

import signal
from typing import Any

import hypothesis
import pytest

pytest_plugins = [
    "tests.fix_server",
    "tests.fix_database",
    "tests.fix_store",
    "tests.fix_faces",
    "tests.fix_psql",
]

# How long one example takes depends on who else uses the machine.
hypothesis.settings.register_profile("tests", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    # A shell lets what it runs in the background ignore Ctrl-C, and so do the programs that tests
    # start from there, which are to end by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests run on the loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}
