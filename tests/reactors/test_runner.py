"""Reactors: order in a stream, figures that hold, failures that harm one stream, a quiet end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from typing import Any

import pytest

from eventstore import Append, Appended, EventData, EventStore, Reactor, RecordedEvent, Settled
from eventstore.consumers import ConsumerCatalog
from eventstore.core.errors import NotFound, OutcomeUnknown, RevisionConflict
from eventstore.core.reactor import MOST_CONCURRENT
from eventstore.presence import Beat, Presence
from eventstore.reactors import Context, ReactorRunner
from tests.fix_database import Pg
from tests.fix_waiting import until
from tests.projections.orders import Orders, working
from tests.reactors.reacting import (
    Handling,
    deliveries,
    happen,
    reacting,
    reactor,
    settled,
)


async def test_every_event_is_handled_in_the_order_of_its_stream(
    store: EventStore, connection: Pg
) -> None:
    handling = Handling()
    for stream in ("a-1", "a-2", "a-3"):
        await happen(store, stream, 5)
    async with reacting(store, reactor(handling)):
        done = await handling.reach(15)
        for stream in ("a-1", "a-2", "a-3"):
            assert [place for place in done if place[0] == stream] == [
                (stream, revision) for revision in range(5)
            ]
        await happen(store, "a-1")
        assert (await handling.reach(16))[-1] == ("a-1", 5)
        await settled(connection)
    assert await deliveries(connection) == []


async def test_no_more_are_handled_at_once_than_its_concurrency(store: EventStore) -> None:
    handling = Handling()
    handling.may_end.clear()
    for number in range(20):
        await happen(store, f"a-{number}")
    async with reacting(store, reactor(handling, concurrency=3)):
        await handling.reach_begun(3)
        status = await store.consumers.get("emails")
        assert status.in_flight == 6  # three more are in hand, so that nobody waits for them
        handling.may_end.set()
        await handling.reach(20)
    assert handling.most_at_once == 3


async def test_as_many_as_may_be_are_handled_at_once(store: EventStore) -> None:
    handling = Handling()
    handling.may_end.clear()
    made = [Append(f"a-{n}", [EventData("Happened", {})]) for n in range(MOST_CONCURRENT)]
    await store.append_many(made)
    async with reacting(store, reactor(handling, concurrency=MOST_CONCURRENT)):
        await handling.reach_begun(MOST_CONCURRENT)
        handling.may_end.set()
        await handling.reach(MOST_CONCURRENT)


async def test_no_more_wait_than_its_buffer(store: EventStore) -> None:
    waiting: list[int] = []

    async def handle(event: RecordedEvent, context: Context) -> None:
        status = await store.consumers.get("emails")
        waiting.append(status.buffered + status.returned)

    async def all_handled() -> bool:
        return len(waiting) == 20

    for number in range(20):
        await happen(store, f"a-{number}")
    async with reacting(store, reactor(handle, concurrency=1, buffer=4)):
        await until(all_handled, "20 events")
    assert 0 < max(waiting) <= 4, waiting


async def test_an_event_that_fails_is_tried_again_then_its_stream_is_parked_and_others_go_on(
    store: EventStore, connection: Pg
) -> None:
    handling = Handling()
    handling.broken = {"a-2"}
    for stream in ("a-1", "a-2", "a-1", "a-2"):
        await happen(store, stream)
    async with reacting(store, reactor(handling, retries=2)):
        await settled(connection)
        assert handling.done == [("a-1", 0), ("a-1", 1)]
        assert handling.begun.count(("a-2", 0)) == 3
        assert ("a-2", 1) not in handling.begun
        [parked] = await store.consumers.parked("emails")
        assert (parked.stream_name, parked.attempts, parked.held) == ("a-2", 3, 1)
        assert re.fullmatch(
            r"ValueError: a-2 is broken \(reacting.py:\d+ in __call__\)", parked.reason
        )
        handling.broken = set()
        assert await store.consumers.replay("emails") == 1
        assert (await handling.reach(4))[2:] == [("a-2", 0), ("a-2", 1)]


async def test_a_handler_that_hangs_fails_at_its_deadline(store: EventStore) -> None:
    handling = Handling()
    handling.may_end.clear()
    await happen(store, "a-1")

    async def parked() -> object:
        return await store.consumers.parked("emails")

    async with reacting(store, reactor(handling, retries=0, deadline=0.01)):
        await until(parked, "a parked event")
    [one] = await store.consumers.parked("emails")
    assert one.reason == "not done after 0.01 s"


async def test_an_event_without_a_handler_here_is_parked_with_a_word(store: EventStore) -> None:
    await happen(store, "a-1")
    async with reacting(store, reactor(refusing, retries=0)):
        await until(lambda: store.consumers.parked("emails"), "a parked event")
    younger = Reactor("emails", retries=0)
    younger.on("Other")(refusing)
    async with reacting(store, younger):
        await store.consumers.replay("emails")
        await until(lambda: store.consumers.parked("emails"), "a parked event")
    [one] = await store.consumers.parked("emails")
    assert "emails has no handler of Happened here: another version" in one.reason


async def refusing(event: RecordedEvent, context: Context) -> None:
    raise ValueError


async def test_a_handler_that_cancels_itself_fails(store: EventStore) -> None:
    async def handle(event: RecordedEvent, context: Context) -> None:
        raise asyncio.CancelledError

    await happen(store, "a-1")

    async def parked() -> object:
        return await store.consumers.parked("emails")

    async with reacting(store, reactor(handle, retries=0)):
        await until(parked, "a parked event")
    [one] = await store.consumers.parked("emails")
    assert one.reason == "the handler has cancelled itself"


async def test_what_it_appends_is_there_once_however_often_it_is_handled(
    store: EventStore, connection: Pg
) -> None:
    seen: list[tuple[int, str]] = []

    async def handle(event: RecordedEvent, context: Context) -> None:
        seen.append((context.attempt, context.idempotency_key))
        await context.append("mail-1", EventData("Sent", {"to": "one"}))
        if context.attempt == 1:
            raise ConnectionError("after the first")
        await context.append("mail-1", [EventData("Sent", {"to": "two"}), EventData("Sent")])
        if context.attempt == 2:
            raise ConnectionError("after both")

    await happen(store, "a-1")
    async with reacting(store, reactor(handle)):
        await settled(connection)
    mails = [event async for event in store.read_stream("mail-1")]
    assert [mail.data for mail in mails] == [{"to": "one"}, {"to": "two"}, {}]
    assert [attempt for attempt, _ in seen] == [1, 2, 3]
    assert len({key for _, key in seen}) == 1


async def test_an_append_that_failed_has_the_same_ids_when_the_handler_repeats_it(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a later attempt, which does not fail there, gives the same ids to the same appends."""
    append = EventStore.append
    lost = [True]

    async def append_and_lose_the_answer(*args: Any, **options: Any) -> Appended:
        appended = await append(*args, **options)
        if lost:
            lost.clear()
            raise OutcomeUnknown(appended.event_ids)
        return appended

    async def handle(event: RecordedEvent, context: Context) -> None:
        if context.attempt == 1:
            with pytest.raises(RevisionConflict):
                await context.append("mail-1", EventData("Sent"), expected_revision=9)
        await asyncio.gather(
            context.append("mail-1", EventData("Sent", {"to": "one"})),
            context.append("mail-1", EventData("Sent", {"to": "two"})),
        )
        if context.attempt == 1:
            raise ConnectionError("after all")

    await happen(store, "a-1")
    monkeypatch.setattr(EventStore, "append", append_and_lose_the_answer)
    async with reacting(store, reactor(handle)):
        await settled(connection)
    monkeypatch.undo()
    mails = [event.data async for event in store.read_stream("mail-1")]
    assert mails == [{"to": "one"}, {"to": "two"}]
    assert lost == []


