"""Workers: what is appended is applied, shared out, paused, retried, and handed over."""

from __future__ import annotations

import asyncio
import threading

import pytest

from eventstore import DefinitionChanged, EventData, EventStore, ProjectionStopped, Unavailable
from eventstore.postgres.errors import AccessDenied
from eventstore.projections.worker import Worker
from tests.fix_database import Pg
from tests.fix_psql import Login
from tests.fix_waiting import DEADLINE, until
from tests.projections.orders import Orders, counts, reached, working
from tests.projections.test_kinds import by_statement

pytestmark = pytest.mark.one_postgres


async def owners(connection: Pg) -> list[str | None]:
    rows = await connection.fetch(
        "SELECT owner FROM eventstore.projection_partitions ORDER BY partition"
    )
    return [row[0] for row in rows]


async def test_what_is_appended_is_applied_before_and_while_it_runs(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    before = set(threading.enumerate())
    for n in range(20):
        await store.append(f"order-{n % 3}", EventData("T"))
        await store.append("other-1", EventData("T"))
    async with working(store, dsn, Orders().projection):
        await reached(connection, 40)
        for n in range(10):
            written = await store.append(f"order-{n % 3}", EventData("T"))
            waited = "SELECT eventstore.wait_for('orders', $1, $2, '20 s')"
            assert await connection.fetchval(waited, written.stream_name, written.revision)
        await store.append("other-1", EventData("T"))
        await reached(connection, 51)  # the checkpoint moves over what is not its own
    assert await counts(connection) == {"order-0": 11, "order-1": 10, "order-2": 9}
    assert await owners(connection) == [None]

    async def no_thread_is_left() -> bool:
        left = set(threading.enumerate()) - before
        return not [thread for thread in left if thread.name == "projection orders"]

    await until(no_thread_is_left, "the thread of the handlers to end")


async def test_a_catch_up_tells_how_far_it_is(
    store: EventStore,
    dsn: str,
    connection: Pg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("eventstore.projections.runner.REPORT", 0)
    monkeypatch.setattr("eventstore.projections.runner.NEAR", 5)
    monkeypatch.setattr("eventstore.projections.intake.BATCH", 10)
    await store.append("order-1", [EventData("T")] * 30)
    caplog.set_level("INFO", "eventstore.projections")
    async with working(store, dsn, Orders().projection):
        await reached(connection, 30)
    told = [record.getMessage() for record in caplog.records if "to go" in record.getMessage()]
    assert ["20 events to go" in told[0], "10 events to go" in told[1], len(told)] == [
        True,
        True,
        2,
    ]


async def test_partitions_are_shared_by_workers_and_taken_over_when_one_leaves(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders(4).projection, name="a"):
        await reached(connection, 0)
        async with working(store, dsn, Orders(4).projection, name="b"):

            async def shared() -> bool:
                found = await owners(connection)
                return found.count("a") == found.count("b") == 2

            await until(shared, "two partitions each")
            for n in range(40):
                await store.append(f"order-{n % 10}", EventData("T"))
            await reached(connection, 40)

        async def alone() -> bool:
            return await owners(connection) == ["a"] * 4

        await until(alone, "all partitions to be taken over")
        for n in range(40):
            await store.append(f"order-{n % 10}", EventData("T"))
        await reached(connection, 80)
    assert await counts(connection) == {f"order-{n}": 8 for n in range(10)}
    crashes = await connection.fetchval("SELECT sum(crashes) FROM eventstore.projection_partitions")
    assert crashes == 0


async def test_a_parked_stream_is_brought_up_to_date_in_order(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        for kind in ("T", "Fragile", "T"):
            await store.append("order-1", EventData(kind))
            await store.append("order-2", EventData("T"))
        await reached(connection, 6)
        assert await counts(connection) == {"order-1": 1, "order-2": 3}
        made.broken = False
        assert await connection.fetchval("SELECT eventstore.retry_parked('orders')") == 1
        waited = "SELECT eventstore.wait_for('orders', 'order-1', 2, '20 s')"
        assert await connection.fetchval(waited)
        assert await counts(connection) == {"order-1": 3, "order-2": 3}
        assert await connection.fetchval("SELECT count(*) FROM eventstore.projection_failures") == 0


async def test_an_event_that_stays_broken_is_left_out_if_asked(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("Fragile"), EventData("T"), EventData("T")])
        await reached(connection, 3)
        assert await connection.fetchval("SELECT eventstore.retry_parked('orders')") == 1

        async def tried_twice() -> object:
            return await connection.fetchval(
                "SELECT attempts = 2 AND state = 'parked' FROM eventstore.projection_failures"
            )

        await until(tried_twice, "the second try")
        skipped = "SELECT eventstore.skip_parked('orders', 'order-1')"
        assert await connection.fetchval(skipped) == 1
        waited = "SELECT eventstore.wait_for('orders', 'order-1', 2, '20 s')"
        assert await connection.fetchval(waited)
    assert await counts(connection) == {"order-1": 2}


async def test_a_paused_projection_rests_and_goes_on_where_it_was(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    leased = "SELECT crashes, lease FROM eventstore.projection_partitions"
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
        before = await connection.fetchrow(leased)
        assert before is not None
        await connection.execute("SELECT eventstore.pause_projection('orders')")

        async def released() -> bool:
            return await owners(connection) == [None]

        await until(released, "its lease to be given back")
        await store.append("order-1", EventData("T"))
        await connection.execute("SELECT eventstore.resume_projection('orders')")
        await reached(connection, 2)
    assert await counts(connection) == {"order-1": 2}
    row = await connection.fetchrow(leased)
    assert row is not None
    assert tuple(row) == (0, before["lease"] + 1)


async def test_an_event_that_ends_its_process_again_and_again_is_parked(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
    await connection.execute(
        "UPDATE eventstore.projection_partitions SET crashes = 3, tried = 2, tries = 3"
    )
    for stream in ("order-2", "order-1", "order-2"):
        await store.append(stream, EventData("T"))
    async with working(store, dsn, Orders().projection):
        await reached(connection, 4)
    assert await counts(connection) == {"order-1": 2}
    row = await connection.fetchrow("SELECT position, error FROM eventstore.projection_failures")
    assert row is not None
    assert row["position"] == 2
    assert "ended without a word" in row["error"]


async def test_another_policy_is_for_what_fails_from_then_on_in_the_same_version(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("Fragile"), EventData("T")])
        await reached(connection, 2)
    made.projection.on_failure = "skip"
    async with working(store, dsn, made.projection):
        await store.append("order-2", [EventData("Fragile"), EventData("T")])
        await store.append("order-1", EventData("T"))
        await reached(connection, 5)
    assert await counts(connection) == {"order-2": 1}
    failed = await connection.fetch(
        "SELECT stream_name, state FROM eventstore.projection_failures ORDER BY position"
    )
    assert [tuple(row) for row in failed] == [("order-1", "parked"), ("order-2", "skipped")]


async def test_a_retry_that_ends_its_process_again_and_again_is_given_up(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("Fragile"), EventData("T")])
        await reached(connection, 2)
    made.broken = False
    await connection.execute("SELECT eventstore.retry_parked('orders')")
    for tries in (1, 2, 3):  # as runners leave it that are killed while they try
        assert tries == await connection.fetchval(
            "SELECT eventstore.projection_retry_v1('orders', 1, 'order-1')"
        )
    async with working(store, dsn, made.projection):
        await until(lambda: _failure(connection, "parked"), "the retry to be given up")
        assert await counts(connection) == {}
        await connection.execute("SELECT eventstore.retry_parked('orders')")
        await until(lambda: _failure(connection, None), "the next retry to go through")
        assert await counts(connection) == {"order-1": 2}


async def test_a_retry_that_is_given_up_leaves_out_one_event_where_the_policy_says_so(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    made = Orders()
    made.broken = True
    async with working(store, dsn, made.projection):
        await store.append("order-1", [EventData("Fragile"), EventData("T"), EventData("T")])
        await reached(connection, 3)
    await connection.execute("SELECT eventstore.retry_parked('orders')")
    for _ in range(3):
        await connection.execute("SELECT eventstore.projection_retry_v1('orders', 1, 'order-1')")
    made.projection.on_failure = "skip"
    async with working(store, dsn, made.projection):
        await until(lambda: _is_left_out(connection), "the first event to be left out")
    assert await counts(connection) == {"order-1": 2}


async def _is_left_out(connection: Pg) -> bool:
    rows = await connection.fetch("SELECT state FROM eventstore.projection_failures")
    return [row[0] for row in rows] == ["skipped"]


async def _failure(connection: Pg, state: str | None) -> bool:
    found: str | None = await connection.fetchval(
        "SELECT state FROM eventstore.projection_failures"
    )
    return found == state


async def test_a_fault_of_ours_stops_the_projection_and_says_so(
    store: EventStore, dsn: str, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr("eventstore.projections.effects.plan", wrong)
    await store.append("order-1", EventData("T"))
    async with working(store, dsn, Orders().projection):
        await until(lambda: _reason(connection, "not foreseen"), "the projection to stop")
        assert await counts(connection) == {}
    monkeypatch.undo()
    await connection.execute("SELECT eventstore.resume_projection('orders')")
    async with working(store, dsn, Orders().projection):
        await reached(connection, 1)


async def test_a_log_that_cannot_be_read_for_a_moment_stops_nothing(
    store: EventStore, dsn: str, connection: Pg, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def unavailable(_: object) -> object:
        monkeypatch.undo()
        failed.set()
        raise Unavailable("the database is starting up")

    await store.append("order-1", EventData("T"))
    monkeypatch.setattr("eventstore.reader.LogReader.head", unavailable)
    async with working(store, dsn, Orders().projection):
        await failed.wait()
        await reached(connection, 1)


async def _reason(connection: Pg, part: str) -> bool:
    reason: str | None = await connection.fetchval(
        "SELECT reason FROM eventstore.projection_status WHERE state = 'stopped'"
    )
    return part in (reason or "")


async def test_a_worker_that_is_cancelled_leaves_no_runner(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    running = asyncio.ensure_future(Worker(store, [Orders(4).projection], dsn=dsn).run())
    await store.append("order-1", EventData("T"))
    await until(lambda: _state(connection, "running"), "it to run")
    before = len(asyncio.all_tasks())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = [task.get_name() for task in asyncio.all_tasks() if "partition" in task.get_name()]
    assert (left, before > len(asyncio.all_tasks())) == ([], True)


async def _state(connection: Pg, state: str) -> bool:
    found: str | None = await connection.fetchval("SELECT state FROM eventstore.projection_status")
    return found == state


async def test_a_login_that_is_no_worker_is_told_so(
    store: EventStore, dsn: str, connection: Pg, login: Login
) -> None:
    worker = Worker(store, [Orders().projection], dsn=login("eventstore_writer", dsn))
    with pytest.raises(AccessDenied, match="projection_register_v1"):
        await worker.run()
    async with working(store, login("eventstore_worker", dsn), Orders().projection):
        await reached(connection, 0)
        written = await store.append("order-1", EventData("T"))
        await store.wait_for("orders", position=written.position, timeout=DEADLINE)


async def test_the_definition_that_a_worker_brings_must_be_the_known_one(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
        other = Worker(store, [Orders(partitions=2).projection], dsn=dsn)
        with pytest.raises(DefinitionChanged, match="version 2"):
            await other.run()


async def test_a_worker_that_is_refused_has_made_nothing_known(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await reached(connection, 0)
        new = by_statement()  # of another name, and in front
        with pytest.raises(DefinitionChanged):
            await Worker(store, [new, Orders(partitions=2).projection], dsn=dsn).run()
        assert [one.projection for one in await store.projections.all()] == ["orders"]
    assert await connection.fetchval("SELECT to_regclass('eventstore_read.totals')") is None


async def test_several_new_projections_are_made_known_by_a_login_that_is_a_worker(
    store: EventStore, dsn: str, connection: Pg, login: Login
) -> None:
    worker = login("eventstore_worker", dsn)
    async with working(store, worker, by_statement(), Orders().projection):
        await reached(connection, 0)
        assert len(await store.projections.all()) == 2
    owned = await connection.fetch(
        "SELECT tablename FROM pg_tables"
        " WHERE schemaname = 'eventstore_read' AND tableowner = 'eventstore_worker'"
    )
    assert sorted(row[0] for row in owned) == ["orders", "totals"]


async def test_a_projection_goes_on_in_a_new_epoch_if_the_log_has_its_checkpoint(
    store: EventStore, dsn: str, connection: Pg
) -> None:
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 1)
    await connection.execute("SELECT eventstore.begin_epoch()")
    async with working(store, dsn, Orders().projection):
        await store.append("order-1", EventData("T"))
        await reached(connection, 2)
    assert await counts(connection) == {"order-1": 2}
    # As if the log had been restored from an older backup than the read tables.
    await connection.execute("UPDATE eventstore.projection_partitions SET checkpoint = 9")
    await connection.execute("SELECT eventstore.begin_epoch()")
    async with working(store, dsn, Orders().projection):
        with pytest.raises(ProjectionStopped, match="its history was rewound"):
            await store.wait_for("orders", position=99, timeout=DEADLINE)
