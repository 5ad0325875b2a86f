"""Commands: decided on the true state, and handled once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from eventstore import (
    NO_STREAM,
    Appended,
    CommandRefused,
    Decider,
    DeciderFailed,
    EventData,
    EventStore,
    Handled,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    RecordedEvent,
    RevisionConflict,
    UnreadableEvent,
)
from eventstore.core.errors import EventStoreError
from eventstore.deciders import Fetch, Step, Store, handling
from eventstore.sync import SyncEventStore
from tests.fix_database import Pg
from tests.fix_faces import LocalFace, Threaded
from tests.fix_waiting import dense, until
from tests.wallet import (
    Break,
    Close,
    Closed,
    Deposit,
    Deposited,
    Touch,
    Wallet,
    Withdraw,
    Withdrawn,
    broken_wallet,
    new_wallet,
)

wallet = new_wallet()


@dataclass(frozen=True)
class Noted:
    """Anything was noted."""

    note: Any


async def stored(face: LocalFace, stream_name: str = "wallet-1") -> list[RecordedEvent]:
    return [event async for event in face.read_stream(stream_name)]


async def test_a_command_is_decided_on_the_stream_and_its_events_are_appended(
    local_face: LocalFace,
) -> None:
    first = await local_face.handle(wallet, "wallet-1", Deposit(5))
    assert first.appended is not None
    assert first.written[0].event_id == first.appended.event_ids[0]
    assert first[1:2] + first[3:6] == ((Deposited(5),), Wallet(5), 0, 1)
    options: Any = {"tags": ["b", "a"], "metadata": {"correlation_id": "c"}}
    closing = await local_face.handle(wallet, "wallet-1", Close(), **options)
    assert closing.events == (Withdrawn(5), Closed())
    assert closing.state == Wallet(0, is_closed=True)
    assert (closing.revision, closing.position) == (2, 3)
    events = await stored(local_face)
    assert [event.event_type for event in events] == ["Deposited", "Withdrawn", "Closed"]
    assert [event.data for event in events] == [{"amount": 5}, {"amount": 5}, {}]
    assert [event.metadata for event in events[1:]] == [{"correlation_id": "c"}] * 2
    assert [event.tags for event in events[1:]] == [["a", "b"]] * 2


async def test_a_refused_command_appends_nothing(local_face: LocalFace) -> None:
    await local_face.handle(wallet, "wallet-1", Deposit(5))
    with pytest.raises(CommandRefused, match="there is not enough") as refused:
        await local_face.handle(wallet, "wallet-1", Withdraw(6))
    assert refused.value.details == {"balance": 5}
    assert len(await stored(local_face)) == 1


async def test_a_command_that_causes_nothing_says_where_it_was_decided(
    local_face: LocalFace,
) -> None:
    nothing = await local_face.handle(wallet, "wallet-1", Touch(), wait_for=None)
    assert nothing == ("wallet-1", (), (), Wallet(0), None, 0, None)
    await local_face.append("other", EventData("T"))
    await local_face.handle(wallet, "wallet-1", Deposit(5))
    nothing = await local_face.handle(wallet, "wallet-1", Touch())
    assert nothing == ("wallet-1", (), (), Wallet(5), 0, 2, None)


async def test_other_events_of_the_stream_are_passed_over(local_face: LocalFace) -> None:
    await local_face.append("wallet-1", [EventData("Renamed", "x")] * 250)
    await local_face.append("wallet-1", EventData("Deposited", {"amount": 5}))
    handled = await local_face.handle(wallet, "wallet-1", Deposit(1))
    assert (handled.state, handled.revision) == (Wallet(6), 251)


async def test_a_stored_event_that_does_not_fit_is_named(local_face: LocalFace) -> None:
    await local_face.append("wallet-1", EventData("Deposited", {"amount": 5}))
    bad = await local_face.append("wallet-1", EventData("Deposited", {"amount": "5"}))
    with pytest.raises(UnreadableEvent, match=r"position 2 .*\$\.data\.amount") as failed:
        await local_face.handle(wallet, "wallet-1", Deposit(1))
    assert failed.value.event_id == bad.event_ids[0]
    assert len(await stored(local_face)) == 2


async def test_an_event_that_could_not_be_read_again_is_not_stored(local_face: LocalFace) -> None:
    """Every later command on the stream would be refused for it."""

    def decide(command: Deposit, state: Wallet) -> Deposited:
        return Deposited(str(command.amount))  # type: ignore[arg-type]

    careless = Decider(
        "wallet",
        initial=Wallet(),
        commands=[Deposit],
        events=[Deposited],
        decide=decide,
        evolve=lambda state, _: state,
    )
    with pytest.raises(DeciderFailed, match=r"\$\.data\.amount: Deposited could not be read again"):
        await local_face.handle(careless, "wallet-1", Deposit(5))
    assert await stored(local_face) == []


async def test_the_state_is_that_of_the_events_as_they_are_read(local_face: LocalFace) -> None:
    def decide(command: Deposit, state: list[Any]) -> Noted:
        return Noted((command.amount,))

    notes: Decider[list[Any]] = Decider(
        "wallet",
        initial=[],
        commands=[Deposit, Touch],
        events=[Noted],
        decide=lambda command, state: None if command == Touch() else decide(command, state),
        evolve=lambda state, event: [*state, event.note],
    )
    first = await local_face.handle(notes, "wallet-1", Deposit(5))
    again = await local_face.handle(notes, "wallet-1", Touch())
    assert first.state == again.state == [[5]]


@pytest.mark.parametrize(
    ("how", "cause", "problem"),
    [
        ("decide", KeyError, r"decide raised KeyError \(wallet.py:\d+ in break_it\)$"),
        ("evolve", ZeroDivisionError, r"evolve raised ZeroDivisionError \(wallet.py:\d+ in "),
        ("unknown", InvalidInput, r"no event type Unknown: register it with @broken.event\(Unk"),
        ("number", InvalidInput, "broken decides on events, one or several, or None: int"),
    ],
)
async def test_a_decider_that_fails_is_named_and_nothing_is_stored(
    local_face: LocalFace, how: str, cause: type[Exception], problem: str
) -> None:
    with pytest.raises(DeciderFailed, match=problem) as failed:
        await local_face.handle(broken_wallet(), "wallet-1", Break(how))
    assert isinstance(failed.value.__cause__, cause)
    told = failed.value.facts
    assert (told["decider"], told["command"], told["stream"]) == ("broken", "Break", "wallet-1")
    assert "secret" not in str(failed.value)
    assert await stored(local_face) == []


async def test_a_stored_event_that_a_decider_fails_on_is_named(local_face: LocalFace) -> None:
    await local_face.append("wallet-1", [EventData("Other"), EventData("Poisoned", {})])
    with pytest.raises(DeciderFailed, match=r"evolve, at revision 1 \(Poisoned\), raised Zero"):
        await local_face.handle(broken_wallet(), "wallet-1", Break("decide"))


async def test_what_is_asked_wrongly_is_refused(local_face: LocalFace) -> None:
    with pytest.raises(InvalidInput, match="wallet decides on streams like wallet-1"):
        await local_face.handle(wallet, "order-1", Deposit(1))
    with pytest.raises(InvalidInput, match="give the Decider itself, not 'wallet'"):
        await local_face.handle("wallet", "wallet-1", Deposit(1))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="has no command Deposited"):
        await local_face.handle(wallet, "wallet-1", Deposited(1))
    with pytest.raises(InvalidInput, match="1 to 255"):
        await local_face.handle(wallet, "wallet-1", Deposit(1), command_id="")
    with pytest.raises(InvalidInput, match="retries are 0 or more"):
        await local_face.handle(wallet, "wallet-1", Deposit(1), retries=-1)
    with pytest.raises(NotFound, match="no projection"):
        await local_face.handle(wallet, "wallet-1", Deposit(1), wait_for="none")
    with pytest.raises(InvalidInput):
        await local_face.handle(wallet, "wallet-1", Deposit(1), tags=["\n"])
    with pytest.raises(InvalidInput, match="tags are a list"):
        await local_face.handle(wallet, "wallet-1", Deposit(1), tags="ab")
    assert (await local_face.head()).position == 0


async def test_a_command_with_an_id_is_handled_once(local_face: LocalFace) -> None:
    first = await local_face.handle(wallet, "wallet-1", Deposit(5), command_id="k")
    closing = await local_face.handle(wallet, "wallet-1", Close(), command_id="k")
    assert closing.events == (Withdrawn(5), Closed())  # another command: another id
    again = await local_face.handle(wallet, "wallet-1", Deposit(5), command_id="k")
    assert again.appended is not None
    assert first.appended is not None
    assert again.appended == first.appended._replace(replayed=True)
    assert again[:6] == first[:6]
    assert (first.replayed, again.replayed) == (False, True)
    again = await local_face.handle(wallet, "wallet-1", Close(), command_id="k")
    assert again[:6] == closing[:6]
    elsewhere = await local_face.handle(wallet, "wallet-2", Deposit(5), command_id="k")
    assert elsewhere.appended is not None
    assert not elsewhere.appended.replayed
    assert len(await stored(local_face)) == 3


async def test_a_copy_is_not_decided_anew(local_face: LocalFace) -> None:
    await local_face.handle(wallet, "wallet-1", Deposit(5))
    first = await local_face.handle(wallet, "wallet-1", Withdraw(5), command_id="k")
    copy = await local_face.handle(wallet, "wallet-1", Withdraw(5), command_id="k")
    assert copy == (*first[:6], again(first))


async def test_a_command_s_id_is_not_an_append_s_key(local_face: LocalFace) -> None:
    await local_face.append("wallet-1", EventData("Other"), idempotency_key="k")
    handled = await local_face.handle(wallet, "wallet-1", Deposit(5), command_id="k")
    assert handled.revision == 1


@asynccontextmanager
async def stores(dsn: str, count: int) -> AsyncIterator[list[EventStore]]:
    """Give stores that know nothing of each other, as processes do."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(EventStore(dsn)) for _ in range(count)]


