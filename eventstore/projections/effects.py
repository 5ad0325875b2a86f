"""What a batch does to read tables: by folds, by handlers with a connection, or by a statement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import sqlalchemy as sa

from eventstore.core.definition import Definition
from eventstore.core.errors import InvalidInput
from eventstore.core.events import RecordedEvent
from eventstore.core.folding import Failure, Folded, Plan, fold, plan
from eventstore.core.projection import Projection
from eventstore.core.sql_projection import SqlProjection
from eventstore.projections.batch import Batch
from eventstore.projections.connection import Connection
from eventstore.projections.deadline import DeadlineExceeded, HandlerExit, TimedThread
from eventstore.projections.faults import RowFault, is_of_everybody
from eventstore.projections.registry import read_tables
from eventstore.projections.rows import RowStore
from eventstore.projections.statement import batch_select, inline_function, inline_name


class Start(NamedTuple):
    """Where a batch's transaction begins."""

    checkpoint: int
    serving: bool
    held: frozenset[str]
    """Streams that are held back."""
    skipped: frozenset[int]
    """Positions that are left out."""
    inline: bool
    """Whether appends apply it themselves."""
    clear: bool
    """Whether no stream at all is held back, and no event left out."""


class Effect(Protocol):
    """Applies batches within the transaction that is open on a connection."""

    async def apply(self, connection: Connection, start: Start, batch: Batch) -> list[Failure]:
        """Apply a batch; give the events that failed, which have left nothing behind.

        Raises RowFault if some event of the batch cannot be applied, but not which.
        """
        ...

    async def prepare(self, batch: Batch) -> None:
        """Do what can be done for a batch to come while another one is stored."""

    def close(self) -> None:
        """Let go of what it holds."""


def effect_of(definition: Definition, *, schema: str, partition: int) -> Effect:
    """Give what applies the batches of one partition of a projection."""
    if isinstance(definition, SqlProjection):
        return SqlEffect(definition, schema=schema, partition=partition)
    if isinstance(definition, Projection):
        kind = ExecuteEffect if definition.is_executed else FoldEffect
        return kind(definition, schema=schema)
    raise InvalidInput(f"{definition!r} is no Projection or SqlProjection")


class FoldEffect:
    """Rows of a batch loaded, folded in memory, and stored; meanwhile the next batch is planned."""

    def __init__(self, projection: Projection, *, schema: str) -> None:
        self._projection = projection
        self._rows = RowStore(read_tables(projection, schema=schema))
        self._thread = TimedThread(f"projection {projection.name}")
        self._handling = asyncio.Lock()
        self._may_prepare = False
        self._prepared: tuple[Sequence[RecordedEvent], Plan] | None = None

    async def apply(self, connection: Connection, start: Start, batch: Batch) -> list[Failure]:
        async with self._handling:
            planned = await self._planned(start, batch)
            rows = await self._rows.load(connection, planned.keys, serving=start.serving)
            folded: Folded = await self._run(lambda: fold(planned, rows))
            self._may_prepare = start.clear and not folded.failures
        try:
            await self._rows.store(connection, folded.rows, serving=start.serving)
        except BaseException:
            self._may_prepare = False  # some event of it may be parked
            raise
        return list(folded.failures)

    async def prepare(self, batch: Batch) -> None:
        """Plan a batch, once the one before is folded.

        Not if any stream is held back, so that no key is asked for of an event that is: it may be
        the one that ends the process. A key that takes too long is met again, and told, in `apply`.
        """
        async with self._handling:
            if self._may_prepare and (events := batch.events):
                with contextlib.suppress(RowFault):
                    planned = await self._run(lambda: plan(self._projection, events))
                    self._prepared = events, planned

    async def _planned(self, start: Start, batch: Batch) -> Plan:
        events, prepared = batch.events or (), self._prepared
        if start.skipped:
            events = [event for event in events if event.position not in start.skipped]
        if prepared is not None and prepared[0] is events and not start.held:
            return prepared[1]
        planned: Plan = await self._run(lambda: plan(self._projection, events, start.held))
        return planned

    async def _run(self, function: Callable[[], Any]) -> Any:
        try:
            return await self._thread.run(self._projection.deadline, function)
        except (DeadlineExceeded, HandlerExit) as error:
            raise RowFault(error) from error

    def close(self) -> None:
        self._thread.close()


