"""`tail`: where it begins, what it leaves out, and how an event looks to people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest
from rich.color import Color

from eventstore import EventData
from eventstore.cli.output import COLOURS, colour, harmless
from eventstore.sync import SyncEventStore
from tests.cli.conftest import Cli
from tests.fix_database import Psql
from tests.fix_psql import Run
from tests.fix_waiting import wait_until
from tests.recycling import RECYCLING

pytestmark = pytest.mark.one_postgres

STYLE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR_OF = re.compile(r"\x1b\[38;5;([0-9]+)m(\w+)")


@pytest.fixture
def filled(cli: Cli, sync_store: SyncEventStore) -> Cli:
    """Commands on a store with fifteen events of two categories."""
    for n in range(15):
        event = EventData(f"T{n % 3}", {"n": n}, tags=["even"] if n % 2 == 0 else [])
        sync_store.append(f"{'ab'[n % 2]}-{n // 10}", event)
    return cli


def on(cli: Cli, **environ: str) -> Cli:
    """Give the same commands in another environment."""
    other = Cli()
    other.environ = {**cli.environ, **environ}
    return other


BEGINNINGS: list[tuple[list[str], Iterable[int]]] = [
    ([], range(6, 16)),
    (["-n", "2"], [14, 15]),
    (["--last", "0"], []),
    (["-n", "10000"], range(1, 16)),
    (["--from", "start"], range(1, 16)),
    (["--from", "head"], []),
    (["--from", "0"], range(1, 16)),
    (["--from", "12"], [13, 14, 15]),
    (["--from", "15"], []),
    (["-n", "2", "--category", "a"], [13, 15]),
    (["-n", "3", "--type", "T0", "--type", "T1"], [11, 13, 14]),
    (["-n", "2", "--tag", "even", "--type", "T2"], [9, 15]),
    (["--from", "8", "--category", "b"], [10, 12, 14]),
    (["a-0", "-n", "2"], [7, 9]),
    (["a-0", "--type", "T0"], [1, 7]),
    (["nothing"], []),
]


def test_where_it_begins_and_what_it_leaves_out(filled: Cli, subtests: pytest.Subtests) -> None:
    for options, positions in BEGINNINGS:
        with subtests.test(" ".join(options)):
            events = filled("tail", *options, "--json").lines()
            assert [event["position"] for event in events] == list(positions)
            assert len(filled("tail", *options).out.splitlines()) == len(events)


def test_json_is_what_read_gives(filled: Cli) -> None:
    assert filled("tail", "--from", "start", "--json").out == filled("read", "--json").out


BAD_VALUES: list[tuple[list[str], int, str]] = [
    (["-n", "-1"], 2, "-n"),
    (["-n", "10001"], 2, "-n"),
    (["-n", "x"], 2, "-n"),
    (["--from", "now"], 2, "'start', 'head' or a position"),
    (["--from", "-1"], 2, "'start', 'head' or a position"),
    (["--from", "٣"], 2, "'start', 'head' or a position"),
    (["--from", ""], 2, "'start', 'head' or a position"),
    (["--from", "1", "-n", "1"], 2, "give one of them"),
    (["--type", ""], 2, "must not be empty"),
    (["a\x1b"], 2, "control character"),
    (["--from", "16"], 1, "--from 16: the log ends at position 15"),
    (["--from", "16", "-f"], 1, "--from 16: the log ends at position 15"),
    (["--from", "9" * 30], 1, "the log ends at position 15"),
]


def test_bad_values_are_told(filled: Cli, subtests: pytest.Subtests) -> None:
    for options, code, told in BAD_VALUES:
        with subtests.test(" ".join(options)):
            assert told in " ".join(
                filled("tail", *options, code=code).err.replace("│", "").split()
            )


def test_no_service_says_what_to_do(nowhere: Cli) -> None:
    done = nowhere("tail", "-f", "--url", "http://127.0.0.1:9", code=1)
    assert "start it: eventstore serve" in done.err


@pytest.mark.parametrize("command", ["read", "tail"])
def test_an_event_is_one_line_as_wide_as_the_terminal(filled: Cli, command: str) -> None:
    filled("append", "long-1", "Long", json.dumps({"text": "word " * 50}))
    # As in the tests of colours: rich remembers a style's codes for the first terminal it meets.
    terminal = on(filled, FORCE_COLOR="1", TERM="xterm-256color", COLUMNS="90")
    lines = STYLE.sub("", terminal(command).out).splitlines()
    assert len(lines) == (16 if command == "read" else 10)
    assert len(lines[-1]) == 90
    assert lines[-1].endswith("…")
    for text in ("16", "long-1@0", "Long", '{"text": "word'):
        assert text in lines[-1]


def test_a_type_has_one_colour_in_every_run(filled: Cli) -> None:
    out = on(filled, FORCE_COLOR="1", TERM="xterm-256color")("tail").out
    found = set(COLOUR_OF.findall(out))
    assert found == {(re.sub(r"\D", "", colour(name)), name) for name in ("T0", "T1", "T2")}
    assert colour("T0") == "color(64)"
    assert {colour(f"type-{n}") for n in range(100)} == set(COLOURS)


@pytest.mark.parametrize(
    "environ",
    [
        {"TERM": "xterm-256color"},  # the output is a pipe
        {"TERM": "xterm-256color", "FORCE_COLOR": "1", "NO_COLOR": "1"},
        {"TERM": "dumb", "FORCE_COLOR": "1"},
    ],
)
def test_there_is_no_colour_where_it_is_not_wanted(filled: Cli, environ: dict[str, str]) -> None:
    out = on(filled, **environ)("tail").out
    assert "T2" in out
    assert not COLOUR_OF.search(out)


def luminance(red: int, green: int, blue: int) -> float:
    """Give the relative luminance of sRGB, as WCAG 2 defines it."""
    shares = [part / 255 for part in (red, green, blue)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", COLOURS)
def test_colours_can_be_read_on_black_and_on_white(name: str) -> None:
    light = luminance(*Color.parse(name).get_truecolor()) + 0.05
    assert min(light / 0.05, 1.05 / light) > 4


@pytest.mark.parametrize("command", ["read", "tail"])
def test_nothing_in_an_event_reaches_the_terminal_as_a_command(
    cli: Cli, psql: Run, command: str
) -> None:
    data = '{"text": "\\u001b[2J \\u009b31m \\u0007 \\u202e \\u2028"}'
    psql(f"""SELECT eventstore.append('a-\u202e1', 'T\u2066', '{data}')""")
    [line] = cli(command).out.splitlines()
    for text in ("a-\\u202e1@0", "T\\u2066", r"\u001b[2J \u009b31m \u0007 \u202e \u2028"):
        assert text in line
    assert line.isprintable()


def test_only_what_is_not_seen_is_escaped() -> None:
    assert harmless("ż 東京 👩\u200d👩 \\n") == "ż 東京 👩\u200d👩 \\n"
    assert harmless("\x00\x7f\x85\u2069") == "\\u0000\\u007f\\u0085\\u2069"


def test_the_end_of_a_long_log_is_read_backwards(cli: Cli, sql: Psql) -> None:
    line = '{"stream":"a","type":"T"}\n'
    cli("import", "-", "--format", "ndjson", stdin=line * 5_000)

    def touched() -> int:
        sql.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        row = sql.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables"
            " WHERE schemaname = 'eventstore' AND relname = 'events'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def alone() -> bool:
        others = (
            "datname = current_database() AND pid <> pg_backend_pid()"
            f" AND application_name <> '{RECYCLING}'"
        )
        row = sql.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {others}").fetchone()
        return row == (0,)

    sql.execute("ANALYZE eventstore.events")
    for options in ([], ["--type", "T"], ["a"]):
        wait_until(alone, "the end of the backends before, which tells what they read")
        before = touched()
        assert len(cli("tail", *options).out.splitlines()) == 10
        wait_until(alone, "the end of the command's backends")
        wait_until(lambda before=before: touched() > before, "what was read")  # type: ignore[misc]
        assert touched() - before < 500, options