async def test_what_it_appends_says_what_caused_it(store: EventStore, connection: Pg) -> None:
    async def handle(event: RecordedEvent, context: Context) -> None:
        await context.append("mail-1", EventData("Sent", metadata={"by": "post"}))

    await store.append("a-1", EventData("Happened", metadata={"correlation_id": "visit 7"}))
    await happen(store, "a-2")
    async with reacting(store, reactor(handle, concurrency=1)):
        await settled(connection)
    causes = [event async for event in store.read() if event.event_type == "Happened"]
    sent = [event.metadata async for event in store.read_stream("mail-1")]
    assert sent == [
        {"by": "post", "causation_id": str(causes[0].event_id), "correlation_id": "visit 7"},
        {
            "by": "post",
            "causation_id": str(causes[1].event_id),
            "correlation_id": str(causes[1].event_id),
        },
    ]


async def test_an_event_is_handled_once_the_projections_before_it_have_applied_it(
    store: EventStore, dsn: str
) -> None:
    """The read table that a handler looks at is at least as new as its event."""
    orders = Orders()
    seen: list[int] = []

    async def handle(event: RecordedEvent, context: Context) -> None:
        assert event.position <= (await store.projections.get("orders")).checkpoint
        seen.append(event.position)

    async def all_seen() -> bool:
        return len(seen) == 10

    async with working(store, dsn, orders.projection):
        await happen(store, "order-1")
        await store.wait_for("orders", position=1)
    await happen(store, "order-1", 9)  # nobody applies these yet
    async with (
        reacting(store, reactor(handle, after=["orders"], concurrency=1)),
        working(store, dsn, orders.projection),
    ):
        await until(all_seen, "ten events")
    assert seen == list(range(1, 11))