async def outcomes(racers: list[Awaitable[Any]]) -> tuple[list[Any], list[Any]]:
    """Give what the racers have given, and the refusals."""
    found = await asyncio.gather(*racers, return_exceptions=True)
    refused = [one for one in found if isinstance(one, CommandRefused)]
    done = [one for one in found if one not in refused]
    assert all(isinstance(one, Handled) for one in done), done
    return done, refused


async def test_16_commands_on_one_stream_are_all_decided_on_the_true_state(
    dsn: str, sync_store: SyncEventStore, connection: Pg
) -> None:
    async with stores(dsn, 3) as some:
        all_stores: list[Any] = [*some, Threaded(sync_store)]
        await all_stores[0].handle(wallet, "wallet-1", Deposit(50))
        racers = [
            all_stores[n % 4].handle(wallet, "wallet-1", Withdraw(5), retries=100)
            for n in range(16)
        ]
        done, refused = await outcomes(list(racers))
        assert sorted(one.state.balance for one in done) == list(range(0, 50, 5))
        assert [one.details for one in refused] == [{"balance": 0}] * 6
        assert await dense(connection) == 11


async def test_without_the_loaded_revision_the_wallet_would_be_overdrawn(store: EventStore) -> None:
    await store.handle(wallet, "wallet-1", Deposit(5))
    barrier = asyncio.Barrier(2)

    async def naive() -> None:
        state = wallet.fold([Deposited(e.data["amount"]) for e in await stored(store)])
        [event] = wallet.decide(Withdraw(5), state)
        await barrier.wait()
        await store.append("wallet-1", EventData("Withdrawn", {"amount": event.amount}))

    await asyncio.gather(naive(), naive())
    taken = [event.event_type for event in await stored(store)]
    assert taken == ["Deposited", "Withdrawn", "Withdrawn"]


