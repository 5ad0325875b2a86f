"""What is in the wheel, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT],
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_exactly_two_top_level_names(wheel_names: list[str]) -> None:
    top = {name.partition("/")[0] for name in wheel_names}

    assert {name for name in top if not name.endswith(".dist-info")} == {
        "eventstore",
        "eventstore_api",
    }


def test_the_wheel_ships_migrations_statements_benchmarks_and_the_shop(
    wheel_names: list[str],
) -> None:
    for name in (
        "eventstore/_migrations/env.py",
        "eventstore/_migrations/versions/0001_log.py",
        "eventstore/_migrations/sql/functions/append_v1.sql",
        "eventstore/_benchmarks/append_library.py",
        "eventstore/_examples/shop/sales.py",
        "eventstore/postgres/queries/log.sql",
        "eventstore/py.typed",
        "eventstore_api/py.typed",
    ):
        assert name in wheel_names


def test_the_wheel_has_no_tests_and_no_caches(wheel_names: list[str]) -> None:
    assert not [name for name in wheel_names if "test_" in name or "__pycache__" in name]
