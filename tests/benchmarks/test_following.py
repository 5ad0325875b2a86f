"""Latencies from appends and deliveries, figures with budgets, and followers over raw sockets."""

from __future__ import annotations

import json
from time import perf_counter

import pytest

from benchmarks._arrivals import arrive, times
from benchmarks._connections import SseFollower
from benchmarks._figures import Figure, print_figures
from benchmarks._load import count_frames
from benchmarks._meter import Meter
from tests.benchmarks.test_load import server

FRAMES = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b'5e\r\nid: 7;epoch=1\nevent: OrderPlaced\ndata: {"position":7,"data":{"a":"id: 3"}}\n\n\r\n'
    b'5e\r\nid: 8;epoch=1\nevent: OrderPlaced\ndata: {"position":8}\n\n\r\n'
    b'5e\r\nid: 8;epoch=1\nevent: caught-up\ndata: {"head":8}\n\n: keep-alive\nid: 9;epoch=1\n\n'
)


def figure(*pairs: tuple[float, float | None], budget: float | None = 10.0) -> Figure:
    return Figure("the candidate", "the limit", "p50", "ms", pairs, budget)


def test_arrivals_are_as_many_as_the_rate_says_and_the_same_every_time() -> None:
    at = times(200, 4_000)
    assert at == times(200, 4_000)
    assert at == sorted(at)
    assert 18 < at[-1] < 22


async def test_what_arrives_while_the_loop_is_busy_is_due_when_it_should_have_come() -> None:
    seen: list[tuple[int, float]] = []

    def arrived(number: int, due: float) -> None:
        seen.append((number, due))
        if number == 0:
            stalled_until = perf_counter() + 0.05
            while perf_counter() < stalled_until:
                pass

    before = perf_counter()
    await arrive([0.0, 0.01, 0.02], arrived)
    assert [number for number, _ in seen] == [0, 1, 2]
    first = seen[0][1]
    assert before <= first
    assert [due - first for _, due in seen] == pytest.approx([0.0, 0.01, 0.02])


async def test_a_latency_counts_from_when_the_append_was_due() -> None:
    meter = Meter(2, 2)
    now = perf_counter()
    meter.due(0, now - 0.3)
    meter.due(1, now - 0.2)
    meter.delivered([11], now - 0.1)  # before it is acknowledged
    meter.acknowledged(0, 11)
    meter.acknowledged(1, 12)
    meter.delivered([12], now + 1)
    taken = await meter.taken()
    assert taken.sent == pytest.approx((200, 1_200, 1_200))
    assert taken.acknowledged.p50 < 0 < taken.acknowledged.max
    assert taken.deliveries == 2
    assert taken.seconds == pytest.approx(1.3)


async def test_a_delivery_too_many_is_an_error() -> None:
    meter = Meter(1, 1)
    meter.due(0, perf_counter())
    meter.acknowledged(0, 5)
    meter.delivered([5, 6], perf_counter())
    with pytest.raises(RuntimeError, match="2 deliveries, not 1"):
        await meter.taken()


@pytest.mark.parametrize("piece", [1, 7, 1_000])
async def test_a_follower_takes_frames_in_pieces(piece: int) -> None:
    seen: list[int] = []
    errors: list[BaseException] = []
    follower = SseFollower("/events", lambda positions, _: seen.extend(positions), errors.append)
    for start in range(0, len(FRAMES), piece):
        follower.data_received(FRAMES[start : start + piece])
    assert (seen, errors) == ([7, 8], [])
    await follower.caught_up


async def test_an_event_that_comes_twice_is_an_error() -> None:
    errors: list[BaseException] = []
    follower = SseFollower("/events", lambda *_: None, errors.append)
    follower.data_received(FRAMES)
    follower.data_received(FRAMES)
    assert str(errors[0]) == "7 came after 8"


@pytest.mark.parametrize("piece", [1, 10, 18, 1_000])
def test_frames_are_counted_across_pieces(piece: int) -> None:
    until_the_second = FRAMES[: FRAMES.index(b"8}")]
    with server(until_the_second, requests=1, piece=piece) as port:
        assert count_frames(port, "/events", 2).events == 2


def test_a_figure_has_a_ratio_within_each_round() -> None:
    facts = figure((8, 2), (6, 1), (9, 3)).as_dict()
    assert (facts["value"], facts["limit"]) == (8, 2)
    assert (facts["ratio"], facts["ratio_min"], facts["ratio_max"]) == (4, 3, 6)


@pytest.mark.parametrize(("budget", "reached"), [(None, None), (8.0, True), (7.9, False)])
def test_a_budget_is_kept_by_the_median(budget: float | None, *, reached: bool | None) -> None:
    assert figure((8, None), (1, None), (90, None), budget=budget).reached is reached


def test_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_figures("title", [figure((8, 2)), figure((11, None))], as_json=True, smoke=False)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["ratio"], row["reached"]) for row in rows] == [(4, True), (None, False)]
    print_figures("title", [figure((8, 2)), figure((11, None))], as_json=False, smoke=False)
    printed = capsys.readouterr().out
    for text in ("the candidate", "the limit", "p50, ms", "4.00", "≤ 10", "yes", "no", "1 round"):
        assert text in printed
