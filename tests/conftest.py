"""Fixtures of all tests. PostgreSQL is real everywhere: see fix_server.py."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Asynchronous tests run on the loop that the service runs on."""
    return "asyncio", {"use_uvloop": True}
