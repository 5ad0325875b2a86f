"""Members that echo what happens, in a process: `python -m tests.reactors.echoing DSN MEMBERS`.

Each handling notes that it has begun and ended, and appends three events by two appends. The
database itself notes what is acked. `fleet.py` starts it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Final

import asyncpg

from eventstore import App, EventData, EventStore, RecordedEvent, reactors
from eventstore.core.reactor import Reactor
from eventstore.reactors import Context
from eventstore.worker import Worker

CONCURRENCY: Final = 3
BUFFER: Final = 20
LEASE: Final = 0.6
"""Seconds; 10 outside of tests."""

FACTS: Final = f"""
CREATE TABLE facts (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL, position bigint, stream_name text, attempt integer, count integer);
CREATE FUNCTION note_ack() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.facts (what, position, stream_name, attempt)
    VALUES ('acked', OLD.position, OLD.stream_name, OLD.attempt);
    RETURN NULL;
END $$;
CREATE TRIGGER note_ack AFTER DELETE ON eventstore.deliveries
   FOR EACH ROW EXECUTE FUNCTION note_ack();
CREATE FUNCTION note_overflow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.facts (what, count)
    SELECT 'overflow', count(*) FROM eventstore.deliveries WHERE state = 'waiting'
    HAVING count(*) > {BUFFER};
    RETURN NULL;
END $$;
CREATE TRIGGER note_overflow AFTER INSERT OR UPDATE ON eventstore.deliveries
   FOR EACH STATEMENT EXECUTE FUNCTION note_overflow();
"""
TAKES: Final = 0.08
"""Seconds, the last of each handling: who is stopped has mostly to say only that it is done."""
_NOTE: Final = """
INSERT INTO facts (what, position, stream_name, attempt, count)
SELECT $1::text, $2::bigint, $3::text, $4::integer, $5::integer FROM pg_sleep($6)
"""


def echo(facts: asyncpg.Pool[asyncpg.Record]) -> App:
    """Make the App of one member."""
    echoes = Reactor(
        "echoes",
        start=0,
        concurrency=CONCURRENCY,
        buffer=BUFFER,
        retries=1_000,  # nothing is parked, however often a process that has it dies
        backoff=0.02,
    )
    at_once = 0

    @echoes.on("Happened")
    async def handle(event: RecordedEvent, context: Context) -> None:
        nonlocal at_once
        at_once += 1
        try:
            place = event.position, event.stream_name, context.attempt
            await facts.execute(_NOTE, "begun", *place, at_once, 0)
            first, second, third = (
                EventData("Echoed", {"of": event.position, "part": part}) for part in range(3)
            )
            await context.append(f"echo-{event.stream_name}", first)
            await context.append(f"echo-{event.stream_name}", [second, third])
            await facts.execute(_NOTE, "ended", *place, at_once, TAKES)
        finally:
            at_once -= 1

    return App(reactors=[echoes])


async def main(dsn: str, members: int) -> None:
    """Run so many members until SIGTERM."""
    reactors.LEASE = LEASE  # type: ignore[misc]
    reactors.BEAT = LEASE / 4  # type: ignore[misc]
    async with EventStore(dsn) as store, asyncpg.create_pool(dsn, min_size=0) as facts:
        workers = [Worker(store, echo(facts), dsn=dsn) for _ in range(members)]

        def stop() -> None:
            for worker in workers:
                worker.stop()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        await asyncio.gather(*(worker.run() for worker in workers))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
