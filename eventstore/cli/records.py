"""Files as records: lines of text, CSV rows. Reads as it goes, in constant memory."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from eventstore.cli.template import listed
from eventstore.core.errors import EventStoreError

LONGEST_LINE: Final = 32 << 20
"""Bytes: twice what an append may have. A line beyond it is a fault, not data."""


class RowError(EventStoreError):
    """A row of a file is at fault. `line` is 1-based, `column` empty when it is the whole row."""

    def __init__(self, line: int, problem: str, *, column: str = "") -> None:
        where = f"line {line:,}, column {column!r}" if column else f"line {line:,}"
        super().__init__(f"{where}: {problem}")
        self.line = line
        self.column = column


class Record(NamedTuple):
    """A CSV row: the line it begins on, and its values by column."""

    line: int
    values: dict[str, str]


class Lines:
    """Iterates over a file's lines as text; `number` and `size` (bytes) say how far it is."""

    def __init__(self, file: BinaryIO, *, longest: int = LONGEST_LINE) -> None:
        self.number = 0
        self.size = 0
        self._file = file
        self._longest = longest

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(self._longest + 1):
            self.number += 1
            self.size += len(line)
            if len(line) > self._longest:
                raise RowError(self.number, f"longer than {self._longest:,} bytes")
            if self.number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            try:
                yield line.decode()
            except UnicodeDecodeError as fault:
                raise RowError(
                    self.number,
                    f"byte {fault.start + 1} is not UTF-8; convert the file first, "
                    "e.g. iconv -f windows-1252 -t utf-8",
                ) from None


class CsvFile:
    """Iterates over the rows of a CSV file; `columns` are those of its first line."""

    def __init__(self, lines: Lines, *, delimiter: str = ",") -> None:
        csv.field_size_limit(LONGEST_LINE)
        self._reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
        self.columns = self._next(1) or []
        if not self.columns:
            raise RowError(1, "no columns: the first line of a CSV file names them")
        for column in self.columns:
            if self.columns.count(column) > 1:
                raise RowError(1, "this column is named twice", column=column)

    def __iter__(self) -> Iterator[Record]:
        width = len(self.columns)
        while True:
            line = self._reader.line_num + 1
            row = self._next(line)
            if row is None:
                return
            if not row:  # an empty line
                continue
            if len(row) != width:
                raise RowError(
                    line,
                    f"{len(row)} values for {width} columns ({listed(self.columns)}); "
                    "check quotes and --delimiter",
                )
            yield Record(line, dict(zip(self.columns, row, strict=True)))

    def _next(self, line: int) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as fault:
            raise RowError(line, f"not CSV: {fault}") from None
