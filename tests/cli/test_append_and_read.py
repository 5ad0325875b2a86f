"""`append`, `read` and `streams`: what scripts and people get, and what is refused."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli

pytestmark = pytest.mark.one_postgres


def test_an_append_says_where_the_event_is(cli: Cli) -> None:
    assert cli("append", "order-1", "Placed").out == "position 1, revision 0\n"
    assert cli("append", "order-1", "Paid", '{"total": 12}').out == "position 2, revision 1\n"
    [placed, paid] = cli("read", "order-1", "--json").lines()
    assert (placed["type"], placed["data"]) == ("Placed", {})
    assert (paid["type"], paid["data"], paid["revision"]) == ("Paid", {"total": 12}, 1)


def test_everything_of_an_event_can_be_given(cli: Cli, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    note.write_text('{"n": 1.10, "text": "ż"}\n', encoding="utf-8-sig")
    event_id = str(uuid.uuid4())
    options = ["--metadata", '{"by": "me"}', "--tag", "b", "--tag", "a", "--id", event_id]
    told = cli("append", "a", "T", "--data", f"@{note}", *options, "--json").json()
    assert told == {
        "stream": "a",
        "first_revision": 0,
        "revision": 0,
        "position": 1,
        "event_ids": [event_id],
        "replayed": False,
    }
    out = cli("read", "--json").out
    assert '"data":{"n": 1.10, "text": "ż"},"metadata":{"by": "me"},"tags":["a","b"]' in out


def test_data_may_come_from_standard_input(cli: Cli) -> None:
    cli("append", "a", "T", "--data", "-", stdin="[1]\n")
    cli("append", "a", "T", "-", stdin="[2]\n")
    assert [event["data"] for event in cli("read", "--json").lines()] == [[1], [2]]


@pytest.mark.parametrize("option", ["--idempotency-key", "--id"])
def test_a_retry_stores_nothing_and_says_so(cli: Cli, option: str) -> None:
    value = str(uuid.uuid4())
    cli("append", "a", "T", option, value)
    again = cli("append", "a", "T", option, value, "--expect", "no-stream")
    assert again.out == "position 1, revision 0 (it was there already)\n"


@pytest.mark.parametrize(
    ("expect", "on_empty", "on_one"),
    [("any", 0, 0), ("no-stream", 0, 1), ("stream-exists", 1, 0), ("0", 1, 0), ("3", 1, 1)],
)
def test_an_expectation_that_is_not_met_ends_with_one(
    cli: Cli, expect: str, on_empty: int, on_one: int
) -> None:
    done = cli("append", "a", "T", "--expect", expect, code=on_empty)
    assert done.err.startswith("eventstore: stream 'a' does not exist, but" if on_empty else "")
    cli("append", "b", "T")
    done = cli("append", "b", "T", "--expect", expect, code=on_one)
    assert done.err.startswith("eventstore: stream 'b' is at revision 0" if on_one else "")


NO_APPENDS: list[tuple[str, ...]] = [
    ("a", "T", "{total: 12}"),
    ("a", "T", "NaN"),
    ("a", "T", '"\\u0000"'),
    ("a", "T", "{}", "--data", "{}"),
    ("a", "T", "--data", "@/nowhere"),
    ("a", "T", "--metadata", "[]"),
    ("a", "T", "--expect", "later"),
    ("a", "T", "--expect", "-1"),
    ("a", "T", "--id", "7"),
    ("", "T"),
    ("a", ""),
    ("a", "T", "--tag", ""),
    ("a",),
]


def test_what_cannot_be_appended_is_a_usage_error_and_nothing_is_stored(
    cli: Cli, subtests: pytest.Subtests
) -> None:
    for args in NO_APPENDS:
        with subtests.test(" ".join(args)):
            assert cli("append", *args, code=2).err
            assert cli("read").out == ""


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Commands on a store with six events of two categories."""
    for n in range(6):
        tags = ["--tag", "even"] if n % 2 == 0 else []
        cli("append", f"{'ab'[n % 2]}-{n // 4}", f"T{n % 3}", f'{{"n": {n}}}', *tags)
    return cli


CHOICES: list[tuple[list[str], list[int]]] = [
    ([], [1, 2, 3, 4, 5, 6]),
    (["--limit", "2"], [1, 2]),
    (["--limit", "0"], []),
    (["--backward", "--limit", "2"], [6, 5]),
    (["--after", "2", "--before", "5"], [3, 4]),
    (["--category", "b"], [2, 4, 6]),
    (["--category", "a", "--category", "b", "--type", "T0"], [1, 4]),
    (["--tag", "even", "--type", "T1", "--type", "T2"], [3, 5]),
    (["a-0"], [1, 3]),
    (["a-0", "--after", "0"], [3]),
    (["a-0", "--backward"], [3, 1]),
    (["nothing"], []),
]


def test_what_is_read_can_be_chosen(filled: Cli, subtests: pytest.Subtests) -> None:
    for options, positions in CHOICES:
        with subtests.test(" ".join(options)):
            events = filled("read", *options, "--json").lines()
            assert [event["position"] for event in events] == positions


def test_people_get_a_line_for_each_event(filled: Cli) -> None:
    first, *rest = filled("read").out.splitlines()
    assert len(rest) == 5
    assert [word for word in first.split() if ":" not in word or word == '{"n":'][:1] == ["1"]
    for text in ("a-0@0", "T0", "#even", '{"n": 0}'):
        assert text in first


@pytest.mark.parametrize("option", ["--category", "--type", "--tag"])
def test_filters_of_the_log_do_not_go_with_a_stream(cli: Cli, option: str) -> None:
    assert "leave out STREAM" in cli("read", "a", option, "x", code=2).err


@pytest.mark.parametrize("options", [["--after", "-1"], ["--category", ""], ["--limit", "-1"]])
def test_bounds_and_filters_that_are_none_are_refused(cli: Cli, options: list[str]) -> None:
    assert cli("read", *options, code=1 if options[0] == "--after" else 2).err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [("a-0", 1), ("a-1", 0), ("b-0", 1), ("b-1", 0)]),
        (["--limit", "3"], [("a-0", 1), ("a-1", 0), ("b-0", 1)]),
        (["--category", "b"], [("b-0", 1), ("b-1", 0)]),
        (["--prefix", "a-1"], [("a-1", 0)]),
        (["--prefix", "z"], []),
    ],
)
def test_streams_are_listed_with_their_heads(
    filled: Cli, options: list[str], expected: list[tuple[str, int]]
) -> None:
    found: list[Any] = filled("streams", *options, "--json").lines()
    assert [(one["stream"], one["revision"]) for one in found] == expected
    plain = [line.split() for line in filled("streams", *options).out.splitlines()]
    assert [(name, int(revision)) for revision, name in plain] == expected


def test_nothing_behind_the_default_url_says_what_to_do(nowhere: Cli) -> None:
    done = nowhere("read", "--url", "http://127.0.0.1:9", code=1)
    assert done.err == (
        "eventstore: no service at http://127.0.0.1:9; start it: eventstore serve, or name another "
        "with --url, or a database with --dsn\n"
    )


def test_a_database_without_a_store_says_what_to_do(nowhere: Cli, new_database: Any) -> None:
    done = nowhere("read", "--dsn", new_database(), code=1)
    assert "run: eventstore migrate" in done.err


def test_a_password_is_in_no_error(nowhere: Cli) -> None:
    for dsn in ("postgresql://u:hidden@127.0.0.1:9/x", "postgresql://u:hid#den@h/x", "hidden"):
        assert "hid" not in nowhere("read", "--dsn", dsn, code=1).err