async def test_commands_of_one_store_on_one_stream_take_turns(store: EventStore) -> None:
    racers = [store.handle(wallet, f"wallet-{n % 2}", Deposit(1), retries=0) for n in range(32)]
    done, _ = await outcomes(list(racers))
    balances = sorted(one.state.balance for one in done)
    assert balances == sorted([*range(1, 17), *range(1, 17)])
    assert not store._turns._locks


async def test_16_copies_of_one_command_are_handled_once(dsn: str, connection: Pg) -> None:
    async with stores(dsn, 4) as all_stores:
        racers = [
            all_stores[n % 4].handle(wallet, "wallet-1", Deposit(5), command_id="k", retries=100)
            for n in range(16)
        ]
        done, _ = await outcomes(list(racers))
    assert sorted(one.appended.replayed for one in done) == [False] + [True] * 15
    assert len({one.appended[:5] for one in done}) == 1
    assert {one.state for one in done} == {Wallet(5)}
    assert await dense(connection) == 1


Steps = Generator[Step, Any, Handled[Wallet]]


async def answer_to(store: EventStore, step: Step) -> Any:
    """Carry out a step; give its answer, or what it raises."""
    try:
        return await store._step(step)
    except EventStoreError as error:
        return error


def next_step(steps: Steps, answer: Any) -> Step:
    """Give the step behind this answer."""
    return steps.throw(answer) if isinstance(answer, EventStoreError) else steps.send(answer)


async def carried_on(store: EventStore, steps: Steps, step: Step) -> Handled[Wallet]:
    """Carry out the steps from this one on."""
    try:
        while True:
            step = next_step(steps, await answer_to(store, step))
    except StopIteration as done:
        handled: Handled[Wallet] = done.value
        return handled


def again(first: Handled[Wallet]) -> Appended:
    """Give how a copy is told where the first one's events are."""
    assert first.appended is not None
    return first.appended._replace(replayed=True)


class Faster:
    """A decider before whose every decision someone else appends, so many times."""

    def __init__(self, store: EventStore, times: int) -> None:
        self.store = store
        self.times = times

    async def handle(self, **options: Any) -> Handled[Wallet]:
        """Deposit 1, with the other's deposits of 10 in between the load and the append."""
        steps = handling(
            wallet,
            "wallet-1",
            Deposit(1),
            **{"command_id": None, "tags": (), "metadata": {}, "retries": 10, **options},
        )
        step = next(steps)
        while self.times:
            while not isinstance(step, Store):
                step = steps.send(await self.store._step(step))
            self.times -= 1
            await self.between()
            step = next_step(steps, await answer_to(self.store, step))
        return await carried_on(self.store, steps, step)

    async def between(self) -> None:
        await self.store.append("wallet-1", EventData("Deposited", {"amount": 10}))


