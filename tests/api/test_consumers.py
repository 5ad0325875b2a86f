"""Consumer groups over HTTP: shapes, statuses, waits, and requests that do not fit."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from eventstore import EventData, EventStore
from eventstore.sync import SyncEventStore
from tests.api.rest import problem
from tests.fix_service import served
from tests.fix_waiting import wait_until

pytestmark = pytest.mark.one_postgres

GROUP = "/consumers/emails"
JSON = {"content-type": "application/json"}
REGISTER = "SELECT eventstore.projection_register_v1(%s, 1, '{}', '{t}', 'f', 1)"
SETTLE = b'{"deliveries": ["1-1"], %s}'


async def test_a_group_is_made_shown_changed_and_deleted(http: httpx.AsyncClient, sql: Any) -> None:
    body = {"query": {"any_of": [{"types": ["OrderPlaced"]}]}, "buffer": 7}
    made = await http.put(GROUP, json=body)
    assert made.status_code == 201
    shown = (await http.get(GROUP)).json()
    created_at = shown.pop("created_at")
    assert made.json() == {**shown, "created_at": created_at, "created": True}
    assert shown == {
        "name": "emails",
        "query": {"any_of": [{"types": ["OrderPlaced"]}]},
        "ordering": "stream",
        "buffer": 7,
        "lease": 30,
        "retries": 5,
        "backoff": 1,
        "after": [],
        "checkpoint": 0,
        "head": 0,
        "lag_events": 0,
        "lag_seconds": 0,
        "buffered": 0,
        "returned": 0,
        "in_flight": 0,
        "parked": 0,
        "held": 0,
        "members": {},
        "workers": [],
    }
    again = await http.put(GROUP, json={**body, "retries": 0})
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert again.json()["retries"] == 0
    other = await http.put(GROUP, json={})
    assert (other.status_code, other.json()["query"]) == (200, {"any_of": [{}]})
    refused = await http.put(GROUP, json={"ordering": "none"})
    problem(refused, 409, "consumer-refused", "another name")
    [one] = (await http.get("/consumers")).json()["consumers"]
    sql.execute("SELECT eventstore.consumer_beat_v1('emails', 'me', '{}', '{}')")
    assert (await http.get("/consumers")).json()["consumers"] == [{**one, "workers": ["me"]}]
    problem(await http.delete(GROUP), 409, "consumer-refused", "1 worker")
    problem(await http.put(GROUP, json={"retries": 1}), 409, "consumer-refused", "1 worker")
    sql.execute("SELECT eventstore.consumer_leave_v1('emails', 'me')")
    gone = await http.delete(GROUP)
    assert (gone.status_code, gone.content) == (204, b"")
    problem(await http.delete(GROUP), 404, "not-found", "no consumer group")
    problem(await http.get(GROUP), 404, "not-found")
    assert (await http.get("/consumers")).json() == {"consumers": []}


async def test_deliveries_are_received_and_settled(
    http: httpx.AsyncClient, store: EventStore
) -> None:
    await store.append("a", [EventData("T", {"n": 1}), EventData("T")])
    await store.append("b", EventData("T"))
    await http.put(GROUP, json={})
    answer = await http.post(f"{GROUP}/receive", json={"max": 5, "member": "me"})
    assert answer.status_code == 200
    first, second = answer.json()["deliveries"]
    assert first["event"] == (await http.get("/streams/a/0")).json()
    assert (first["id"].split("-")[0], first["attempt"]) == ("1", 1)
    assert first["leased_until"] > first["event"]["recorded_at"]
    assert (await http.get(GROUP)).json()["members"] == {"me": 2}

    done = await http.post(f"{GROUP}/ack", json={"deliveries": [first["id"], "1-9"]})
    assert done.json() == {"settled": 1, "parked": 0, "lost": ["1-9"]}
    parked = await http.post(
        f"{GROUP}/nack", json={"deliveries": [second["id"]], "action": "park", "reason": "ü"}
    )
    assert parked.json() == {"settled": 1, "parked": 1, "lost": []}
    [one] = (await http.get(f"{GROUP}/parked")).json()["parked"]
    assert (one["position"], one["stream"], one["revision"]) == (3, "b", 0)
    assert (one["reason"], one["attempts"], one["held"]) == ("ü", 1, 0)
    replayed = await http.post(f"{GROUP}/parked/replay")
    assert replayed.json() == {"replayed": 1}
    [behind, again] = (await http.post(f"{GROUP}/receive")).json()["deliveries"]
    assert (behind["event"]["position"], again["event"]["position"]) == (2, 3)
    await http.post(f"{GROUP}/nack", json={"deliveries": [again["id"]], "action": "park_event"})
    dropped = await http.post(f"{GROUP}/parked/drop", json={"positions": [3]})
    assert dropped.json() == {"dropped": 1}


def test_a_client_that_goes_while_it_waits_takes_no_delivery_with_it(dsn: str) -> None:
    store = EventStore(dsn)
    with served(store) as (host, port), SyncEventStore(dsn) as other:
        other.consumers.create("emails")
        with socket.create_connection((host, port)) as line:
            wait = b"Prefer: wait=60\r\nContent-Length: 0\r\n\r\n"
            line.sendall(b"POST /consumers/emails/receive HTTP/1.1\r\nHost: x\r\n" + wait)
            wait_until(lambda: store.followers == 1, "the receive to wait")
        wait_until(lambda: store.followers == 0, "the service to let it go")
        other.append("a", EventData("T"))
        [delivery] = other.consumers.receive("emails")
        assert (delivery.event.position, delivery.attempt) == (1, 1)


REFUSED: list[tuple[str, str, bytes, int, str, str]] = [
    ("PUT", "", b"{", 400, "malformed-request", "not JSON"),
    ("PUT", "", b"[]", 422, "invalid-request", "object"),
    ("PUT", "", b'{"querry": {}}', 422, "invalid-request", "querry"),
    ("PUT", "", b'{"query": {}}', 422, "invalid-request", "$.query.any_of"),
    ("PUT", "", b'{"query": {"any_of": [{"type": []}]}}', 422, "invalid-request", "any_of[0]"),
    ("PUT", "", b'{"start": "tail"}', 422, "invalid-request", "$.start"),
    ("PUT", "", b'{"start": -1}', 422, "invalid-request", "$.start"),
    ("PUT", "", b'{"start": 99999999999999999999}', 422, "invalid-request", "start"),
    ("PUT", "", b'{"start": 7}', 422, "invalid-request", "head 0"),
    ("PUT", "", b'{"ordering": "any"}', 422, "invalid-request", "$.ordering"),
    ("PUT", "", b'{"buffer": 0}', 422, "invalid-request", "$.buffer"),
    ("PUT", "", b'{"buffer": true}', 422, "invalid-request", "$.buffer"),
    ("PUT", "", b'{"lease": 1e99}', 422, "invalid-request", "$.lease"),
    ("PUT", "", b'{"lease": "30"}', 422, "invalid-request", "$.lease"),
    ("PUT", "", b'{"retries": 1.5}', 422, "invalid-request", "$.retries"),
    ("PUT", "", b'{"backoff": -0.1}', 422, "invalid-request", "$.backoff"),
    ("PUT", "", b'{"after": ["none"]}', 422, "invalid-request", "none"),
    ("PUT", "", b'{"after": ["\\u0000"]}', 422, "invalid-request", "$.after"),
    ("PUT", "", b" " * (1 << 19), 413, "limit-exceeded", "bytes"),
    ("POST", "/receive", b'{"max": 0}', 422, "invalid-request", "$.max"),
    ("POST", "/receive", b'{"max": 1001}', 422, "invalid-request", "$.max"),
    ("POST", "/receive", b'{"member": ""}', 422, "invalid-request", "$.member"),
    ("POST", "/receive", b'{"member": "\\u0000"}', 422, "invalid-request", "$.member"),
    ("POST", "/receive", b'{"member": "\\ud800"}', 400, "malformed-request", "JSON"),
    ("POST", "/ack", b"", 400, "malformed-request", "JSON"),
    ("POST", "/ack", b"{}", 422, "invalid-request", "deliveries"),
    ("POST", "/ack", b'{"deliveries": []}', 422, "invalid-request", "$.deliveries"),
    ("POST", "/ack", b'{"deliveries": "1-1"}', 422, "invalid-request", "$.deliveries"),
    ("POST", "/ack", b'{"deliveries": ["1-1", "x"]}', 422, "invalid-request", "[1]"),
    ("POST", "/ack", b'{"deliveries": ["0-1"]}', 422, "invalid-request", "[0]"),
    ("POST", "/ack", b'{"deliveries": ["1-\\u0661"]}', 422, "invalid-request", "[0]"),
    (
        "POST",
        "/nack",
        SETTLE % b'"action": "x"',
        422,
        "invalid-request",
        "$.action",
    ),
    (
        "POST",
        "/nack",
        SETTLE % b'"action": "x"',
        422,
        "invalid-request",
        "retry, park, park_event, park_stream, skip, release: 'x'",
    ),
    (
        "POST",
        "/nack",
        SETTLE % b'"delay": -1',
        422,
        "invalid-request",
        "$.delay",
    ),
    (
        "POST",
        "/nack",
        SETTLE % b'"reason": 5',
        422,
        "invalid-request",
        "$.reason",
    ),
    ("POST", "/parked/replay", b'{"stream": ""}', 422, "invalid-request", "empty"),
    ("POST", "/parked/replay", b'{"positions": [0]}', 422, "invalid-request", "$.positions[0]"),
    ("POST", "/parked/drop", b"{}", 422, "invalid-request", "named"),
    ("GET", "/parked?limit=0", b"", 400, "malformed-request", "limit"),
    ("GET", "/parked?all=1", b"", 400, "malformed-request", "all"),
]


async def test_requests_that_do_not_fit_are_refused(
    http: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path, body, status, slug, mention in REFUSED:
        with subtests.test(f"{method} {path} {ascii(body)[:50]}"):
            if path:
                await http.put(GROUP, json={})
            answer = await http.request(method, GROUP + path, content=body, headers=JSON)
            problem(answer, status, slug, mention)
            assert len((await http.get("/consumers")).json()["consumers"]) == bool(path)


async def test_what_is_not_understood_is_refused(http: httpx.AsyncClient) -> None:
    problem(await http.put("/consumers/No", json={}), 422, "invalid-request", "a-z")
    other = await http.put(GROUP, content=b"{}", headers={"content-type": "a/b"})
    problem(other, 415, "unsupported-media-type")
    problem(await http.put(GROUP, json={}, headers={"accept": "text/html"}), 406, "not-acceptable")
    await http.put(GROUP, json={})
    for path in ("receive", "parked/replay"):
        answer = await http.post(f"{GROUP}/{path}", content=b"{}", headers={"content-type": "a/b"})
        problem(answer, 415, "unsupported-media-type")
    answer = await http.post(f"{GROUP}/receive", headers={"prefer": "wait=soon"})
    problem(answer, 400, "malformed-request", "wait")
    answer = await http.request("PATCH", GROUP)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PUT"


async def test_a_group_of_which_nothing_is_said_has_the_defaults(http: httpx.AsyncClient) -> None:
    made = await http.put(GROUP)
    assert (made.status_code, made.json()["buffer"]) == (201, 200)
    assert (await http.put(GROUP)).json() == {**made.json(), "created": False}
    # What says that it has a body, and has none, has lost it on the way.
    for path in (GROUP, f"{GROUP}/receive", f"{GROUP}/parked/replay"):
        lost = await http.request("PUT" if path == GROUP else "POST", path, headers=JSON)
        problem(lost, 400, "malformed-request", "announced by its content type")


async def test_a_projection_that_is_not_known_is_told_with_those_that_are(
    http: httpx.AsyncClient, sql: Any
) -> None:
    unknown = {"after": ["missing"]}
    told = """consumer group "emails": after: there is no projection 'missing'; there are """
    for known in ("none", "customers", "customers, orders"):
        refused = await http.put(GROUP, json=unknown)
        problem(refused, 422, "invalid-request", f"{told}{known}; one is known once its worker")
        name = "orders" if known == "customers" else "customers"
        sql.execute(REGISTER, [name])


async def test_a_stale_log_is_a_conflict(http: httpx.AsyncClient, sql: Any) -> None:
    await http.put(GROUP, json={})
    sql.execute("UPDATE eventstore.consumer_groups SET checkpoint = 9")
    sql.execute("SELECT eventstore.begin_epoch()")
    for path, body in (("receive", {}), ("ack", {"deliveries": ["1-1"]})):
        answer = await http.post(f"{GROUP}/{path}", content=json.dumps(body), headers=JSON)
        members = problem(answer, 409, "history-rewound")
        assert (members["position"], members["epoch"], members["current_epoch"]) == (9, 1, 2)
