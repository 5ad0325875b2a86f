"""What tests and image run on is pinned, and everything installs by the same file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.image import CHECKOUT, DOCKERFILE

PROJECT: Final = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES: Final = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def pins() -> dict[str, str]:
    """Return the version of each package."""
    found = [Requirement(line) for line in LINES if line and not line.startswith("#")]
    versions = {canonicalize_name(one.name): str(one.specifier) for one in found}
    assert len(versions) == len(found)
    assert all(re.fullmatch(r"==[^*,]+", version) for version in versions.values()), versions
    return {name: version.removeprefix("==") for name, version in versions.items()}


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    pinned = pins()
    wanted = map(Requirement, [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    for requirement in wanted:
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is missing: run `make constraints`"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: {version}"
        )


def test_no_registry_is_named() -> None:
    assert not [line for line in LINES if "://" in line or line.startswith("-")]


def test_everything_that_installs_the_project_uses_it() -> None:
    files = [
        CHECKOUT / "README.md",
        CHECKOUT / "Makefile",
        CHECKOUT / ".ci" / "run",
        DOCKERFILE,
    ]
    for file in files:
        lines = installing(file)
        assert lines, file
        assert all("-c constraints.txt" in line for line in lines), (file, lines)


def installing(file: Path) -> list[str]:
    """Return the lines of a file that install the checkout, or the wheel made of it."""
    text = file.read_text(encoding="utf-8")
    return [
        line
        for line in text.splitlines()
        if re.search(r"pip\"? install\b.*( \.( |$)|'\.\[test\]'|\.whl)", line) and "uv" not in line
    ]
