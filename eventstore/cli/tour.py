"""The steps of `eventstore demo`: each says what it shows, shows it, and looks whether it is so."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psycopg
from psycopg.rows import dict_row

from eventstore.cli.output import EventLines, out
from eventstore.cli.programs import run
from eventstore.client import SyncEventStoreClient
from eventstore.core.append import Appended
from eventstore.core.errors import EventStoreError, RevisionConflict, StreamParked
from shop.desk import Desk

JOIN: Final = """\
SELECT order_id, name, status, total, paid
  FROM eventstore_read.orders JOIN eventstore_read.customers USING (customer_id) ORDER BY 1"""
STATUS: Final = """\
SELECT projection, state, checkpoint, head, parked_streams FROM eventstore.projection_status"""
ADA: Final = "customer-ada"


class Tour:
    """Use the methods in their order, with a worker that runs the shop for each release."""

    def __init__(self, url: str, dsn: str, data_dir: Path) -> None:
        self._url = url
        self._dsn = dsn
        self._data_dir = data_dir
        self._store = SyncEventStoreClient(url)
        self._desk = Desk(self._store, dsn)
        self._out = out()
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def first_release(self) -> None:
        """Go from the first append to the order that this release cannot read."""
        self._append()
        self._fold()
        self._own_write()
        self._lookup()
        self._poison()

    def fix(self, release: str, money: Path) -> None:
        """Put the second release of the shop's code in the place of the first."""
        before = set(money.read_text(encoding="utf-8").splitlines())
        money.write_text(release, encoding="utf-8")
        after = set(release.splitlines())
        self._title("Fix and retry: the worker ends in order, and the next release takes over.")
        self._show(f"- {line.strip()}" for line in before - after)
        self._show(f"+ {line.strip()}" for line in after - before)

    def second_release(self) -> None:
        """Retry what was parked, and query."""
        self._retry()
        self._psql()

    def end(self, seconds: float) -> None:
        """Say how long it took."""
        self._out.print(f"\nAll of it was as said, in {seconds:.0f} s.", style="bold")

    def look_around(self, app: Path) -> None:
        """Say where to look."""
        at = f"--data-dir {self._data_dir}"
        self._out.print("\nIt goes on running. Look around, and end it by Ctrl-C:", style="bold")
        self._show(
            [
                f"{self._url}/docs",
                f"curl {self._url}/projections",
                f"eventstore tail -f --url {self._url}",
                f"eventstore append order-9 OrderPlaced --url {self._url} \\",
                f'    \'{{"customer": "{ADA}", "total": "3.00"}}\'',
                f"eventstore psql {at}",
                f"eventstore psql {at} -c 'TABLE eventstore_read.orders'",
                f"the shop's code, as the worker runs it: {app / 'shop'}",
            ]
        )

    def _append(self) -> None:
        self._title("Append: what happens is an event of a stream, and is kept for ever.")
        self._desk.register(ADA, name="Ada", email="ada@example.org")
        self._placed = self._desk.place("order-1", customer_id=ADA, total="12.50")
        lines = EventLines()
        events = list(self._store.read())
        self._show(lines.line(event).plain.strip() for event in events)
        self._claim([event.position for event in events] == [1, 2], "positions are dense")
        try:
            self._desk.place("order-1", customer_id=ADA, total="99")
        except RevisionConflict as conflict:
            self._say("The same order cannot be placed twice: that stream must not exist yet.")
            self._show([f"RevisionConflict: {conflict}"])
        else:
            self._claim(False, "an order is placed once")

    def _fold(self) -> None:
        self._title("Fold: a worker turns events into rows, by a pure (row, event) -> row.")
        row = self._desk.order("order-1", after=self._placed)
        self._show([_line(row)])
        self._claim(row is not None and row["status"] == "placed", "the order has a row")

    def _own_write(self) -> None:
        self._title("Read your own write: a read table lags behind, and a query waits for it.")
        paid = self._desk.pay("payment-1", order_id="order-1", customer_id=ADA, amount="12.50")
        began = time.perf_counter()
        row = self._desk.order("order-1", after=paid)
        waited = (time.perf_counter() - began) * 1_000
        self._show([f"paid at position {paid.position}; {waited:.0f} ms later:", _line(row)])
        self._claim(row is not None and row["status"] == "paid", "a query sees the payment")

    def _lookup(self) -> None:
        self._title("Look up: emails is a context of its own, and asks sales for nothing.")
        self._say(
            "It keeps its own table of customers, from the same events, and each email goes to "
            "the address of its time."
        )
        self._desk.change_email(ADA, "ada@example.com")
        self._wait("emails", self._desk.place("order-2", customer_id=ADA, total="30.00"))
        sent = self._rows(
            "SELECT recipient, subject FROM eventstore_read.outbox ORDER BY caused_by"
        )
        self._show(f"{row['recipient']}  {row['subject']}" for row in sent)
        self._claim(
            [row["recipient"] for row in sent] == ["ada@example.org"] * 2 + ["ada@example.com"],
            "emails before the change went to the old address",
        )

    def _poison(self) -> None:
        self._title("A poisoned event: a till writes 7,80, which this release cannot read.")
        self._desk.place("order-3", customer_id=ADA, total="7,80")
        self._shipped = self._desk.ship("order-3")
        later = self._desk.place("order-4", customer_id=ADA, total="5.00")
        self._claim(self._desk.order("order-4", after=later) is not None, "later orders go on")
        self._wait("emails", later)
        try:
            self._desk.order("order-3", after=self._shipped)
        except StreamParked as parked:
            self._say("Whoever waits for it is told at once:")
            self._show([f"StreamParked: {parked}"])
        else:
            self._claim(False, "a wait for a parked stream says so")
        self._say("Its stream alone is parked, in sales alone; every other has reached the head:")
        status = self._rows(STATUS)
        self._show(map(_line, status))
        self._claim(all(row["checkpoint"] == row["head"] for row in status), "the rest goes on")
        self._claim(
            {row["projection"]: row["parked_streams"] for row in status}
            == {"emails": 0, "sales": 1},
            "one stream is parked",
        )

    def _retry(self) -> None:
        path = "/projections/sales/parked/order-3/retry"
        httpx.post(f"{self._url}{path}").raise_for_status()
        row = self._desk.order("order-3", after=self._shipped)
        self._show([f"POST {path}", _line(row)])
        self._say("Both of its events are applied, in their order: placed, then shipped.")
        self._claim(
            row is not None and (str(row["total"]), row["status"]) == ("7.80", "shipped"),
            "the parked stream is up to date",
        )

    def _psql(self) -> None:
        self._title("Query: read tables are tables. With psql, a BI tool, an ORM:")
        printed = run("psql", "--data-dir", str(self._data_dir), "-c", JOIN)
        self._show([*JOIN.splitlines(), "", *printed.rstrip().splitlines()])
        self._claim("(4 rows)" in printed, "psql shows four orders")

    def _wait(self, projection: str, written: Appended) -> None:
        self._store.wait_for(projection, stream=written.stream_name, revision=written.revision)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self._dsn, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def _title(self, text: str) -> None:
        self._step += 1
        self._out.print(f"\n{self._step}. {text}", style="bold")

    def _say(self, text: str) -> None:
        self._out.print(textwrap.indent(textwrap.fill(text, 76), "   "))

    def _show(self, lines: Any) -> None:
        for line in lines:
            self._out.print(f"     {line}", style="cyan", soft_wrap=True)

    @staticmethod
    def _claim(holds: bool, claim: str) -> None:
        if not holds:
            raise EventStoreError(f"the demo says that {claim}, and that is not so")


def _line(row: dict[str, Any] | None) -> str:
    return "no row" if row is None else "  ".join(f"{name}={value}" for name, value in row.items())
