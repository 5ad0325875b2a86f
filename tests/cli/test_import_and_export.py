"""`import` and `export`: exactly once, in order, and clear about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.one_postgres

CSV = "order,what,at,who\n1,Placed,10:00,a\n1,Paid,10:05,b\n2,Placed,10:06,a\n1,Shipped,11:00,c\n"
MAPPING = ["--stream", "order-{order}", "--type", "what"]


def write(path: Path, text: str) -> Path:
    """Write a file and give its path."""
    path.write_text(text, encoding="utf-8")
    return path


def summary(events: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Give what events are, in short."""
    return [(event["stream"], event["revision"], event["type"]) for event in events]


@pytest.mark.parametrize("batch", [1, 2, 3, 500])
def test_rows_become_events_in_the_order_of_the_file(cli: Cli, tmp_path: Path, batch: int) -> None:
    file = write(tmp_path / "orders.csv", CSV)
    done = cli("import", file, *MAPPING, "--time", "at", "--batch", batch)
    assert done.out == "stored 4 events, 0 were there already\n"
    events = cli("read", "--json").lines()
    assert summary(events) == [
        ("order-1", 0, "Placed"),
        ("order-1", 1, "Paid"),
        ("order-2", 0, "Placed"),
        ("order-1", 2, "Shipped"),
    ]
    assert (events[0]["data"], events[0]["metadata"]) == ({"who": "a"}, {"time": "10:00"})


@pytest.mark.parametrize(("first", "second"), [(500, 500), (3, 2), (1, 4), (4, 1), (2, 3)])
def test_an_import_that_is_run_again_stores_nothing_twice(
    cli: Cli, tmp_path: Path, first: int, second: int
) -> None:
    part = write(tmp_path / "orders.csv", "\n".join(CSV.splitlines()[:4]) + "\n")
    cli("import", part, *MAPPING, "--batch", first)
    write(part, CSV)
    told = cli("import", part, *MAPPING, "--batch", second, "--json").json()
    assert told == {"stored": 1, "already_there": 3}
    assert len(cli("read", "--json").lines()) == 4


def test_the_same_rows_of_another_source_are_other_events(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "orders.csv", CSV)
    cli("import", file, *MAPPING)
    cli("import", file, *MAPPING, "--source", "other")
    again = cli("import", "-", *MAPPING, "--format", "csv", "--source", "orders.csv", stdin=CSV)
    assert again.out == "stored 0 events, 4 were there already\n"
    assert len(cli("read", "--json").lines()) == 8


def test_rows_that_are_stored_in_other_streams_are_refused(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "orders.csv", CSV)
    cli("import", file, *MAPPING)
    done = cli("import", file, "--stream", "bill-{order}", "--type", "what", code=1)
    assert "line 2: its event id" in done.err
    assert "position 1 in stream 'order-1'" in done.err
    assert "--source" in done.err
    assert len(cli("read", "--json").lines()) == 4


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (",Placed,10:00,a", "line 4, column 'order': is empty"),
        ("1,,10:00,a", "line 4, column 'what': is empty"),
        ("1,Placed", "line 4: 2 values for 4 columns"),
        ('1,"Placed', "line 4: not CSV"),
        ("1,Pla\x07ced,10:00,a", "line 4: an event type has a control character"),
    ],
)
def test_nothing_of_a_bad_batch_is_stored_and_what_is_stored_is_said(
    cli: Cli, tmp_path: Path, row: str, fault: str
) -> None:
    lines = CSV.splitlines()
    file = write(tmp_path / "orders.csv", "\n".join([*lines[:3], row]) + "\n")
    done = cli("import", file, *MAPPING, code=1)
    assert fault in done.err
    assert "nothing is stored" in done.err
    assert cli("read").out == ""
    done = cli("import", file, *MAPPING, "--batch", 2, code=1)
    assert "everything up to line 3 is stored" in done.err
    write(file, CSV)
    assert cli("import", file, *MAPPING).out == "stored 2 events, 2 were there already\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs --stream and --type"),
        (["--stream", "a"], "needs --stream and --type"),
        ([*MAPPING, "--format", "xml"], "--format csv or --format ndjson"),
        ([*MAPPING, "--delimiter", "||"], "one character"),
        ([*MAPPING, "--format", "ndjson"], "for CSV"),
        ([*MAPPING, "--batch", "0"], "batch"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    cli: Cli, tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in cli("import", write(tmp_path / "o.csv", CSV), *options, code=2).err


def test_standard_input_needs_a_source_and_a_format(cli: Cli) -> None:
    assert "--format" in cli("import", "-", *MAPPING, stdin=CSV, code=2).err
    assert "--source" in cli("import", "-", *MAPPING, "--format", "csv", stdin=CSV, code=2).err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stream", "x-{nothing}", "--type", "what"], "no column 'nothing'"),
        (["--stream", "x-{order}", "--type", "whta"], "no column 'whta'"),
        ([*MAPPING, "--time", "when"], "no column 'when'"),
        (["--stream", "x-{order", "--type", "what"], "single '{'"),
    ],
)
def test_a_mistyped_column_stores_nothing(
    cli: Cli, tmp_path: Path, options: list[str], message: str
) -> None:
    done = cli("import", write(tmp_path / "o.csv", CSV), *options, code=1)
    assert message in done.err
    assert "nothing is stored" in done.err


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_said(cli: Cli, tmp_path: Path, name: str) -> None:
    done = cli("import", tmp_path / name, "--format", "csv", *MAPPING, code=1)
    assert "cannot read" in done.err


