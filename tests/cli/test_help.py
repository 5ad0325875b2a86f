"""Help: of every command, in a terminal of 80 columns."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Cli

pytestmark = pytest.mark.one_postgres


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the words of every command."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize("path", list(commands(COMMAND)), ids=" ".join)
def test_help_is_not_torn_in_80_columns(path: tuple[str, ...]) -> None:
    shown = Cli(COLUMNS="80")(*path, "--help").out
    assert "…" not in shown
    command: Any = COMMAND
    for name in path:
        command = command.commands[name]
    text = inspect.cleandoc(command.help or "")
    first, _, rest = text.partition("\n\n")
    assert first
    lines = [line.rstrip() for line in shown.splitlines()]
    if path:  # the first paragraph flows, the others keep their lines
        for line in rest.replace("\b", "").splitlines():
            assert f" {line}".rstrip() in lines, line
