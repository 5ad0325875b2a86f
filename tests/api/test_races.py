"""Writers at once: exactly one wins where one may, and all are stored where all may."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.rest import EVENT, append, appended, events_of, head, problem


@pytest.fixture
async def http(address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a connection for every request at once, on a real HTTP server."""
    host, port = address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
        yield client


async def test_of_sixteen_writers_on_one_revision_exactly_one_wins(
    http: httpx.AsyncClient,
) -> None:
    await appended(http, "order-1", 4)
    answers = await asyncio.gather(
        *(
            append(http, "order-1", {"type": "Won", "data": n}, headers={"if-match": '"3"'})
            for n in range(16)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: 15}
    for answer in answers:
        if answer.status_code == 412:
            assert problem(answer, 412, "revision-conflict")["current_revision"] == 4
            assert answer.headers["etag"] == '"4"'
    assert await head(http) == 5


async def test_of_sixteen_writers_of_a_new_stream_exactly_one_wins(
    http: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(
        *(append(http, "order-1", headers={"if-none-match": "*"}) for _ in range(16))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: 15}
    assert {a.json()["current_revision"] for a in answers if a.status_code == 412} == {0}
    assert await head(http) == 1


async def test_of_sixteen_writers_on_one_condition_exactly_one_wins(
    http: httpx.AsyncClient,
) -> None:
    query = {"any_of": [{"types": ["SeatTaken"], "tags": ["seat:7"]}]}
    taken = {"type": "SeatTaken", "tags": ["seat:7"]}
    answers = await asyncio.gather(
        *(
            http.post(
                "/appends",
                json={
                    "appends": [{"stream": f"booking-{n}", "events": [taken]}],
                    "condition": {"none_matching": query, "after": 0},
                },
            )
            for n in range(16)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: 15}
    for answer in answers:
        if answer.status_code == 412:
            assert problem(answer, 412, "condition-failed")["position"] == 1
    assert await head(http) == 1


async def test_twenty_appends_at_any_revision_are_twenty_events(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(append(http, "order-1", {"type": "Any", "data": n}) for n in range(20))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["revision"] for answer in answers) == list(range(20))
    assert sorted(answer.json()["position"] for answer in answers) == list(range(1, 21))
    stored = {event["position"]: event for event in events_of(await http.get("/events"))}
    for n, answer in enumerate(answers):
        event = stored[answer.json()["position"]]
        assert (event["data"], event["id"]) == (n, answer.json()["event_ids"][0])


async def test_twenty_copies_of_one_keyed_append_at_once_are_one_append(
    http: httpx.AsyncClient,
) -> None:
    headers = {"idempotency-key": "once"}
    answers = await asyncio.gather(
        *(append(http, "order-1", [EVENT, EVENT], headers=headers) for _ in range(20))
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
    assert len({answer.text for answer in answers}) == 1
    replayed = Counter(answer.headers.get("idempotency-replayed") for answer in answers)
    assert replayed == {None: 1, "true": 19}
    assert await head(http) == 2


async def test_a_bad_append_does_not_harm_the_good_ones_beside_it(http: httpx.AsyncClient) -> None:
    # An unpaired quote of array syntax, a number that only PostgreSQL might refuse, a NUL.
    bad = [
        '{"type": "A", "data": "\\u0000"}',
        '{"type": "A", "data": 1e999}',
        '{"type": "\\ud800"}',
    ]
    headers = {"content-type": "application/json"}
    answers = await asyncio.gather(
        *(append(http, f"good-{n}") for n in range(10)),
        *(http.post("/streams/bad", content=body, headers=headers) for body in bad),
        *(append(http, f"good-{n}") for n in range(10)),
    )

    counted = Counter(answer.status_code for answer in answers)
    assert counted[201] == 20
    assert await head(http) == 20
