"""EventStore: the store in your own process, over asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import asyncpg

from eventstore.appender import LANES, Appender
from eventstore.applied import with_applied
from eventstore.catalog import ProjectionCatalog
from eventstore.consumers import BATCH, ConsumerCatalog
from eventstore.core.append import (
    Append,
    Appended,
    AppendRequest,
    EncodedAppend,
    next_ids,
    refuse_longer,
)
from eventstore.core.batching import columns, outcomes
from eventstore.core.catalog import Question
from eventstore.core.decider import Decider
from eventstore.core.errors import EventStoreError, InvalidInput, ProjectionBehind, Unavailable
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.limits import DEFAULT_LIMITS, Limits
from eventstore.core.query import AppendCondition, EventQuery
from eventstore.core.readtables import TablePage, TableQuery
from eventstore.core.revisions import ANY, ExpectedRevision
from eventstore.deciders import RETRIES, Fetch, Handled, Step, Store, Turns, handling
from eventstore.feed import PAGE, Feed, Follower
from eventstore.member import Member
from eventstore.postgres.errors import keeping_cancellation, not_notified, translate
from eventstore.postgres.lane import Lane
from eventstore.postgres.listener import Listener
from eventstore.postgres.notifier import Notifier
from eventstore.postgres.readtables import table_steps
from eventstore.postgres.schema import DEFAULT_SCHEMA
from eventstore.presence import Presence
from eventstore.progress import Progress, progress_channel
from eventstore.reader import LogReader
from eventstore.receiving import Receiver
from eventstore.requests import request_encoded, request_many, request_one

T = TypeVar("T")
S = TypeVar("S")
RETRY = 0.5
"""Seconds until a follower looks again whether the database is back."""


class EventStore(LogReader):
    """One log in one PostgreSQL schema. Use as `async with EventStore(dsn) as store`.

    Safe to share between tasks. Concurrent appends are stored together (group commit); reads take
    a connection for a page at a time and none while the caller works on it.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = DEFAULT_SCHEMA,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = 8,
    ) -> None:
        super().__init__(dsn, schema=schema, max_connections=max_connections)
        self.limits = limits
        self._appender: Appender | None = None
        self._notifier = Notifier(lambda payload: self._notify(schema, payload))
        self._feed: Feed | None = None
        self._progress: Progress | None = None
        self._listener: Listener | None = None
        self._receiver = Receiver(self._fetch, self.start_following)
        self._turns = Turns()

    async def open(self) -> None:
        """Connect and compare the schema's revision. Raises SchemaMismatch or Unavailable."""
        await super().open()
        lanes = [Lane(self._dsn, self._statements["append"]) for _ in range(LANES)]
        self._appender = Appender(lanes, limits=self.limits, on_stored=self._stored)
        self._appender.start()
        self._notifier.start()

    async def close(self) -> None:
        """End who follows, store what waits, close every connection. Safe to call again."""
        self._receiver.close()
        if self._feed is not None:
            await self._feed.close()
        if self._progress is not None:
            await self._progress.close()
        if self._listener is not None:
            await self._listener.close()
        if self._appender is not None:
            await self._appender.close()
        await self._notifier.close()
        await super().close()

    async def append(
        self,
        stream_name: str,
        events: EventData | Sequence[EventData],
        *,
        expected_revision: ExpectedRevision = ANY,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
        connection: asyncpg.Connection[Any] | None = None,
    ) -> Appended:
        """Append one event or several to a stream, all or nothing; return when they are on disk.

        A retry with the same event ids or the same `idempotency_key` stores nothing and gives the
        first answer, whatever it expects. With `connection`, the append is part of the caller's
        own transaction there, and holds the append lock until that ends: keep it short.

        With `wait_for`, a projection, it then waits until that has applied it, at most `timeout`
        seconds (default 5): read tables show it. If it has not, whatever the reason, the append is
        stored all the same, and `unapplied` of the answer says why. An unknown projection raises
        NotFound, and nothing is stored.

        Raises RevisionConflict, DuplicateEventId, InvalidInput, Unavailable (nothing stored), or
        OutcomeUnknown (retry with the same ids or key).
        """
        request = request_one(
            stream_name,
            events,
            expected_revision,
            idempotency_key=idempotency_key,
            limits=self.limits,
        )
        return (await self._append(request, connection, wait_for, timeout))[0]

    async def append_many(
        self,
        appends: Iterable[Append],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
        connection: asyncpg.Connection[Any] | None = None,
    ) -> tuple[Appended, ...]:
        """Append to several streams, all or nothing; one answer for each append.

        With `condition`, only if nothing that it excludes has been stored: raises ConditionFailed
        otherwise. A stream may be named again if the later append expects ANY. Otherwise as
        `append`.
        """
        request = request_many(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )
        return await self._append(request, connection, wait_for, timeout)

    def request(
        self,
        appends: Sequence[EncodedAppend],
        *,
        condition: AppendCondition | None = None,
        idempotency_key: str | None = None,
    ) -> AppendRequest:
        """Make one request of checked appends, with ids for every event."""
        return request_encoded(
            appends, condition=condition, idempotency_key=idempotency_key, limits=self.limits
        )

    async def append_request(self, request: AppendRequest) -> tuple[Appended, ...]:
        """Append a request that is checked already: what the service does with a body."""
        if self._appender is None:
            raise EventStoreError("the store is not open: use 'async with EventStore(...)'")
        appended = await self._appender.append(request)
        if appended[0].replayed and (longer := next_ids(request)):
            refuse_longer(await self._fetch("stored_id", longer))
        return appended

    async def _append(
        self,
        request: AppendRequest,
        connection: asyncpg.Connection[Any] | None,
        wait_for: str | None,
        timeout: float,  # noqa: ASYNC109
    ) -> tuple[Appended, ...]:
        if wait_for is not None:
            if connection is not None:
                raise InvalidInput("no projection sees what is in a transaction of your own")
            await self.wait_for(wait_for, position=0, timeout=0)  # is there one?
            appended = await self.append_request(request)
            return await with_applied(self.wait_for, wait_for, appended, timeout)
        if connection is None:
            return await self.append_request(request)
        try:
            rows = await connection.fetch(self._statements["append"], *columns([request]))
            [outcome] = outcomes([request], map(tuple, rows))
            if isinstance(outcome, EventStoreError):
                raise outcome
            if outcome[0].replayed and (longer := next_ids(request)):
                refuse_longer(await connection.fetch(self._statements["stored_id"], longer))
        except EventStoreError:
            raise
        except Exception as error:
            raise translate(error) from error
        return outcome

    async def handle(
        self,
        decider: Decider[S],
        stream_name: str,
        command: object,
        *,
        command_id: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] = MappingProxyType({}),
        retries: int = RETRIES,
        wait_for: str | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> Handled[S]:
        """Handle a command: decide it on the stream's present state, and append what it causes.

        Nobody else's event comes between that state and the events: if someone is faster, the
        command is decided anew, at most `retries` times (default 10), after waits that grow.
        Commands of this store on one stream take turns. `tags` and `metadata` go to every event.

        With `command_id` (1 to 255 characters) the same command on the same stream is handled
        once: sent again, it gives its first answer and appends nothing, whatever has happened
        since. A command that was refused, or caused nothing, is decided anew.

        `wait_for` and `timeout` are as for `append`; `appended.unapplied` of the answer says why
        the projection has not applied the events, if it has not.

        Raises CommandRefused (nothing stored), RevisionConflict (others were faster every time,
        nothing stored), DeciderFailed (its code raised, which is the cause; nothing stored),
        UnreadableEvent (nothing stored), InvalidInput, Unavailable (nothing stored), or
        OutcomeUnknown (send it again with the same command id).
        """
        steps = handling(
            decider,
            stream_name,
            command,
            command_id=command_id,
            tags=tags,
            metadata=metadata,
            retries=retries,
        )
        if wait_for is not None:
            await self.wait_for(wait_for, position=0, timeout=0)  # is there one?
        async with self._turns.on(stream_name):
            handled = await self._carry_out(steps)
        if wait_for is None or handled.appended is None:
            return handled
        [applied] = await with_applied(self.wait_for, wait_for, [handled.appended], timeout)
        return handled._replace(appended=applied)

    async def _carry_out(self, steps: Generator[Step, Any, Handled[S]]) -> Handled[S]:
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._step(step)
                except EventStoreError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as done:
            handled: Handled[S] = done.value
            return handled

    async def _step(self, step: Step) -> Any:
        if isinstance(step, Fetch):
            return await self._fetch(step.statement, *step.args)
        if isinstance(step, Store):
            return await self.append(
                step.stream_name, step.events, expected_revision=step.expected_revision
            )
        return await asyncio.sleep(step.seconds)

    def follow(
        self,
        query: EventQuery | None = None,
        *,
        after: int = 0,
        epoch: int | None = None,
        on_lost: Callable[[Unavailable], None] = lambda _: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read what `query` means (default: everything) after a position, and on for ever.

        Every event once, in order, also across lost connections and restarts of the database;
        `on_lost` is told why the log cannot be read, `on_back` that it can be again. Ends when
        the store is closed. Constant memory; holds no connection while it waits. Raises
        InvalidInput at once for a bad position, and HistoryRewound if the log does not have that
        position (in that epoch, if given), or loses it by a restore of the database.
        """
        return self._follow(self.follower(query, after=after, epoch=epoch), on_lost, on_back)

    async def _follow(
        self,
        planned: Follower,
        on_lost: Callable[[Unavailable], None],
        on_back: Callable[[], None],
    ) -> AsyncIterator[RecordedEvent]:
        def watch(trouble: str) -> None:
            if trouble:
                on_lost(Unavailable(trouble))
            else:
                on_back()

        watchers = self.start_following().watchers
        watchers.append(watch)
        try:
            async with planned as follower:
                while not follower.closed:
                    try:
                        events = await follower.next()
                    except Unavailable:
                        await asyncio.sleep(RETRY)
                        continue
                    for event in events:
                        yield event
        finally:
            watchers.remove(watch)

    def follower(
        self,
        query: EventQuery | None = None,
        *,
        after: int = 0,
        epoch: int | None = None,
        page: int = PAGE,
    ) -> Follower:
        """Plan to follow by hand: pages with a time limit, and a position that moves on.

        `page` is how many events a page has at most (default 500).
        """
        return Follower(self.start_following(), query, after=after, epoch=epoch, page=page)

    def start_following(self) -> Feed:
        """Start to listen for appends elsewhere; the first follower does so otherwise."""
        self._pool_or_fail()
        if self._feed is None:
            feed = Feed(self, live=lambda: not listener.trouble)
            progress = Progress(self._fetch, live=lambda: not listener.trouble)

            def progressed() -> None:
                progress.wake()
                self._receiver.progressed()

            channels = {self.schema: feed.wake, progress_channel(self.schema): progressed}
            listener = Listener(self._dsn, channels, notify=self._notify)
            feed.start()
            listener.start()
            self._feed, self._progress, self._listener = feed, progress, listener
        return self._feed

    @property
    def projections(self) -> ProjectionCatalog:
        """What projections there are, how far they are, and what operators can do about it."""
        return ProjectionCatalog(self._ask, self._look)

    @property
    def consumers(self) -> ConsumerCatalog:
        """Consumer groups: made, received from, settled, and what operators can do about them."""
        return ConsumerCatalog(self._ask, self._receiver.receive, self._receiver.wake)

    def presence(self, member: str) -> Presence:
        """Give what the worker `member` says of the consumer groups that it runs."""
        return Presence(self._fetch, member)

    def consume(self, name: str, max: int = BATCH, *, member: str | None = None) -> Member:
        """Be a member of a group: `async with store.consume("emails") as deliveries`.

        Receives `max` deliveries at once; they have to be settled within the group's lease.
        `member` is what it is called in the group's status (default: the machine and process).
        """
        return Member(self.consumers, name, max, member)

    async def _ask(self, question: Question[T]) -> T:
        return question.of_rows(await self._fetch(question.statement, *question.args))

    async def _look(self, query: TableQuery, timeout: float) -> TablePage:  # noqa: ASYNC109
        if (position := query.position) is None:
            return await self._page_of(query)
        try:
            await self.wait_for(query.projection, position=position, timeout=0)
        except ProjectionBehind:
            await self._page_of(query)  # what is asked wrongly is told before the wait
            await self.wait_for(query.projection, position=position, timeout=timeout)
        page = await self._page_of(query)
        if page.position < position:  # another version serves since, and is behind
            return await self._look(query, timeout)
        return page

    async def _page_of(self, query: TableQuery) -> TablePage:
        steps = table_steps(query, schema=self.schema)
        try:
            statement = next(steps)
            while True:
                try:
                    rows = await self._run(*statement)
                except EventStoreError as error:
                    statement = steps.throw(error)
                else:
                    statement = steps.send(rows)
        except StopIteration as done:
            page: TablePage = done.value
            return page

    async def wait_for(
        self,
        projection: str,
        *,
        position: int | None = None,
        stream: str | None = None,
        revision: int | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the time is told in the answer
    ) -> int:
        """Wait until a projection has applied a position, or a revision of a stream.

        After it, the read tables show what was written there: read your own writes. Gives the
        projection's checkpoint. Holds no connection while it waits, and one look at the database
        serves everyone who waits in this process.

        Raises NotFound (no such projection), ProjectionStopped or StreamParked at once where
        waiting is in vain, and ProjectionBehind after `timeout` seconds (default 5; 0: only look).
        """
        self.start_following()
        assert self._progress is not None  # noqa: S101 - made with the feed
        return await self._progress.wait(
            projection, position=position, stream=stream, revision=revision, timeout=timeout
        )

    @property
    def followers(self) -> int:
        """How many follow now."""
        return 0 if self._feed is None else self._feed.followers

    def end_followers(self) -> None:
        """Let everyone who follows end now, and nobody begin; the rest goes on."""
        if self._feed is not None:
            self._feed.end_followers()

    @property
    def following_troubles(self) -> list[str]:
        """Why followers have to poll, here or in other processes; empty if they need not."""
        heard = "" if self._listener is None else self._listener.trouble
        read = "" if self._feed is None else self._feed.trouble
        return [trouble for trouble in (read, heard, self._notifier.trouble) if trouble]

    def _stored(self, position: int) -> None:
        self._notifier.stored(position)
        if self._feed is not None:
            self._feed.wake()

    async def _notify(self, channel: str, payload: str) -> None:
        pool = self._pool_or_fail()
        try:
            with keeping_cancellation():
                await pool.fetch(self._statements["notify"], channel, payload)
        except Exception as error:
            raise not_notified(error) from error

    @property
    def pending_appends(self) -> int:
        """Appends that wait for a batch now; `limits.pending_appends` is the most."""
        return 0 if self._appender is None else self._appender.pending