async def test_a_stop_lets_handlers_end_and_gives_back_what_has_not_begun(
    store: EventStore, connection: Pg
) -> None:
    handling = Handling()
    handling.may_end.clear()
    for number in range(4):
        await happen(store, f"a-{number}")
    runner = ReactorRunner(store, reactor(handling, concurrency=1), member="one")
    await runner.register()
    stopping = asyncio.Event()
    running = asyncio.ensure_future(runner.run(stopping))
    await handling.reach_begun(1)
    stopping.set()
    handling.may_end.set()  # who waited for the stop goes on first
    await running
    assert handling.done == handling.begun == [("a-0", 0)]
    assert [state[0] for state in await deliveries(connection)] == [
        "returned",
        "waiting",
        "waiting",
    ]
    assert {state[2] for state in await deliveries(connection)} == {0}


async def test_a_stop_gives_back_what_takes_too_long_once_its_handler_has_ended(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or another worker would handle the event beside it."""
    monkeypatch.setattr("eventstore.reactors.GRACE", 0.3)
    begun, order = asyncio.Event(), []
    nack = ConsumerCatalog.nack

    async def give_back(*args: Any, **options: Any) -> Settled:
        order.append("given back")
        return await nack(*args, **options)

    async def handle(event: RecordedEvent, context: Context) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("ended")

    monkeypatch.setattr(ConsumerCatalog, "nack", give_back)
    await happen(store, "a-1")
    async with reacting(store, reactor(handle)):
        await begun.wait()
    assert order == ["ended", "given back"]
    assert await deliveries(connection) == [("returned", "a-1", 0)]


async def test_a_stop_does_not_wait_for_a_database_that_does_not_answer(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.reactors.GRACE", 0.01)
    asked = asyncio.Event()
    fetch = EventStore._fetch

    async def no_answer(self: EventStore, name: str, *args: Any) -> Any:
        if name == "consumer_receive":
            asked.set()
            await asyncio.Event().wait()
        return await fetch(self, name, *args)

    monkeypatch.setattr(EventStore, "_fetch", no_answer)
    async with EventStore(store._dsn) as stuck, reacting(stuck, reactor(Handling())):
        await asked.wait()


async def test_a_worker_that_has_lost_a_lease_lets_its_handler_go(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)
    handling = Handling()
    handling.may_end.clear()
    await happen(store, "a-1")
    async with reacting(store, reactor(handling)):
        await handling.reach_begun(1)
        # As if this process had stood still for longer than its lease, and another had received it.
        await connection.execute("UPDATE eventstore.deliveries SET lease = lease + 1")

        async def let_go() -> bool:
            return handling.at_once == 0

        await until(let_go, "the handler to be cancelled")
    assert handling.done == []
    assert [state for state, *_ in await deliveries(connection)] == ["leased"]


async def test_what_is_settled_while_leases_are_renewed_is_nobody_elses(
    store: EventStore,
    connection: Pg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)
    handling = Handling()
    handling.may_end.clear()
    renewing, may_renew = asyncio.Event(), asyncio.Event()
    answers: list[Settled] = []
    beat = Presence.beat

    async def renew_late(of: Presence, name: str, ids: Iterable[str]) -> Beat:
        if not (held := list(ids)):
            return await beat(of, name, held)
        renewing.set()
        await may_renew.wait()
        told = await beat(of, name, held)
        answers.append(told.settled)
        return told

    async def renewed_again() -> bool:
        return len(answers) > 1

    monkeypatch.setattr(Presence, "beat", renew_late)
    await happen(store, "a-1")
    async with reacting(store, reactor(handling)):
        await renewing.wait()
        handling.may_end.set()
        await settled(connection)
        handling.may_end.clear()
        may_renew.set()
        await happen(store, "a-2")
        await until(renewed_again, "leases that are renewed")
        handling.may_end.set()
    assert len(answers[0].lost) == 1
    assert "another's" not in caplog.text


async def test_leases_are_renewed_while_a_handler_takes_long(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)
    handling = Handling()
    handling.may_end.clear()
    await happen(store, "a-1")

    async def lease() -> Any:
        return await connection.fetchval("SELECT available_at FROM eventstore.deliveries")

    async with reacting(store, reactor(handling)):
        await handling.reach_begun(1)
        first = await lease()

        async def renewed() -> bool:
            return bool(await lease() > first)

        await until(renewed, "a longer lease")
        handling.may_end.set()


async def test_a_group_that_is_removed_ends_its_runner_with_a_word(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)
    handling = Handling()
    runner = ReactorRunner(store, reactor(handling), member="one")
    await runner.register()
    await happen(store, "a-1")
    running = asyncio.ensure_future(runner.run(asyncio.Event()))
    await handling.reach(1)
    await connection.execute("DELETE FROM eventstore.consumer_groups")
    with pytest.raises(ExceptionGroup) as told:
        await running
    assert isinstance(told.value.exceptions[0], NotFound)


async def test_a_runner_is_heard_of_until_it_has_stopped(
    store: EventStore, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.reactors.BEAT", 0.01)

    async def seen_until() -> Any:
        return await connection.fetchval("SELECT seen_until FROM eventstore.consumer_workers")

    async with reacting(store, reactor(Handling()), "one"):
        first = await seen_until()
        assert (await store.consumers.get("emails")).workers == ("one",)

        async def heard_of_again() -> bool:
            return bool(await seen_until() > first)

        await until(heard_of_again, "a heartbeat with nothing in hand")
    assert await seen_until() is None


async def test_a_failure_is_logged_with_its_place_and_what_becomes_of_it(
    store: EventStore, connection: Pg, caplog: pytest.LogCaptureFixture
) -> None:
    handling = Handling()
    handling.broken = {"a-1"}
    await happen(store, "a-1")
    with caplog.at_level(logging.WARNING, "eventstore.reactors"):
        async with reacting(store, reactor(handling, retries=1)):
            await settled(connection)
    again, parked = caplog.records
    at = "<Reactor emails>: Happened of a-1 at position 1, attempt"
    assert again.getMessage().startswith(f"{at} 1 of 2, again in 0.001 s: ValueError: a-1 is")
    assert parked.getMessage().startswith(f"{at} 2 of 2, parked: ValueError: a-1 is broken (react")
    assert (again.levelname, parked.levelname) == ("WARNING", "ERROR")
    for record in (again, parked):
        assert record.exc_info is not None
        assert record.exc_info[2] is not None
        assert record.exc_info[2].tb_frame.f_code.co_filename.endswith("reacting.py")