def test_an_export_comes_back_equal_in_another_store(
    cli: Cli, new_database: Any, template: str, tmp_path: Path
) -> None:
    cli("append", "a-1", "T", '{"n": 1.10, "big": 123456789012345678901234567890}', "--tag", "t")
    cli("append", "b-1", "T", '["ż\u2028", null]', "--metadata", '{"m": 1}')
    cli("append", "a-1", "U", "12")
    file = tmp_path / "backup.ndjson"
    assert cli("export", "-o", file).err == f"3 events in {file}\n"
    assert not file.with_name("backup.ndjson.part").exists()
    other = Cli(EVENTSTORE_DSN=new_database(template))
    assert other("import", file, "--batch", 2).out == "stored 3 events, 0 were there already\n"
    assert other("import", file).out == "stored 0 events, 3 were there already\n"

    def lines(text: str) -> list[str]:
        return [line.partition(',"recorded_at"')[0] for line in text.splitlines()]

    assert lines(other("export").out) == lines(cli("export").out) == lines(file.read_text())


def test_a_part_of_the_log_can_be_exported(cli: Cli) -> None:
    for n in range(4):
        cli("append", f"{'ab'[n % 2]}-1", f"T{n}")
    assert summary(cli("export", "--category", "b").lines()) == [("b-1", 0, "T1"), ("b-1", 1, "T3")]
    assert len(cli("export", "--after", "3").lines()) == 1


@pytest.mark.parametrize("name", ["no/such/folder.ndjson", "."])
def test_a_file_that_cannot_be_written_is_said(cli: Cli, tmp_path: Path, name: str) -> None:
    assert "cannot write" in cli("export", "-o", tmp_path / name, code=1).err


def test_the_same_event_twice_in_a_file_is_stored_once(cli: Cli, tmp_path: Path) -> None:
    cli("append", "a", "T")
    cli("append", "a", "U")
    text = cli("export").out
    file = write(tmp_path / "twice.ndjson", text + text)
    assert cli("import", file).out == "stored 0 events, 4 were there already\n"


def test_events_without_ids_get_ids_that_repeat(cli: Cli, tmp_path: Path) -> None:
    text = "".join(json.dumps({"stream": "a", "type": f"T{n}"}) + "\n" for n in range(3))
    file = write(tmp_path / "made.jsonl", text)
    assert cli("import", file).out == "stored 3 events, 0 were there already\n"
    assert cli("import", file, "--batch", 2).out == "stored 0 events, 3 were there already\n"


def test_an_export_from_nowhere_leaves_no_file(nowhere: Cli, tmp_path: Path) -> None:
    nowhere("export", "-o", tmp_path / "a.ndjson", "--url", "http://127.0.0.1:9", code=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_told_first(nowhere: Cli, tmp_path: Path) -> None:
    for name in ("nope.csv", "nope.ndjson", "nope"):
        told = nowhere("import", tmp_path / name, "--url", "http://127.0.0.1:9", code=1).err
        assert told == f"eventstore: cannot read {tmp_path / name}: there is no such file\n"


def test_one_is_not_told_as_many(cli: Cli, tmp_path: Path) -> None:
    line = '{"stream":"a","type":"T"}\n'
    options = ("import", "-", "--format", "ndjson", "--source", "x")
    assert cli(*options, stdin=line).out == "stored 1 event, 0 were there already\n"
    assert cli(*options, stdin=line).out == "stored 0 events, 1 was there already\n"
    assert cli("export", "-o", tmp_path / "a").err == f"1 event in {tmp_path / 'a'}\n"
    assert cli("verify").out.endswith("1 event, 1 stream: all well\n")
