"""POST /appends: several streams at once, all or nothing, with an append condition."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.rest import EVENT, appended, events_of, head, problem

pytestmark = pytest.mark.one_postgres

TAKEN = {"type": "NameTaken", "data": {}, "tags": ["name:ada"]}


def named(*names: str, **more: Any) -> dict[str, Any]:
    """Give a body that appends an event to each stream."""
    return {"appends": [{"stream": name, "events": [EVENT]} for name in names], **more}


def once(name: str, after: int = 0) -> dict[str, Any]:
    """Give a body that takes a name unless it is taken."""
    query = {"any_of": [{"types": ["NameTaken"], "tags": ["name:ada"]}]}
    return {
        "appends": [{"stream": name, "events": [TAKEN]}],
        "condition": {"none_matching": query, "after": after},
    }


async def test_appends_to_several_streams_share_one_place_in_the_log(
    http: httpx.AsyncClient,
) -> None:
    await appended(http, "order-2", 2)
    answer = await http.post(
        "/appends",
        json={
            "appends": [
                {"stream": "order-1", "expected_revision": "no_stream", "events": [EVENT, EVENT]},
                {"stream": "order-2", "expected_revision": 1, "events": [EVENT]},
                {"stream": "order-2", "events": [EVENT]},
            ]
        },
    )

    assert answer.status_code == 201
    assert answer.headers["event-position"] == "6;epoch=1"
    assert "etag" not in answer.headers
    body = answer.json()
    assert body["position"] == 6
    assert [
        (one["stream"], one["first_revision"], one["revision"], one["position"])
        for one in body["appends"]
    ] == [("order-1", 0, 1, 4), ("order-2", 2, 2, 5), ("order-2", 3, 3, 6)]
    ids = [one for each in body["appends"] for one in each["event_ids"]]
    assert [event["id"] for event in events_of(await http.get("/events?after=2"))] == ids


@pytest.mark.parametrize("expected", ["stream_exists", 0, 7, "no_stream"])
async def test_one_conflict_refuses_all_of_them(http: httpx.AsyncClient, expected: object) -> None:
    await appended(http, "there", 2)
    name = "there" if expected in ("no_stream", 7) else "not-there"
    body = named("order-1")
    body["appends"].append({"stream": name, "expected_revision": expected, "events": [EVENT]})
    answer = await http.post("/appends", json=body)

    facts = problem(answer, 412, "revision-conflict")
    assert (facts["stream"], facts["expected_revision"]) == (name, expected)
    assert facts["current_revision"] == (1 if name == "there" else None)
    assert await head(http) == 2
    assert (await http.get("/streams/order-1")).status_code == 404


@pytest.mark.parametrize("expected", ["any", "stream_exists", 1])
async def test_every_expectation_can_be_met(http: httpx.AsyncClient, expected: object) -> None:
    await appended(http, "there", 2)
    body = {"appends": [{"stream": "there", "expected_revision": expected, "events": [EVENT]}]}
    assert (await http.post("/appends", json=body)).status_code == 201


async def test_a_condition_lets_only_the_first_append_through(http: httpx.AsyncClient) -> None:
    assert (await http.post("/appends", json=once("user-1"))).status_code == 201
    answer = await http.post("/appends", json=once("user-2"))

    facts = problem(answer, 412, "condition-failed", "position 1")
    assert facts["position"] == 1
    assert await head(http) == 1


async def test_a_condition_looks_only_behind_its_position(http: httpx.AsyncClient) -> None:
    await http.post("/appends", json=once("user-1"))
    await appended(http, "other", 3)

    assert (await http.post("/appends", json=once("user-2", after=1))).status_code == 201
    answer = await http.post("/appends", json=once("user-3", after=1))
    assert problem(answer, 412, "condition-failed")["position"] == 5


@pytest.mark.parametrize(
    ("item", "status"),
    [
        ({}, 412),
        ({"types": ["Counted"]}, 412),
        ({"types": ["Counted"], "categories": ["cart"]}, 201),
        ({"categories": ["order"]}, 412),
        ({"streams": ["order-1"]}, 412),
        ({"streams": ["order-2"]}, 201),
        ({"tags": ["none"]}, 201),
    ],
)
async def test_a_condition_may_name_any_dimension(
    http: httpx.AsyncClient, item: dict[str, Any], status: int
) -> None:
    await appended(http, "order-1")
    condition = {"none_matching": {"any_of": [item]}}
    answer = await http.post("/appends", json=named("user-1", condition=condition))
    assert answer.status_code == status


async def test_a_retry_gives_the_first_answer_though_the_condition_now_fails(
    http: httpx.AsyncClient,
) -> None:
    body = once("user-1")
    headers = {"idempotency-key": "take ada"}
    first = await http.post("/appends", json=body, headers=headers)
    await appended(http, "other", 3)
    again = await http.post("/appends", json=body, headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["event-position"] == first.headers["event-position"]
    assert await head(http) == 4


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
async def test_expectations_of_one_stream_have_no_place_here(
    shared_http: httpx.AsyncClient, header: str
) -> None:
    answer = await shared_http.post("/appends", json=named("order-1"), headers={header: "*"})
    problem(answer, 400, "malformed-request", "expected_revision")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$"),
        ([], "$"),
        ({"appends": {}}, "$.appends"),
        ({"appends": [{"events": [EVENT]}]}, "$.appends[0]"),
        ({"appends": [{"stream": 5, "events": [EVENT]}]}, "$.appends[0].stream"),
        ({"appends": [{"stream": "", "events": [EVENT]}]}, "$.appends[0].stream"),
        ({"appends": [{"stream": "a\n", "events": [EVENT]}]}, "$.appends[0].stream"),
        ({"appends": [{"stream": "a", "events": {}}]}, "$.appends[0].events"),
        ({"appends": [{"stream": "a", "events": [{}]}]}, "$.appends[0].events[0]"),
        (
            {"appends": [{"stream": "a", "events": [EVENT, {"type": ""}]}]},
            "$.appends[0].events[1].type",
        ),
        (named("a", surplus=1), "$"),
        (named("a", condition=[]), "$.condition"),
        (named("a", condition={}), "$.condition"),
        (named("a", condition={"none_matching": {}}), "$.condition.none_matching.any_of"),
        (
            named("a", condition={"none_matching": {"any_of": []}}),
            "$.condition.none_matching.any_of",
        ),
        (
            named("a", condition={"none_matching": {"any_of": [{"typ": []}]}}),
            "$.condition.none_matching.any_of[0]",
        ),
        (
            named("a", condition={"none_matching": {"any_of": [{"types": [""]}]}}),
            "$.condition.none_matching.any_of[0].types",
        ),
        (
            named("a", condition={"none_matching": {"any_of": [{}]}, "after": -1}),
            "$.condition.after",
        ),
        (
            named("a", condition={"none_matching": {"any_of": [{}]}, "after": 2**63}),
            "$.condition.after",
        ),
        (
            named("a", condition={"none_matching": {"any_of": [{}]}, "after": 1.5}),
            "$.condition.after",
        ),
    ],
)
async def test_a_fault_is_named_by_its_path(
    shared_http: httpx.AsyncClient, body: object, path: str
) -> None:
    before = await head(shared_http)
    answer = await shared_http.post("/appends", json=body)
    assert problem(answer, 422, "invalid-request")["path"] == path
    assert await head(shared_http) == before


@pytest.mark.parametrize("expected", [-1, 2**63, 10**40, 1.5, True, None, "none", "5", "no_Stream"])
async def test_an_expectation_that_is_none_is_refused(
    shared_http: httpx.AsyncClient, expected: object
) -> None:
    body = {"appends": [{"stream": "a", "events": [EVENT], "expected_revision": expected}]}
    answer = await shared_http.post("/appends", json=body)
    facts = problem(answer, 422, "invalid-request")
    assert facts["path"] == "$.appends[0].expected_revision"


@pytest.mark.parametrize("body", [{"appends": []}, {"appends": [{"stream": "a", "events": []}]}])
async def test_an_append_of_nothing_is_refused(
    shared_http: httpx.AsyncClient, body: object
) -> None:
    answer = await shared_http.post("/appends", json=body)
    problem(answer, 422, "invalid-request", "at least one event")


async def test_a_stream_named_twice_may_expect_only_once(shared_http: httpx.AsyncClient) -> None:
    body = named("twice", "twice")
    body["appends"][1]["expected_revision"] = 0
    answer = await shared_http.post("/appends", json=body)
    problem(answer, 422, "invalid-request", "'twice' is named twice")
