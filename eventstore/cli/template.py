"""Templates over the columns of a file: `permit-{case:concept:name}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from eventstore.core.errors import InvalidInput

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class EmptyColumnError(Exception):
    """A column that a template names is empty in this row."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class Template(NamedTuple):
    """Text and columns in turn: `texts` has one more than `columns`."""

    texts: tuple[str, ...]
    columns: tuple[str, ...]

    def fill(self, row: Mapping[str, str]) -> str:
        """Give the text for a row. Raises EmptyColumnError: a name with a hole is no name."""
        filled = [self.texts[0]]
        for column, text in zip(self.columns, self.texts[1:], strict=True):
            if not row[column]:
                raise EmptyColumnError(column)
            filled += (row[column], text)
        return "".join(filled)


def parse_template(text: str) -> Template:
    """Read a template: `{column}` stands for a column's value, `{{` and `}}` for braces.

    A column's name is everything between the braces. Raises InvalidInput.
    """
    texts = [""]
    columns: list[str] = []
    for part in _PART.finditer(text):
        if part[1] is not None:
            columns.append(part[1])
            texts.append("")
        elif part[0] in ("{", "}"):
            raise InvalidInput(
                f"{text!r} has a single {part[0]!r}: write {{column}}, or {part[0] * 2} for a brace"
            )
        else:
            texts[-1] += part[0][0] if part[0] in ("{{", "}}") else part[0]
    return Template(tuple(texts), tuple(columns))


def column_or_template(text: str, columns: Sequence[str]) -> Template:
    """Read a template, or the plain name of a column.

    Text that is neither is refused: a mistyped column would become every event's name for good.
    """
    if text in columns:
        return Template(("", ""), (text,))
    if "{" not in text and "}" not in text:
        raise InvalidInput(f"there is no column {text!r}; the columns are: {listed(columns)}")
    return parse_template(text)


def check_columns(named: Sequence[str], columns: Sequence[str]) -> None:
    """Raise InvalidInput unless the file has every column that is named."""
    for column in named:
        if column not in columns:
            raise InvalidInput(f"there is no column {column!r}; the columns are: {listed(columns)}")


def listed(columns: Sequence[str]) -> str:
    """Name columns for people."""
    return ", ".join(map(repr, columns))
