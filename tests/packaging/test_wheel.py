"""What is in the wheel, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.packaging.image import CHECKOUT, build

pytestmark = pytest.mark.slow

SHIPPED: Final = {
    "eventstore": "eventstore",
    "api/eventstore_api": "eventstore_api",
    "migrations": "eventstore/_migrations",
    "benchmarks": "eventstore/_benchmarks",
    "examples/shop/shop": "eventstore/_examples/shop",
}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel that is built as the image builds it."""
    folder = tmp_path_factory.mktemp("image")
    build(folder, until="python -m build ")
    [wheel] = (folder / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_exactly_two_top_level_names(wheel_names: list[str]) -> None:
    top = {name.partition("/")[0] for name in wheel_names}

    assert {name for name in top if not name.endswith(".dist-info")} == {
        "eventstore",
        "eventstore_api",
    }


def test_the_wheel_ships_everything_that_is_in_the_checkout(wheel_names: list[str]) -> None:
    missing = [
        name
        for folder, packaged in SHIPPED.items()
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if (name := str(Path(packaged) / path.relative_to(CHECKOUT / folder))) not in wheel_names
    ]

    assert missing == []


def test_the_wheel_has_no_tests_and_no_caches(wheel_names: list[str]) -> None:
    assert not [name for name in wheel_names if "test_" in name or "__pycache__" in name]
