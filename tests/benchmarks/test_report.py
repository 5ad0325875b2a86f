"""Ratios, their statistics, and the table."""

from __future__ import annotations

import json

import pytest

from benchmarks._data import DATA_BYTES, json_text, payload, revision, stream_name
from benchmarks._report import Measurement, Row, Spread, percentile, print_report, spread


def row(*rates: tuple[int, int], target: float = 0.5) -> Row:
    """Make a row of rounds, each with the candidate's and the limit's events in one second."""
    pairs = tuple(
        (Measurement(ours, 1.0, 0.002, 0.009), Measurement(limit, 1.0)) for ours, limit in rates
    )
    return Row("the candidate", "the limit", target, 0.8, pairs)


def test_a_rate_is_events_a_second() -> None:
    assert Measurement(300, 1.5).rate == 200


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([3.0], Spread(3, 3, 3)), ([5, 1, 2], Spread(2, 1, 5)), ([4, 1, 2, 3], Spread(2.5, 1, 4))],
)
def test_a_spread_has_median_and_extremes(numbers: list[float], expected: Spread) -> None:
    assert spread(numbers) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.505, 51), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_a_percentile_is_a_number_that_occurred(share: float, expected: float) -> None:
    assert percentile(range(1, 101), share) == expected


def test_the_percentile_of_one_number_is_that_number() -> None:
    assert [percentile([7.0], share) for share in (0.0, 0.5, 0.99, 1.0)] == [7.0] * 4


def test_a_ratio_is_taken_within_a_round_so_that_a_swing_of_the_machine_cancels_out() -> None:
    assert row((50, 100), (500, 1_000), (5, 10)).ratio == Spread(0.5, 0.5, 0.5)


def test_one_bad_round_does_not_change_the_median() -> None:
    assert row((60, 100), (1, 100), (70, 100)).ratio == Spread(0.6, 0.01, 0.7)


@pytest.mark.parametrize(("target", "reached"), [(0.49, True), (0.5, True), (0.51, False)])
def test_a_target_is_reached_by_the_median(target: float, *, reached: bool) -> None:
    assert row((40, 100), (50, 100), (90, 100), target=target).reached is reached


def test_a_row_gives_latencies_in_milliseconds() -> None:
    facts = row((50, 100)).as_dict()
    assert (facts["p50_ms"], facts["p99_ms"]) == (2.0, 9.0)
    assert (facts["events_per_second"], facts["limit_per_second"]) == (50, 100)


def test_json_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_report("title", [row((50, 100)), row((40, 100))], as_json=True, smoke=False)
    rows = json.loads(capsys.readouterr().out)
    assert [(r["ratio"], r["reached"]) for r in rows] == [(0.5, True), (0.4, False)]


def test_the_table_has_names_ratio_and_target(capsys: pytest.CaptureFixture[str]) -> None:
    print_report("title", [row((50, 100), (60, 100), (70, 100))], as_json=False, smoke=False)
    printed = capsys.readouterr().out
    for text in ("the candidate", "the limit", "0.60", "0.50..0.70", "0.8", "yes", "3 rounds"):
        assert text in printed


def test_a_smoke_run_says_that_its_figures_mean_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_report("title", [row((50, 100))], as_json=False, smoke=True)
    assert "mean nothing" in capsys.readouterr().out


@pytest.mark.parametrize("number", [0, 7, 4_999, 5_000, 123_456, 99_999_999])
def test_an_event_has_200_bytes_of_data(number: int) -> None:
    assert len(json_text(payload(number)).encode()) == DATA_BYTES


def test_revisions_of_a_stream_are_dense() -> None:
    numbers = [number for number in range(20_000) if stream_name(number) == "order-42"]
    assert [revision(number) for number in numbers] == [0, 1, 2, 3]
