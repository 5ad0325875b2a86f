"""One connection that carries batches of appends, and finds out what became of a lost one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from eventstore.core.append import AppendRequest
from eventstore.core.batching import Outcome, columns, outcomes
from eventstore.core.errors import EventStoreError, OutcomeUnknown, Unavailable
from eventstore.postgres.connection import IN_UTC, Connection
from eventstore.postgres.errors import is_bad_input, is_lost, translate

STATEMENT_TIMEOUT: Final = 20.0
"""Seconds that one batch may take. The append lock is waited for 5 s at most, inside it."""
RECONNECT_WITHIN: Final = 15.0
"""Seconds from a lost line until the outcome is called unknown."""

_END_BACKEND: Final = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE application_name = $1 AND pid <> pg_backend_pid()
"""


class Lane:
    """A connection of the appender's own. One batch at a time; makes itself anew when it breaks.

    Exactly once across a lost line: the batch is sent again with the same event ids, after the
    lost backend has been ended. Ids that were stored are found and give their first answer; ids
    that were not are stored now; and a copy of the first attempt that is still on its way fails
    on the unique index. Only when the database cannot be reached in time is the outcome unknown.
    """

    def __init__(
        self, dsn: str, statement: str, *, reconnect_within: float = RECONNECT_WITHIN
    ) -> None:
        self._dsn = dsn
        self._statement = statement
        self._reconnect_within = reconnect_within
        # The name finds this lane's lost backend again, and no other's.
        self._name = f"eventstore appender {secrets.token_hex(6)}"
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def store(self, requests: Sequence[AppendRequest]) -> list[Outcome]:
        """Append a batch; give one outcome for each request. Never raises for a request's sake.

        A batch that fails as a whole for one bad value is tried again request by request, so that
        a bad request does not harm its neighbours.
        """
        try:
            return await self._store_surely(requests)
        except EventStoreError as error:
            return [error] * len(requests)
        except Exception as error:  # noqa: BLE001 - every driver error is translated, none is dropped
            if is_bad_input(error) and len(requests) > 1:
                alone = [await self.store([request]) for request in requests]
                return [outcome for [outcome] in alone]
            refusal = translate(error)
            refusal.__cause__ = error
            return [refusal] * len(requests)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close(timeout=5)

    async def _store_surely(self, requests: Sequence[AppendRequest]) -> list[Outcome]:
        arguments = columns(requests)
        lost = False  # an attempt was sent and nothing came back
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._reconnect_within
        while True:
            try:
                connection = self._connection or await self._connect(end_lost_backend=lost)
            except Exception as error:
                if not lost and not is_lost(error):
                    raise
                failure = error
            else:
                try:
                    rows = await connection.fetch(
                        self._statement, *arguments, timeout=STATEMENT_TIMEOUT
                    )
                    return outcomes(requests, list(map(tuple, rows)))
                except Exception as error:
                    if is_lost(error):
                        lost = True
                        self._drop()
                    elif not lost or is_bad_input(error):  # refused as a whole, surely
                        raise
                    failure = error
            if loop.time() >= deadline:
                raise self._given_up(requests, sent=lost) from failure
            # A server that refuses at once must not be asked in a busy loop.
            await asyncio.sleep(0.05)
            arguments = columns(requests, look_up_ids=True)

    def _given_up(self, requests: Sequence[AppendRequest], *, sent: bool) -> EventStoreError:
        if sent:
            return OutcomeUnknown(tuple([i for request in requests for i in request.event_ids]))
        return Unavailable("not stored: the database cannot be reached")

    async def _connect(self, *, end_lost_backend: bool) -> asyncpg.Connection[Any]:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=5,
            connection_class=Connection,
            server_settings={"application_name": self._name, **IN_UTC},
        )
        try:
            if end_lost_backend:
                ended = await connection.fetch(_END_BACKEND, self._name, timeout=10)
                if not all(row[0] for row in ended):
                    raise TimeoutError("the lost backend is still at work")
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(OSError):
                connection.terminate()
