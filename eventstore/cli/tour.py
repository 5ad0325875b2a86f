"""The steps of `eventstore demo`: each says what it shows, shows it, and looks whether it is so."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

import httpx

from eventstore.cli.output import EventLines, out
from eventstore.cli.programs import run
from eventstore.client import SyncEventStoreClient
from eventstore.core.errors import EventStoreError, RevisionConflict
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.revisions import NO_STREAM

JOIN: Final = """\
SELECT order_id, name, status, total, due
  FROM eventstore_read.orders JOIN eventstore_read.contacts USING (customer) ORDER BY 1"""
BOB: Final = "bob@example.org"
PATIENCE: Final = 20.0
"""Seconds that something is waited for, which takes a moment."""


class Tour:
    """Use as `with Tour(...)` on a service that runs the shop, with a mail server of its own."""

    def __init__(self, url: str, data_dir: Path, mail_url: str) -> None:
        self._url = url
        self._data_dir = data_dir
        self._mail_url = mail_url
        self._store = SyncEventStoreClient(url)
        self._http = httpx.Client(timeout=PATIENCE)
        self._out = out()
        self._step = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._store.close()

    def show(self) -> None:
        """Go from the first append to a query over all of it."""
        self._append()
        self._decide()
        self._own_write()
        self._react()
        self._fail()
        self._replay()
        self._query()

    def end(self, seconds: float) -> None:
        """Say how long it took."""
        self._out.print(f"\nAll of it was as said, in {seconds:.0f} s.", style="bold")

    def look_around(self, code: Path) -> None:
        """Say where to look."""
        at = f"--data-dir {self._data_dir}"
        self._out.print("\nIt goes on running. Look around, and end it by Ctrl-C:", style="bold")
        self._lines(
            [
                f"{self._url}/docs",
                f"eventstore tail -f --url {self._url}",
                'eventstore command order PlaceOrder \'{"customer": "ada", "total": 300}\' \\',
                f"    --id 9 --url {self._url}",
                f"eventstore consumers list --url {self._url}",
                f"eventstore projections list --url {self._url}",
                f"eventstore psql {at} -c 'TABLE eventstore_read.orders'",
                f"curl {self._mail_url}/mails",
                f"curl -X PUT {self._mail_url}/broken/ada@example.org",
                f"the shop's code: {code}",
            ]
        )

    def _append(self) -> None:
        self._title("Append: what has happened is an event of a stream, and is kept for ever.")
        for name in ("ada", "bob"):
            self._register(name)
        self._events(self._store.read())
        try:
            self._register("ada")
        except RevisionConflict as conflict:
            self._say("Nobody registers twice: that stream must not exist yet.")
            self._lines([f"RevisionConflict: {conflict}"])
        else:
            self._claim(False, "a customer registers once")

    def _register(self, name: str) -> None:
        person = {"name": name.title(), "email": f"{name}@example.org"}
        event = EventData("CustomerRegistered", person)
        self._store.append(f"customer-{name}", event, expected_revision=NO_STREAM)

    def _decide(self) -> None:
        self._title("Decide: a command asks for something, a pure function says what happens.")
        placed = self._command("PlaceOrder", 1, customer="ada", total=1250)
        self._claim(placed.is_success, "an order is placed")
        self._say("Or why not. Nothing is appended then:")
        refused = self._command("ShipOrder", 1)
        self._claim(refused.status_code == 422, "what is not paid is not shipped")

    def _own_write(self) -> None:
        self._title("Read your own write: tables follow the log, and a query waits for an event.")
        paid = self._command("PayOrder", 1, amount=1250)
        position = paid.json()["position"]
        path = "/projections/sales/tables/orders?order_id=order-1"
        began = time.perf_counter()
        answer = self._http.get(
            f"{self._url}{path}", headers={"Event-Position": str(position), "Prefer": "wait=5"}
        )
        waited = (time.perf_counter() - began) * 1_000
        answer.raise_for_status()
        [row] = answer.json()["rows"]
        self._lines([f"GET {path}  Event-Position: {position}"])
        self._lines([f"  {answer.status_code}  after {waited:.0f} ms: {json.dumps(row)}"])
        self._claim(row["status"] == "paid", "a query sees the payment")

    def _react(self) -> None:
        self._title("React: emails is a context of its own, and asks sales for nothing.")
        self._say(
            "It keeps a table of customers of its own, from the same log. One reactor writes a "
            "letter about each event of an order, once that table is as new; another one hands "
            "letters to a mail server, and appends that they are sent."
        )
        self._command("ShipOrder", 1)
        self._until_sent("ada", 3)
        self._events(self._store.read_stream("mailbox-ada"), data="text")
        self._say("Each has a key, by which the mail server knows one that it is given twice:")
        mails = self._mails()
        self._lines(f"{mail['key'][:8]}…  {mail['to']}  {mail['text']}" for mail in mails)
        self._claim(len(mails) == 3, "each letter is sent once")

    def _fail(self) -> None:
        self._title("Fail: from now on the mail server takes nothing for one address.")
        self._mend("PUT")
        self._command("PlaceOrder", 2, customer="bob", total=900)
        self._command("PayOrder", 2, amount=500)
        self._command("PlaceOrder", 3, customer="ada", total=300)
        self._until_sent("ada", 4)
        self._until(lambda: self._store.consumers.get("emails").held == 1, "a letter is parked")
        self._say("Ada gets her letter. Bob's first one is parked, and his second waits for it:")
        self._cli("consumers", "list")
        self._cli("consumers", "parked", "emails")
        [parked] = self._store.consumers.parked("emails")
        self._claim(parked.stream_name == "mailbox-bob", "one mailbox is parked")
        self._claim(self._sent("bob") == 0, "Bob has got nothing")

    def _replay(self) -> None:
        self._title("Mend and replay: what was parked is handled as if for the first time.")
        self._mend("DELETE")
        self._cli("consumers", "replay", "emails", "--all")
        self._until_sent("bob", 2)
        self._events(self._store.read_stream("mailbox-bob"), data="text")
        to_bob = [mail["text"] for mail in self._mails() if mail["to"] == BOB]
        self._claim(len(to_bob) == 2 and "thank you" in to_bob[0], "Bob gets each letter once")

    def _query(self) -> None:
        self._title("Query: read tables are tables. With psql, a BI tool, an ORM:")
        printed = run("psql", "--data-dir", str(self._data_dir), "-c", JOIN)
        self._lines([*JOIN.splitlines(), "", *printed.rstrip().splitlines()])
        self._claim("(3 rows)" in printed, "psql shows three orders")

    def _command(self, name: str, number: int, **data: Any) -> httpx.Response:
        """Send a command to an order, and show what it is answered."""
        path, body = f"/commands/order/{name}", {"id": str(number), "data": data}
        answer = self._http.post(f"{self._url}{path}", json=body)
        told = answer.json()
        self._lines([f"POST {path}  {json.dumps(body)}"])
        if answer.is_success:
            causes = [f"{event['type']} {json.dumps(event['data'])}" for event in told["events"]]
        else:
            causes = [f"{told['reason']} {json.dumps(told['details'])}"]
        self._lines(f"  {answer.status_code}  {one}" for one in causes)
        return answer

    def _mend(self, method: str) -> None:
        path = f"{self._mail_url}/broken/{BOB}"
        self._http.request(method, path).raise_for_status()
        self._lines([f"curl -X {method} {path}"])

    def _mails(self) -> list[dict[str, Any]]:
        mails: list[dict[str, Any]] = self._http.get(f"{self._mail_url}/mails").json()
        return mails

    def _sent(self, name: str) -> int:
        events = self._store.read_stream(f"mailbox-{name}")
        return sum(event.event_type == "EmailSent" for event in events)

    def _until_sent(self, name: str, count: int) -> None:
        self._until(lambda: self._sent(name) == count, f"{name} is sent {count} letters")

    def _until(self, holds: Callable[[], bool], claim: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self._claim(time.monotonic() < deadline, claim)
            time.sleep(0.05)

    def _events(self, events: Iterable[RecordedEvent], *, data: str = "") -> None:
        """Show events, with all of their data or with one member of it."""
        lines = EventLines(local_time=True)
        shown = []
        for event in events:
            kept = {data: event.data[data]} if data in event.data else event.data
            shown.append(lines.line(event._replace(data_json=json.dumps(kept))).plain)
        self._lines(textwrap.dedent("\n".join(shown)).splitlines())

    def _cli(self, *arguments: str) -> None:
        printed = run(*arguments, "--url", self._url)
        self._lines([f"$ eventstore {' '.join(arguments)}", *map(str.rstrip, printed.splitlines())])

    def _title(self, text: str) -> None:
        self._step += 1
        self._out.print(f"\n{self._step}. {text}", style="bold")

    def _say(self, text: str) -> None:
        self._out.print(textwrap.indent(textwrap.fill(text, 76), "   "))

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._out.print(f"     {line}", style="cyan", soft_wrap=True)

    @staticmethod
    def _claim(holds: bool, claim: str) -> None:
        if not holds:
            raise EventStoreError(f"the demo says that {claim}, and that is not so")
