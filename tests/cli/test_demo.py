"""`eventstore demo`: what it says is so, one can look around in it, and nothing is left behind."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.client.serving import COMMAND, environment
from tests.fix_server import new_room
from tests.service.running import processes_in

pytestmark = pytest.mark.slow

MOST = 60
"""Seconds that it may take, as it promises."""


@pytest.fixture
def room() -> Iterator[Path]:
    """An empty folder for temporary files."""
    with new_room() as made:
        yield made


@contextmanager
def demo(room: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "demo", *options],
        env=environment() | {"TMPDIR": str(room), "EVENTSTORE_DSN": "postgresql://nowhere:9/x"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.terminate()  # and what it has started; a failed test waits for no Ctrl-C


def test_what_it_shows_is_so_and_one_can_look_around_in_it(room: Path) -> None:
    began = time.monotonic()
    with demo(room, "--keep") as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if "the shop's code" in line:
                break
        assert time.monotonic() - began < MOST
        text = "".join(lines)
        assert "RevisionConflict: stream 'customer-ada' is at revision 0" in text
        assert '200  OrderPlaced {"customer": "ada", "total": 1250}' in text
        assert '422  the order is not paid {"due": 1250}' in text
        assert re.search(r"200  after \d+ ms: .*\"status\": \"paid\"", text)
        assert re.search(r"mailbox-ada@5 +EmailSent", text)
        assert re.search(r"emails( +\d+){4} +1 +1 +1\n", text)
        assert re.search(
            r"mailbox-bob@0 .* 503 no mail .* bob@example.org \(emails.py:\d+ in send\)\n", text
        )
        assert re.search(r"mailbox-bob@3 +EmailSent", text)
        assert re.search(r"order-1 +\| Ada +\| shipped +\| +1250", text)
        assert "All of it was as said" in text

        lines = [line.strip() for line in text.replace("\\\n", "").splitlines()]
        for start, printed in (
            ("eventstore psql ", "(3 rows)"),
            ("eventstore command ", "OrderPlaced"),
            ("eventstore consumers list ", "letters"),
            ("eventstore projections list ", "contacts"),
        ):
            [command] = [line for line in lines if line.startswith(start)]
            shown = subprocess.run(
                [*COMMAND, *shlex.split(command)[1:]],
                env=environment(),
                capture_output=True,
                text=True,
                check=True,
            )
            assert printed in shown.stdout, shown.stdout
        [mails] = re.findall(r"curl (http://\S+/mails)", text)
        assert len(httpx.get(mails).json()) >= 6

        running.send_signal(signal.SIGINT)
        _, log = running.communicate(timeout=MOST)
    assert (running.returncode, log) == (0, "")
    assert list(room.iterdir()) == []
    assert processes_in(room) == set()


def test_it_ends_what_it_has_started_when_it_is_interrupted(room: Path) -> None:
    with demo(room) as running:
        assert running.stdout is not None
        assert any(line.startswith("1. ") for line in running.stdout)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=MOST)
    assert running.returncode not in (0, None)
    assert list(room.iterdir()) == []
    assert processes_in(room) == set()


def test_a_port_that_is_taken_is_told_in_the_words_of_the_service(room: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(room, "--port", str(port)) as running:
            _, log = running.communicate(timeout=MOST)
    assert running.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in log
    assert "Traceback" not in log
