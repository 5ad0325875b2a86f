"""Files as records: lines and bytes are counted right, and every fault names its line."""

from __future__ import annotations

import io

import pytest

from eventstore.cli.records import CsvFile, Lines, Record, RowError


def rows(text: str | bytes, *, delimiter: str = ",", longest: int = 1_000) -> list[Record]:
    """Read a CSV file."""
    raw = text.encode() if isinstance(text, str) else text
    return list(CsvFile(Lines(io.BytesIO(raw), longest=longest), delimiter=delimiter))


def test_lines_count_their_bytes() -> None:
    lines = Lines(io.BytesIO("ä\r\nb\n\nc".encode()))
    assert list(lines) == ["ä\r\n", "b\n", "\n", "c"]
    assert (lines.number, lines.size) == (4, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", [Record(2, {"a": "1", "b": "2"})]),
        ("a,b\r\n1,2", [Record(2, {"a": "1", "b": "2"})]),
        (b"\xef\xbb\xbfa\n1\n", [Record(2, {"a": "1"})]),
        ('"a"\n"x ""y"" z"\n', [Record(2, {"a": 'x "y" z'})]),
        ('a\n"one\ntwo"\n\nthree\n', [Record(2, {"a": "one\ntwo"}), Record(5, {"a": "three"})]),
        ("a,b\n,\n", [Record(2, {"a": "", "b": ""})]),
        (",a\n0,1\n", [Record(2, {"": "0", "a": "1"})]),
        ("case:concept:name\nc\u2028d\n", [Record(2, {"case:concept:name": "c\u2028d"})]),
        ("a\n", []),
    ],
)
def test_rows_know_the_line_they_begin_on(text: str | bytes, expected: list[Record]) -> None:
    assert rows(text) == expected


def test_another_delimiter_may_be_between() -> None:
    assert rows("a;b\n1;2,3\n", delimiter=";") == [Record(2, {"a": "1", "b": "2,3"})]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: no columns"),
        ("\na\n", "line 1: no columns"),
        ("a,b,a\n", "line 1, column 'a': this column is named twice"),
        ("a,b\n1,2\n1\n", "line 3: 1 values for 2 columns ('a', 'b')"),
        ("a\n1,2\n", "line 2: 2 values for 1 columns"),
        ('a\n"x\n', "line 2: not CSV: unexpected end of data"),
        ('a\n1\n"x" y\n', "line 3: not CSV"),
        (b"a\nb\xe4\n", "line 2: byte 2 is not UTF-8"),
        ("a\n" + "x" * 1001 + "\n", "line 2: longer than 1,000 bytes"),
        ("a\n1\r2\n", "line 2: not CSV"),
    ],
)
def test_a_fault_names_its_line(text: str | bytes, fault: str) -> None:
    with pytest.raises(RowError) as found:
        rows(text)
    assert fault in str(found.value)