class ExecuteEffect:
    """Handlers that are given the connection, event by event, each with a savepoint of its own."""

    def __init__(self, projection: Projection, *, schema: str) -> None:
        self._projection = projection
        self._tables = {table.name: table for table in read_tables(projection, schema=schema)}

    async def apply(self, connection: Connection, start: Start, batch: Batch) -> list[Failure]:
        def name(table: sa.Table) -> str:
            return self._tables[table.name].physical_name(serving=start.serving)

        failures: list[Failure] = []
        held = set(start.held)
        for event in batch.events or ():
            if event.stream_name in held or event.position in start.skipped:
                continue
            error = await self._execute(connection, event, name)
            if error is None:
                continue
            failures.append(Failure(event, error))
            if self._projection.on_failure == "stop":
                break
            if self._projection.on_failure == "park":
                held.add(event.stream_name)
        return failures

    async def _execute(
        self, connection: Connection, event: RecordedEvent, name: Callable[[sa.Table], str]
    ) -> Exception | None:
        seconds = self._projection.deadline
        deadline = asyncio.timeout(seconds)
        try:
            async with connection.transaction(), deadline:
                for handler in self._projection.executes_of(event.event_type):
                    await handler(connection, event, name)
        except Exception as error:
            if is_of_everybody(error):
                raise
            if deadline.expired():
                return DeadlineExceeded(f"it took more than {seconds:g} s")
            return error
        return None

    async def prepare(self, batch: Batch) -> None:
        """Nothing can be."""

    def close(self) -> None:
        """Nothing is held."""


class SqlEffect:
    """One statement over a batch, which stays in the database."""

    def __init__(self, projection: SqlProjection, *, schema: str, partition: int) -> None:
        self._projection: Final = projection
        select, self._args = batch_select(projection, schema=schema, partition=partition)
        tables = {table.name: table for table in read_tables(projection, schema=schema)}

        def text(*, serving: bool) -> str:
            return projection.sql(select, lambda name: tables[name].physical_name(serving=serving))

        self._sql = {serving: text(serving=serving) for serving in (True, False)}
        self._tables = tables
        self._schema = schema

    async def make_inline(self, connection: Connection, *, serving: bool) -> None:
        """Make the functions that appends call, with the rights of a worker."""
        await connection.execute(f"SET LOCAL ROLE {self._schema}_worker")
        for plain in (True, False):
            name = inline_name(self._projection, schema=self._schema, serving=plain)
            await connection.execute(self._inline_function(serving=plain))
            await connection.execute(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC")
        # What cannot work is found here, and not by whoever appends next.
        name = inline_name(self._projection, schema=self._schema, serving=serving)
        await connection.execute(f"SELECT {name}(0, 0)")
        await connection.execute("RESET ROLE")

    def _inline_function(self, *, serving: bool) -> str:
        return inline_function(
            self._projection,
            schema=self._schema,
            serving=serving,
            name=lambda name: self._tables[name].physical_name(serving=serving),
        )

    async def apply(self, connection: Connection, start: Start, batch: Batch) -> list[Failure]:
        try:
            await connection.execute(
                self._sql[start.serving],
                batch.after,
                batch.upto,
                list(start.held),
                list(start.skipped),
                batch.stream_name,
                *self._args,
                timeout=self._projection.deadline,
            )
        except TimeoutError:
            seconds = self._projection.deadline
            raise RowFault(DeadlineExceeded(f"it took more than {seconds:g} s")) from None
        return []

    async def prepare(self, batch: Batch) -> None:
        """Nothing can be."""

    def close(self) -> None:
        """Nothing is held."""