async def test_whoever_was_slower_decides_anew(store: EventStore) -> None:
    handled = await Faster(store, 3).handle()
    assert (handled.state, handled.revision) == (Wallet(31), 3)


async def test_retries_are_bounded(store: EventStore) -> None:
    with pytest.raises(RevisionConflict) as lost:
        await Faster(store, 3).handle(retries=2)
    assert (lost.value.expected_revision, lost.value.current_revision) == (1, 2)
    assert len(await stored(store)) == 3


class CopyIsFaster(Faster):
    """A copy of the command is handled in between, and then other commands."""

    async def between(self) -> None:
        self.first = await self.store.handle(wallet, "wallet-1", Deposit(1), command_id="k")
        await self.store.handle(wallet, "wallet-1", Close(), command_id="k")


async def test_a_copy_that_was_faster_gives_the_answer_of_both(store: EventStore) -> None:
    copied = CopyIsFaster(store, 1)
    handled = await copied.handle(command_id="k")
    assert handled[:6] == copied.first[:6]
    assert handled.appended is not None
    assert handled.appended.replayed
    assert len(await stored(store)) == 3


def drain() -> Decider[Wallet]:
    """Give a decider whose command causes as many events as the balance is."""
    return Decider(
        "wallet",
        initial=Wallet(),
        decide=lambda command, state: [Withdrawn(1)] * state.balance,
        evolve=lambda state, event: Wallet(
            state.balance + (event.amount if isinstance(event, Deposited) else -event.amount)
        ),
        commands=[Close],
        events=[Deposited, Withdrawn],
    )


async def test_a_copy_that_decided_on_another_state_is_answered_whole(store: EventStore) -> None:
    """Fewer ids than are stored would be taken for a retry of a part, more for a stranger's."""
    before = 0
    for balance, more in ((3, -2), (1, 2)):
        stream = f"wallet-{balance}"
        decider = drain()
        await store.append(stream, EventData("Deposited", {"amount": balance}))
        options: Any = {"command_id": "k", "tags": (), "metadata": {}, "retries": 5}
        steps = handling(decider, stream, Close(), **options)
        rows = await store._step(next(steps))
        changed = "Deposited" if more > 0 else "Withdrawn"
        await store.append(stream, EventData(changed, {"amount": abs(more)}))
        first = await store.handle(decider, stream, Close(), command_id="k")
        assert len(first.events) == balance + more
        assert await carried_on(store, steps, steps.send(rows)) == (*first[:6], again(first))
        assert (await store.head()).position == len(await stored(store, stream)) + before
        before = (await store.head()).position


async def test_an_unknown_outcome_is_called_so_and_the_id_makes_it_known(
    store: EventStore,
) -> None:
    steps = handling(
        wallet, "wallet-1", Deposit(5), command_id="k", tags=(), metadata={}, retries=10
    )
    step = next(steps)
    while isinstance(step, Fetch):
        step = steps.send(await store._step(step))
    assert isinstance(step, Store)
    await store._step(step)  # stored, but the answer is lost
    with pytest.raises(OutcomeUnknown):
        steps.throw(OutcomeUnknown(tuple(str(one.event_id) for one in step.events)))
    again = await store.handle(wallet, "wallet-1", Deposit(5), command_id="k")
    assert again.appended is not None
    assert again.appended.replayed
    assert again.events == (Deposited(5),)
    assert len(await stored(store)) == 1


async def test_one_that_is_cancelled_in_its_turn_lets_the_next_one_go_on(
    store: EventStore, connection: Pg
) -> None:
    async with connection.transaction():
        await connection.execute("SELECT FROM eventstore.log FOR UPDATE")
        first = asyncio.ensure_future(store.handle(wallet, "wallet-1", Deposit(1)))
        second = asyncio.ensure_future(store.handle(wallet, "wallet-1", Deposit(2)))
        lock = store._turns.on("wallet-1")

        async def is_waited_for() -> bool:
            return bool(lock._waiters)

        await until(is_waited_for, "the second command")
        first.cancel()
    assert (await second).state.balance in (2, 3)
    assert first.cancelled() or first.exception() is None


async def test_a_stream_that_is_there_is_not_begun_again(store: EventStore) -> None:
    steps = handling(
        wallet, "wallet-1", Deposit(5), command_id=None, tags=(), metadata={}, retries=0
    )
    step = steps.send(await store._step(next(steps)))
    assert isinstance(step, Store)
    assert step.expected_revision is NO_STREAM
